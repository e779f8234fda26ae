"""Assets of the blend: train or convert the tokenizer, then turn documents into packed sequences."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import dagster as dg

from nemotron_assets.blend.sources import SOURCES, asset_inputs
from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part, Parts
from resources.lakehouse import Lakehouse, Reader

if TYPE_CHECKING:
    from nemotron_assets.blend.documents import Source


def _sources(readers: Mapping[str, Reader]) -> "list[Source]":
    from nemotron_assets.blend.documents import Source

    names = {reader.table.full_name: reader for reader in readers.values()}
    return [Source(name, names[name].batches, layout) for name, layout in SOURCES.items()]


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
    """The vocabulary: a byte-level BPE trained on what the model will read (held-out documents left out), or tekken."""
    import tempfile
    from pathlib import Path

    import polars as pl

    from nemotron_assets.blend.documents import text_sample
    from nemotron_assets.text import tokenizer as bpe

    sources = _sources(documents)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "tokenizer")
        made, count, size = bpe.make(recipe.tokenizer, text_sample(sources, recipe, recipe.tokenizer.max_training_mb))
        bpe.save(made, directory, recipe.blend.sequence_length)
        uri, sha256 = lake.put_weights(directory, "tokenizer")
        measured = bpe.bytes_per_token(bpe.load(directory), text_sample(sources, recipe, bpe.MEASURE_MB))
    name = f"{recipe.tokenizer.kind}-{made.get_vocab_size()}"
    context.add_output_metadata(
        {"vocabulary": made.get_vocab_size(), "bytes_per_token": measured, "training_bytes": size}
    )
    return pl.DataFrame(
        {
            "id": row_id(TOKENIZER.full_name, name),
            "name": name,
            "vocabulary": made.get_vocab_size(),
            "special_tokens": recipe.tokenizer.special_tokens,
            "uri": uri,
            "sha256": sha256,
            "training_documents": count,
            "training_bytes": size,
            "bytes_per_token": measured,
        }
    )


@table_asset(TOKEN_SHARDS, recipe="blend", code="2", ins=asset_inputs(), kinds={"polars"})
def token_shards(
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    tokenizer: Reader,
    **documents: Reader,
):
    """Documents as token ids, EOS after each, packed by best-fit decreasing; a shard that did not change is kept."""
    import functools

    from nemotron_assets.blend import shards
    from nemotron_assets.blend.documents import ordered_stream
    from nemotron_assets.blend.encoder import Encoder

    row = tokenizer.scan().collect().row(0, named=True)
    encoder = Encoder(lake.get_weights(row["uri"]), recipe.blend.encoder)
    length, seed = recipe.blend.sequence_length, recipe.blend.seed
    group_bytes = int(recipe.blend.sequences_per_shard * length * row["bytes_per_token"])
    stream = ordered_stream(_sources(documents), recipe.blend)
    versions = sorted(reader.input_version for reader in documents.values() if reader.exists)

    def parts():
        for group in shards.groups(stream, group_bytes):
            make = functools.partial(shards.shard_frame, group, encoder, length, seed, versions)
            yield Part(group.part, f"{group.fingerprint}:{row['sha256']}", make)

    def tokens() -> dict[str, int]:
        import polars as pl

        written = lake.read(TOKEN_SHARDS).scan().select(pl.col("piece_lengths").list.sum().cast(pl.Int64).sum())
        return {"tokens": written.collect(engine="streaming").item()}

    return Parts(parts(), metadata=tokens)


ASSETS = [tokenizer, token_shards]
