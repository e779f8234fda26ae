"""Token shards in a lake: ids can be traced, texts restored, unchanged shards are kept, the audit finds errors."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.blend import audit, shards
from nemotron_assets.blend.documents import Source, ordered_stream
from nemotron_assets.blend.encoder import Encoder
from nemotron_assets.blend.sequences import packed_frame, restore, sequence_parts
from nemotron_assets.blend.tables import SEQUENCES, TOKEN_SHARDS
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
    return Parts(Part(g.part, g.fingerprint, lambda g=g: shards.shard_frame(g, encoder)) for g in cut)


@pytest.fixture(scope="module")
def frame(documents, encoder) -> pl.DataFrame:
    return pl.concat(part.make() for part in parts(documents, encoder).parts)


def packed(frame: pl.DataFrame, length: int = LENGTH) -> pl.DataFrame:
    return pl.concat(packed_frame(rows, length, 1) for rows in frame.partition_by("part", maintain_order=True))


def test_fill_and_layout(frame, documents, vocabulary):
    trained = pl.concat(pl.from_arrow(b) for b in stream(documents))
    tokens = sum(len(bpe.encode(vocabulary, text)) + 1 for text in trained["text"])
    assert frame["id"].n_unique() == len(frame) == len(trained)
    assert frame["parents"].explode().sort().to_list() == sorted(trained["id"])
    assert audit.tokens_by_data_set(frame.lazy()) == {SOURCE: tokens}
    assert audit.broken_documents(frame.lazy()) == 0
    both = pl.concat([packed(frame), packed(frame, 8 * LENGTH)])
    for row in audit.layout(both.lazy(), frame.lazy()).iter_rows(named=True):
        assert (row["tokens"], row["broken"]) == (tokens, 0)
        assert row["fill"] > (0.99 if row["part"] == str(LENGTH) else 0.9)
    assert both["id"].n_unique() == len(both)
    assert set(both["parents"].explode()) == set(frame["id"])


def test_every_document_comes_back(frame, documents, vocabulary):
    trained = pl.concat(pl.from_arrow(b) for b in stream(documents))
    texts = dict(trained.select("id", "text").iter_rows())
    for shard in frame.partition_by("part"):
        mine = {id_: texts[id_] for id_ in shard["parents"].explode()}
        for length in (LENGTH, 100, 32_768):
            assert audit.not_restored(shard, packed(shard, length), mine, vocabulary) == []
        one = next(iter(mine))
        assert audit.not_restored(shard, packed(shard), {one: texts[one] + " "}, vocabulary) == [one]


def test_missing_pieces_are_noticed(frame):
    shard = frame.partition_by("part")[0]
    tokens, sequences = dict(shard.select("position", "tokens").iter_rows()), packed(shard)
    long = shard.sort("length")["position"][-1]
    without = sequences.filter(~(pl.col("documents").list.contains(long) & (pl.col("piece_offsets").list.max() == 0)))
    with pytest.raises(ValueError, match="no piece has its tokens 0 to"):
        restore(without, tokens)
    rest = sequences.filter(pl.col("documents").list.contains(long))["piece_offsets"].list.max().max()
    without = sequences.filter(
        ~(pl.col("documents").list.contains(long) & (pl.col("piece_offsets").list.max() == rest))
    )
    with pytest.raises(ValueError, match=rf"document {long}: its pieces have {rest} of \d+ tokens"):
        restore(without, tokens)


@pytest.mark.parametrize(
    "damage",
    [
        (pl.col("tokens") + 1).alias("tokens"),
        pl.col("parents").list.head(0).alias("parents"),
        pl.col("piece_lengths").list.eval(pl.element() + 1).alias("piece_lengths"),
    ],
)
def test_damaged_sequences_are_counted(frame, damage):
    whole = packed(frame)
    mixed = pl.concat([whole.head(5), whole.slice(5, 3).with_columns(damage), whole.slice(8)])
    assert audit.layout(mixed.lazy(), frame.lazy())["broken"].item() >= 3
    assert audit.layout(whole.with_columns(part=pl.lit(str(LENGTH - 1))).lazy(), frame.lazy())["broken"].item() > 0


def test_documents_that_are_lost_or_packed_twice_are_counted(frame):
    whole = packed(frame)
    gone = set(whole[0]["parents"].explode())
    assert audit.layout(whole[1:].lazy(), frame.lazy())["broken"].item() == len(gone)
    assert audit.layout(pl.concat([whole, whole[:1]]).lazy(), frame.lazy())["broken"].item() == len(gone)
    unknown = audit.layout(whole.lazy(), frame.filter(pl.col("id") != frame["id"][0]).lazy())
    assert unknown["broken"].item() == 1


@pytest.mark.parametrize(
    "damage",
    [
        (pl.col("length") + 1).alias("length"),
        pl.col("tokens").list.head(pl.col("length") - 1).alias("tokens"),
        pl.concat_list(pl.lit(bpe.EOS, pl.Int32), pl.col("tokens").list.slice(1)).alias("tokens"),
    ],
)
def test_damaged_documents_are_counted(frame, damage):
    assert audit.broken_documents(pl.concat([frame.head(5), frame.slice(5, 3).with_columns(damage)]).lazy()) == 3


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
    assert stored.group_by("part").agg(ok=(pl.col("position") == pl.int_range(pl.len())).all())["ok"].all()

    again = lake.write(TOKEN_SHARDS, parts(documents, encoder))
    assert (again.parts_written, again.parts_skipped) == (0, first.parts_written)
    assert again.data_version == first.data_version

    fewer = lake.write(TOKEN_SHARDS, parts(documents.filter(pl.col("snapshot") == "s0"), encoder))
    assert fewer.parts_written == 0
    left = lake.read(TOKEN_SHARDS).scan().select(pl.col("part").str.head(len(SOURCE) + 3)).unique().collect().item()
    assert left == f"{SOURCE}/s0"


def test_another_length_of_sequences_repeats_no_tokenisation(documents, encoder, tmp_path, monkeypatch):
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    lake.write(TOKEN_SHARDS, parts(documents, encoder))
    longer = BLEND.long_context.model_copy(update={"sequence_length": 2_048})
    blend = BLEND.model_copy(update={"long_context": longer, "further_lengths": ()})
    first = lake.write(SEQUENCES, Parts(sequence_parts(lake.read(TOKEN_SHARDS), blend)))
    assert first.parts_written == 2
    version = lake.read(TOKEN_SHARDS).version
    monkeypatch.setattr(Encoder, "encode", lambda *_: pytest.fail("a document was tokenised again"))
    shorter = blend.model_copy(update={"sequence_length": 128})
    second = lake.write(SEQUENCES, Parts(sequence_parts(lake.read(TOKEN_SHARDS), shorter)))
    assert (second.parts_written, second.parts_skipped) == (1, 1), "the other length stays as it was"
    assert lake.read(TOKEN_SHARDS).version == version
    found = audit.layout(lake.read(SEQUENCES).scan(), lake.read(TOKEN_SHARDS).scan())
    assert found.select("part", "broken").rows() == [("128", 0), ("2048", 0)]
