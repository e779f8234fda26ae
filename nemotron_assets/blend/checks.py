"""Checks of the blend: documents and sequences are whole and decode to the texts, no document is unknown or held out,
and the phases have the shares and epochs that the recipe allows."""

import dagster as dg

from nemotron_assets.blend.sources import DUPLICATES, SOURCES, made_from, source_tables
from nemotron_assets.blend.tables import PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.recipe import Recipe
from nemotron_assets.stages import all_tables
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse

#: All tables that the shards are made from, directly or through others, and those of duplicates.
_ANCESTORS = [all_tables()[name] for name in (*made_from(), *DUPLICATES.values())]


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
def documents_are_whole(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row has the number of tokens that it says, and exactly one EOS, at its end."""
    from nemotron_assets.blend import audit

    shards = lake.read(TOKEN_SHARDS).scan()
    broken, by_data_set = audit.broken_documents(shards), audit.tokens_by_data_set(shards)
    total = sum(by_data_set.values())
    table = "\n".join(f"| {name} | {tokens:,} | {tokens / total:.1%} |" for name, tokens in by_data_set.items())
    return dg.AssetCheckResult(
        passed=broken == 0 and total > 0,
        metadata={
            "broken": broken,
            "tokens": total,
            "tokens_by_data_set": dg.MetadataValue.md(f"| data set | tokens | share |\n|---|---|---|\n{table}"),
        },
    )


@table_check(SEQUENCES, blocking=True, reads=[TOKEN_SHARDS])
def sequences_are_whole(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """For every length, each document is in the sequences whole and once, and no sequence is too long."""
    from nemotron_assets.blend import audit

    found = audit.layout(lake.read(SEQUENCES).scan(), lake.read(TOKEN_SHARDS).scan())
    lines = [
        f"| {part} | {count:,} | {tokens:,} | {fill:.2%} | {broken:,} |"
        for part, count, tokens, broken, fill in found.select(
            "part", "sequences", "tokens", "broken", "fill"
        ).iter_rows()
    ]
    head = "| length | sequences | tokens | fill | broken |\n|---|---|---|---|---|\n"
    return dg.AssetCheckResult(
        passed=found.height > 0 and found["broken"].sum() == 0,
        metadata={"broken": int(found["broken"].sum()), "lengths": dg.MetadataValue.md(head + "\n".join(lines))},
    )


@table_check(TOKEN_SHARDS, blocking=True, reads=list(source_tables().values()))
def only_known_training_documents(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every parent is in its source table. No parent is held out or was written from a held-out document."""
    from nemotron_assets.blend import audit

    unknown, leaked = audit.wrong_parents(
        lake.read(TOKEN_SHARDS).batches(["parents", "sources"]),
        {
            name: (SOURCES[name].origin, lake.read(table).batches(["id", SOURCES[name].origin]))
            for name, table in source_tables().items()
        },
        recipe.blend.held_out_share,
        recipe.blend.sort_memory_mb,
    )
    return dg.AssetCheckResult(
        passed=unknown == 0 and leaked == 0, metadata={"unknown_parents": unknown, "held_out_parents": leaked}
    )


@table_check(TOKEN_SHARDS, blocking=True, reads=_ANCESTORS)
def no_held_out_page_is_trained_on(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """No text of a held-out page is trained on in any corpus, nor anything that was written from one. The check follows
    the lineage from the pages, so it also finds rows that carry a wrong hash."""
    from nemotron_assets.blend.leaks import leaks

    scans = {table.full_name: lake.read(table).scan() for table in (*_ANCESTORS, TOKEN_SHARDS)}
    found = leaks(scans, made_from(), recipe.blend.held_out_share)
    return dg.AssetCheckResult(passed=not found, metadata={"leaks": sum(found.values()), **found})


@table_check(SEQUENCES, reads=[TOKENIZER, TOKEN_SHARDS, *source_tables().values()])
def text_comes_back(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Documents of the first and the last shard, joined from their pieces and decoded, are equal to their texts."""
    import polars as pl

    from nemotron_assets.blend import audit
    from nemotron_assets.text import tokenizer as bpe

    row = lake.read(TOKENIZER).only_row()
    vocabulary = bpe.load(lake.get_weights(row["uri"]))
    shards, sequences = lake.read(TOKEN_SHARDS), lake.read(SEQUENCES).part(str(recipe.blend.sequence_length)).scan()
    compared, lost, names = 0, [], list(shards.parts())
    for name in sorted({*names[:1], *names[-1:]}):
        shard = shards.part(name).scan().collect()
        source = shard["sources"][0][0]
        texts = lake.read(source_tables()[source]).scan().select("id", SOURCES[source].text)
        wanted = texts.filter(pl.col("id").is_in(shard["parents"].explode().implode())).head(16).collect()
        compared += wanted.height
        packed = sequences.filter(pl.col("shard") == name).collect()
        lost += audit.not_restored(shard, packed, dict(wanted.iter_rows()), vocabulary)
    return dg.AssetCheckResult(passed=not lost, metadata={"documents_compared": compared, "not_restored": lost})


@table_check(PHASES, blocking=True)
def shares_add_up(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The shares of every phase add up to 1, and no category is a sequence off its share."""
    from nemotron_assets.blend.phases import off_share

    totals, furthest = off_share(lake.read(PHASES).scan().collect())
    wrong = [name for name, total in totals.items() if abs(total - 1) > 1e-6]
    return dg.AssetCheckResult(
        passed=bool(totals) and not wrong and furthest < 1.001, metadata={"wrong": wrong, "sequences_off": furthest}
    )


@table_check(PHASES)
def epochs_within_the_limit(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """No data set is passed over more often in the pretraining than the recipe's max_epochs says. A warning: there may
    be too few texts for the tokens of the training."""
    from nemotron_assets.blend.phases import over_limit

    over = over_limit(lake.read(PHASES).scan().collect(), recipe.blend)
    return dg.AssetCheckResult(passed=not over, severity=dg.AssetCheckSeverity.WARN, metadata={"over": over})


CHECKS = [
    tokenizer_round_trip, documents_are_whole, only_known_training_documents, no_held_out_page_is_trained_on,
    sequences_are_whole, text_comes_back, shares_add_up, epochs_within_the_limit,
]  # fmt: skip
