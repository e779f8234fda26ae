"""Token shards in a lake: ids can be traced, texts restored, unchanged shards are kept, the audit finds errors."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.blend import audit, shards
from nemotron_assets.blend.documents import Source, ordered_stream
from nemotron_assets.blend.encoder import Encoder
from nemotron_assets.blend.tables import TOKEN_SHARDS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.text import tokenizer as bpe
from resources.lakehouse import Lakehouse

BLEND = load_recipe("laptop").blend
SOURCE = "web.multilingual"
LENGTH = BLEND.sequence_length


@pytest.fixture(scope="module")
def documents(sample_texts) -> pl.DataFrame:
    rows = [
        {"id": row_id("d", k), "snapshot": f"s{k % 2}", "text": text, "content_hash": content_hash(text)}
        for k, text in enumerate(sample_texts)
    ]
    return pl.DataFrame(rows)


def stream(documents: pl.DataFrame):
    return ordered_stream([Source(SOURCE, lambda columns: documents.select(columns).to_arrow().to_batches())], BLEND)


@pytest.fixture(scope="module")
def encoder(vocabulary_folder) -> Encoder:
    return Encoder(vocabulary_folder, "gigatoken")


def parts(documents: pl.DataFrame, encoder: Encoder) -> Parts:
    cut = shards.groups(stream(documents), 200_000)
    return Parts(Part(g.part, g.fingerprint, lambda g=g: shards.shard_frame(g, encoder, LENGTH, seed=1)) for g in cut)


@pytest.fixture(scope="module")
def frame(documents, encoder) -> pl.DataFrame:
    return pl.concat(part.make() for part in parts(documents, encoder).parts)


def test_fill_and_layout(frame, documents, vocabulary):
    found = audit.layout(frame.lazy(), LENGTH)
    trained = pl.concat(pl.from_arrow(b) for b in stream(documents))
    tokens = sum(len(bpe.encode(vocabulary, text)) + 1 for text in trained["text"])
    assert found["tokens"] == tokens
    assert found["broken"] == 0
    assert found["fill"] > 0.99
    assert audit.tokens_by_source(frame.lazy()) == {SOURCE: tokens}
    assert frame["id"].n_unique() == len(frame)


def test_every_document_comes_back(frame, documents, vocabulary):
    trained = pl.concat(pl.from_arrow(b) for b in stream(documents))
    texts = dict(trained.select("id", "text").iter_rows())
    assert set(frame["parents"].explode()) == set(texts)
    assert audit.not_restored(frame, texts, vocabulary) == []
    one = next(iter(texts))
    assert audit.not_restored(frame, {one: texts[one] + " "}, vocabulary) == [one]


def test_missing_pieces_are_noticed(frame):
    long = frame.filter(pl.col("piece_offsets").list.max() > 0)["parents"].explode()[0]
    with pytest.raises(ValueError, match="no piece"):
        shards.restore(frame.filter(~pl.col("parents").list.contains(long)), long)


@pytest.mark.parametrize(
    "damage",
    [
        pl.col("tokens").list.head(3).alias("tokens"),
        pl.col("parents").list.head(0).alias("parents"),
        pl.col("piece_lengths").list.eval(pl.element() + 1).alias("piece_lengths"),
    ],
)
def test_damaged_rows_are_counted(frame, damage):
    mixed = pl.concat([frame.head(5), frame.slice(5, 3).with_columns(damage)])
    assert audit.layout(mixed.lazy(), LENGTH)["broken"] == 3
    assert audit.layout(frame.lazy(), LENGTH - 1)["broken"] > 0  # too long


def test_unknown_and_held_out_parents_are_found(frame, documents):
    def batches(rows: pl.DataFrame):
        return rows.to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches()

    def count(documents: pl.DataFrame, release: pl.DataFrame | None = None):
        sources = {SOURCE: ("content_hash", batches(documents.select("id", "content_hash")))}
        if release is not None:
            sources["web.nemotron_cc_v2"] = ("origin_hash", batches(release))
        return audit.wrong_parents(batches(frame.select("parents", "sources")), sources, BLEND.held_out_share, 128)

    assert count(documents) == (0, 0)
    used = frame["parents"].explode().unique().to_list()
    missing = documents.filter(pl.col("id") != used[0])
    assert count(missing) == (1, 0)
    assert count(documents.with_columns(content_hash=pl.lit("0" * 32))) == (0, len(used))
    # The right id in another table than the one the shard names does not count, held out or not.
    elsewhere = pl.DataFrame({"id": [used[0]], "origin_hash": ["0" * 32]})
    assert count(missing, elsewhere) == (1, 0)
    assert count(documents, elsewhere) == (0, 0)


def test_lake_keeps_unchanged_shards_and_drops_old_ones(documents, encoder, tmp_path):
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    first = lake.write(TOKEN_SHARDS, parts(documents, encoder))
    assert first.parts_written > 4
    stored = lake.read(TOKEN_SHARDS).scan().collect().sort("part", "position")
    assert stored["part"].n_unique() == first.parts_written
    assert stored["part"].to_list() == [f"{row[0][:2]}/{row[1]:06d}" for row in stored.select("part", "shard").rows()]
    assert stored.group_by("part").agg(ok=(pl.col("position") == pl.int_range(pl.len())).all())["ok"].all()

    again = lake.write(TOKEN_SHARDS, parts(documents, encoder))
    assert (again.parts_written, again.parts_skipped) == (0, first.parts_written)
    assert again.data_version == first.data_version

    fewer = lake.write(TOKEN_SHARDS, parts(documents.filter(pl.col("snapshot") == "s0"), encoder))
    assert fewer.parts_written == 0
    assert lake.read(TOKEN_SHARDS).scan().select(pl.col("part").str.head(2)).unique().collect().item() == "s0"
