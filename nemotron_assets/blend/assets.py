"""Assets of the blend: the tokenizer, documents as token ids, their packing into sequences, categories and phases."""

import dagster as dg

from nemotron_assets.blend.sources import asset_inputs
from nemotron_assets.blend.tables import CATEGORIES, PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    TOKENIZER,
    recipe=("tokenizer", "blend.held_out_share", "blend.sequence_length"),
    code="2",  # the address of a page decides whether it is held out
    ins=asset_inputs(),
    kinds={"huggingface"},
)
def tokenizer(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    **documents: Reader,
):
    """The vocabulary: tekken, or a byte-level BPE trained on the documents of the blend without held-out ones."""
    from nemotron_assets.blend.documents import sources_of
    from nemotron_assets.blend.vocabulary import make_tokenizer

    row = make_tokenizer(sources_of(documents.values(), lake), recipe, lake.put_weights)
    shown = ("vocabulary", "bytes_per_token", "training_bytes")
    context.add_output_metadata({name: row[name].item() for name in shown})
    return row


@table_asset(
    TOKEN_SHARDS,
    recipe=("blend.held_out_share", "blend.tokens_per_shard", "blend.encoder", "blend.seed"),
    code="4",  # the address of a page decides whether it is held out
    ins=asset_inputs(),
    kinds={"polars"},
)
def token_shards(
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    tokenizer: Reader,
    **documents: Reader,
):
    """Every document of the blend as token ids, once, with EOS at its end. A shard whose documents did not change is
    kept; other weights, lengths of sequences or phases repeat no tokenisation."""
    from nemotron_assets.blend.documents import ordered_stream, sources_of
    from nemotron_assets.blend.encoder import Encoder
    from nemotron_assets.blend.shards import count_tokens, shard_parts

    row = tokenizer.only_row()
    encoder = Encoder(lake.get_weights(row["uri"]), recipe.blend.encoder)
    stream = ordered_stream(sources_of(documents.values(), lake), recipe.blend)
    versions = sorted(reader.input_version for reader in documents.values() if reader.exists)
    parts = shard_parts(stream, encoder, recipe.blend, row, versions)
    return Parts(parts, metadata=lambda: {"tokens": count_tokens(lake.read(TOKEN_SHARDS).scan())})


@table_asset(
    SEQUENCES,
    recipe=("blend.sequence_length", "blend.long_context.sequence_length", "blend.further_lengths", "blend.seed"),
    ins={"token_shards": TOKEN_SHARDS},
    kinds={"polars"},
)
def sequences(recipe: dg.ResourceParam[Recipe], token_shards: Reader):
    """Documents packed by best-fit decreasing, as an index, for every length of sequences. A document is cut only if it
    is longer than a sequence."""
    from nemotron_assets.blend.sequences import sequence_parts

    return Parts(sequence_parts(token_shards, recipe.blend))


@table_asset(
    CATEGORIES,
    recipe=("blend.sequence_length", "blend.long_context.sequence_length", "blend.left_out"),
    ins={"token_shards": TOKEN_SHARDS, "sequences": SEQUENCES},
    kinds={"polars"},
)
def categories(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], token_shards: Reader, sequences: Reader
):
    """The thirteen categories of the blend, with the documents and tokens that this lake has of each data set. A
    category without a table in this lake is listed as missing."""
    from nemotron_assets.blend.sources import source_tables
    from nemotron_assets.blend.supply import category_rows, facts

    rows = category_rows(token_shards.scan(), sequences.scan(), recipe.blend, source_tables())
    context.add_output_metadata(facts(rows))
    return rows


@table_asset(
    PHASES,
    recipe=(
        "blend.phases", "blend.long_context", "blend.max_epochs", "blend.max_epochs_of", "blend.sequence_length",
        "train.base.tokens", "train.base.batch_sequences", "train.long_context.tokens",
        "train.long_context.batch_sequences",
    ),
    ins={"categories": CATEGORIES},
    kinds={"polars"},
)  # fmt: skip
def phases(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], categories: Reader):
    """The phases of the training: the share of each category, with the tokens and epochs that every data set gives.
    The weights of missing categories are shared out to the others, and epochs are limited."""
    from nemotron_assets.blend.phases import phase_rows, summary

    rows = phase_rows(recipe, categories.scan().collect())
    context.add_output_metadata(summary(rows))
    return rows


ASSETS = [tokenizer, token_shards, sequences, categories, phases]
