"""Assets of the blend: the tokenizer, and documents packed into sequences of token ids."""

import dagster as dg

from nemotron_assets.blend.sources import asset_inputs
from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    TOKENIZER,
    recipe=("tokenizer", "blend.held_out_share", "blend.sequence_length"),
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

    row = make_tokenizer(sources_of(documents.values()), recipe, lake.put_weights)
    shown = ("vocabulary", "bytes_per_token", "training_bytes")
    context.add_output_metadata({name: row[name].item() for name in shown})
    return row


@table_asset(TOKEN_SHARDS, recipe="blend", code="2", ins=asset_inputs(), kinds={"polars"})
def token_shards(
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    tokenizer: Reader,
    **documents: Reader,
):
    """Documents as token ids, with EOS after each, packed by best-fit decreasing. A shard whose documents did not
    change is kept."""
    from nemotron_assets.blend.documents import ordered_stream, sources_of
    from nemotron_assets.blend.encoder import Encoder
    from nemotron_assets.blend.shards import count_tokens, shard_parts

    row = tokenizer.only_row()
    encoder = Encoder(lake.get_weights(row["uri"]), recipe.blend.encoder)
    stream = ordered_stream(sources_of(documents.values()), recipe.blend)
    versions = sorted(reader.input_version for reader in documents.values() if reader.exists)
    parts = shard_parts(stream, encoder, recipe.blend, row, versions)
    return Parts(parts, metadata=lambda: {"tokens": count_tokens(lake.read(TOKEN_SHARDS).scan())})


ASSETS = [tokenizer, token_shards]
