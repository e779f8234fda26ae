"""Checks of the blend: sequences are consistent, no document is unknown or held out, and tokens decode to the texts."""

import dagster as dg

from nemotron_assets.blend.sources import SOURCES, source_tables
from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(TOKENIZER, blocking=True)
def tokenizer_round_trip(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """The stored tokenizer loads, its special tokens have the ids that the model expects, and encoded texts decode to
    themselves."""
    from nemotron_assets.text import tokenizer as bpe

    row = lake.read(TOKENIZER).only_row()
    loaded = bpe.load(lake.get_weights(row["uri"]))
    names = bpe.special_tokens(recipe.tokenizer.special_tokens)
    misplaced = [name for k, name in enumerate(names) if loaded.token_to_id(name) != k]
    texts = [
        "naïve café 3.14159",
        "日本語 한국어 العربية",
        "  tabs\t\tand\r\nlines\n\n",
        "\x00\x7f\U0010ffff",
        "a </s> b<s>",
    ]
    lost = [text for text in texts if bpe.decode(loaded, bpe.encode(loaded, text)) != text]
    return dg.AssetCheckResult(
        passed=not misplaced and not lost and loaded.get_vocab_size() == row["vocabulary"],
        metadata={"misplaced_specials": misplaced, "lost_texts": lost, "vocabulary": loaded.get_vocab_size()},
    )


@table_check(TOKEN_SHARDS, blocking=True)
def sequences_are_whole(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every sequence has exactly the tokens of its pieces, and at most the recipe's number of tokens."""
    from nemotron_assets.blend import audit

    shards = lake.read(TOKEN_SHARDS).scan()
    found = audit.layout(shards, recipe.blend.sequence_length)
    by_source = audit.tokens_by_source(shards)
    table = "\n".join(f"| {name} | {tokens:,} | {tokens / found['tokens']:.1%} |" for name, tokens in by_source.items())
    return dg.AssetCheckResult(
        passed=found["broken"] == 0 and found["sequences"] > 0,
        metadata={
            **found,
            "tokens_by_source": dg.MetadataValue.md(f"| source | tokens | share |\n|---|---|---|\n{table}"),
        },
    )


@table_check(TOKEN_SHARDS, blocking=True, reads=list(source_tables().values()))
def only_known_training_documents(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every parent is in its source table. No parent is held out or was written from a held-out document."""
    from nemotron_assets.blend import audit

    tables = source_tables()
    unknown, leaked = audit.wrong_parents(
        lake.read(TOKEN_SHARDS).batches(["parents", "sources"]),
        {
            name: (layout.origin, lake.read(tables[name]).batches(["id", layout.origin]))
            for name, layout in SOURCES.items()
        },
        recipe.blend.held_out_share,
        recipe.blend.sort_memory_mb,
    )
    return dg.AssetCheckResult(
        passed=unknown == 0 and leaked == 0, metadata={"unknown_parents": unknown, "held_out_parents": leaked}
    )


@table_check(TOKEN_SHARDS, reads=[TOKENIZER, *source_tables().values()])
def text_comes_back(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Documents of the first and the last shard, joined from their pieces and decoded, are equal to their texts."""
    import polars as pl

    from nemotron_assets.blend import audit
    from nemotron_assets.text import tokenizer as bpe

    row = lake.read(TOKENIZER).only_row()
    vocabulary = bpe.load(lake.get_weights(row["uri"]))
    shards = lake.read(TOKEN_SHARDS).scan()
    documents = pl.concat(
        lake.read(source_tables()[name]).scan().select("id", pl.col(layout.text).alias("text"))
        for name, layout in SOURCES.items()
    )
    ends = shards.select(first=pl.col("part").min(), last=pl.col("part").max()).collect().row(0)
    compared, lost = 0, []
    for name in sorted({name for name in ends if name is not None}):
        shard = shards.filter(pl.col("part") == name).collect()
        ids = shard["parents"].explode().unique().sort()
        texts = dict(documents.filter(pl.col("id").is_in(ids.implode())).head(16).collect().iter_rows())
        compared += len(texts)
        lost += audit.not_restored(shard, texts, vocabulary)
    return dg.AssetCheckResult(passed=not lost, metadata={"documents_compared": compared, "not_restored": lost})


CHECKS = [tokenizer_round_trip, sequences_are_whole, only_known_training_documents, text_comes_back]
