"""Which documents are blended: none held out, none written from one, as often as asked, in an order of their own."""

from __future__ import annotations

import itertools
from collections import Counter

import polars as pl
import pytest

from nemotron_assets.blend.documents import QA, UNIQUE, Sources, ordered_stream, text_sample
from nemotron_assets.blend.shards import groups
from nemotron_assets.blend.split import hash_is_held_out
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table import content_hash, row_id

RECIPE = load_recipe("laptop")
BLEND = RECIPE.blend.model_copy(update={"held_out_share": 0.2, "sort_memory_mb": 128})


def tables(snapshots=("s1", "s2"), each=150):
    documents = pl.DataFrame(
        [
            {
                "id": row_id("d", s, k),
                "snapshot": s,
                "text": f"text {k} of {s} " * 5,
                "content_hash": content_hash(f"{s}{k}"),
            }
            for s in snapshots
            for k in range(each)
        ]
    )
    qa = documents.select(
        pl.concat_str(pl.col("id"), pl.lit("-qa")).alias("id"),
        "snapshot",
        pl.concat_str(pl.lit("Question about "), pl.col("text")).alias("text"),
        parents=pl.concat_list("id"),
    )
    return documents, qa


def sources(documents: pl.DataFrame, qa: pl.DataFrame, rows: int = 37) -> Sources:
    return Sources(*(lambda c, f=f: f.select(c).to_arrow().to_batches(max_chunksize=rows) for f in (documents, qa)))


def streamed(documents, qa, **changes) -> pl.DataFrame:
    return pl.concat(pl.from_arrow(b) for b in ordered_stream(sources(documents, qa), BLEND.model_copy(update=changes)))


def test_nothing_held_out_and_nothing_written_from_it():
    documents, qa = tables()
    held = {i for i, h in documents.select("id", "content_hash").iter_rows() if hash_is_held_out(h, 0.2)}
    assert 20 < len(held) < 100
    ids = streamed(documents, qa)["id"].to_list()
    expected = [i for i in documents["id"] if i not in held] + [f"{i}-qa" for i in documents["id"] if i not in held]
    assert sorted(ids) == sorted(expected)
    sampled = {
        text
        for batch in text_sample(sources(documents, qa), RECIPE.model_copy(update={"blend": BLEND}), 1)
        for text in batch
    }
    assert sampled == set(documents.filter(~pl.col("id").is_in(list(held)))["text"]) | set(
        qa.filter(~pl.col("parents").list.first().is_in(list(held)))["text"]
    )


def test_order_does_not_depend_on_storage_and_mixes_sources():
    documents, qa = tables()
    one = streamed(documents, qa)
    other = streamed(documents.sample(fraction=1, shuffle=True, seed=1), qa.reverse())
    assert one.equals(other)
    assert one["snapshot"].to_list() == sorted(one["snapshot"])
    first = Counter(one["source"][:100])
    assert min(first[UNIQUE], first[QA]) > 25
    assert not one.equals(streamed(documents, qa, seed=7))


@pytest.mark.parametrize(("weight", "least", "most"), [(0.0, 0, 0), (0.5, 0.35, 0.65), (2.5, 2.35, 2.65), (3.0, 3, 3)])
def test_passes(weight, least, most):
    documents, qa = tables()
    ids = streamed(documents, qa, weights={UNIQUE: 1.0, QA: weight})
    counts = Counter(ids.filter(pl.col("source") == QA)["id"])
    trained = ids.filter(pl.col("source") == UNIQUE).height
    assert least * trained <= counts.total() <= most * trained
    assert all(int(weight) <= n <= int(weight) + 1 for n in counts.values())


def test_no_source_at_all():
    documents, qa = tables()
    assert list(ordered_stream(sources(documents, qa), BLEND.model_copy(update={"weights": {}}))) == []


def test_sample_is_about_the_asked_size():
    documents, qa = tables(each=12_000)
    recipe = RECIPE.model_copy(update={"blend": BLEND})
    total = sum(f["text"].str.len_bytes().sum() for f in (documents, qa))
    size = sum(len(t.encode()) for batch in text_sample(sources(documents, qa), recipe, 1) for t in batch)
    assert total > 1e6
    assert size == pytest.approx(0.8e6, rel=0.1)  # a fifth of everything is held out


def test_groups_are_cut_by_size_and_snapshot():
    documents, qa = tables()
    stream = list(ordered_stream(sources(documents, qa), BLEND))
    cut = list(groups(stream, 2_000))
    assert [g.shard for g in cut] == list(range(len(cut)))
    assert [g.part for g in cut] == sorted(g.part for g in cut)
    assert {g.part.split("/")[0] for g in cut} == {"s1", "s2"}
    sizes = [g.documents["text"].str.len_bytes().sum() for g in cut]
    last = [one.part[:2] != other.part[:2] for one, other in itertools.pairwise(cut)] + [True]
    assert all(size < 2_200 and (end or size >= 2_000) for size, end in zip(sizes, last, strict=True))
    joined = pl.concat(g.documents for g in cut)
    assert joined["id"].to_list() == pl.concat(pl.from_arrow(b) for b in stream)["id"].to_list()
    # the same groups, whatever the batches of the stream
    slices = pl.concat(pl.from_arrow(b) for b in stream).to_arrow().to_batches(max_chunksize=11)
    assert [g.fingerprint for g in groups(slices, 2_000)] == [g.fingerprint for g in cut]


def test_a_new_snapshot_leaves_earlier_groups_as_they_are():
    documents, qa = tables(("s1", "s2", "s3"))
    both = [f.filter(pl.col("snapshot") != "s3") for f in (documents, qa)]
    before = [g.fingerprint for g in groups(ordered_stream(sources(*both), BLEND), 2_000)]
    after = [g.fingerprint for g in groups(ordered_stream(sources(documents, qa), BLEND), 2_000)]
    assert len(after) > len(before)
    assert after[: len(before)] == before
    changed = documents.with_columns(
        text=pl.when(pl.col("id") == documents["id"][200]).then(pl.lit("new")).otherwise("text")
    )
    assert [g.fingerprint for g in groups(ordered_stream(sources(changed, qa), BLEND), 2_000)] != after
