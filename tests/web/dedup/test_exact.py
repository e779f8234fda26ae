"""Exact duplicates over snapshots that arrive in any order: the same rows in the end, whatever the order."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import Dedup
from nemotron_assets.web.dedup import exact
from nemotron_assets.web.dedup.duplicates import duplicates_of, rewrite_later
from nemotron_assets.web.dedup.tables import DUPLICATES
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse

RECIPE = Dedup(memory_mb=128)
START = datetime(2025, 1, 1, tzinfo=UTC)
SNAPSHOTS = ("A-1", "B-2", "C-3")


def frame(rows: list[tuple[str, str, int, str]]) -> pl.DataFrame:
    """(id, snapshot, hours after START, content hash) as what deduplication reads."""
    return pl.DataFrame(
        [(i, s, START + timedelta(hours=h), c) for i, s, h, c in rows],
        schema=dict(zip(exact.COLUMNS, (pl.String, pl.String, pl.Datetime("us", "UTC"), pl.String), strict=True)),
        orient="row",
    )


def batches(frame: pl.DataFrame):
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(exact._SCHEMA).to_batches(max_chunksize=2)


def reference(rows, snapshot: str) -> list[tuple[str, str, str]]:
    """What `find_duplicates` must give, the slow way."""
    first = {}
    for i, s, _, c in sorted(rows, key=lambda row: (row[1], row[2], row[0])):
        first.setdefault(c, (i, s))
    return sorted((i, *first[c]) for i, s, _, c in rows if s == snapshot and first[c][0] != i)


documents = st.lists(
    st.tuples(st.sampled_from(SNAPSHOTS), st.integers(0, 3), st.sampled_from("wxyz")), max_size=14
).map(lambda rows: [(f"d{n:02}", *row) for n, row in enumerate(rows)])


@settings(max_examples=15, deadline=None)
@given(documents)
def test_the_earliest_wins_by_snapshot_time_and_id(rows):
    for snapshot in SNAPSHOTS:
        mine = frame([row for row in rows if row[1] == snapshot])
        other = frame([row for row in rows if row[1] < snapshot])
        found = [row for part in exact.find_duplicates(batches(mine), batches(other), 128) for row in part.rows()]
        assert found == reference(rows, snapshot)


def as_documents(rows) -> pl.DataFrame:
    text = {name: pl.lit("x") for name in ("warc_file", "url", "host", "language", "title", "text")}
    return frame(rows).with_columns(
        **text, parents=pl.concat_list("id"), language_score=pl.lit(1.0), characters=pl.lit(1, pl.Int64)
    ).select(DOCUMENTS.column_names)  # fmt: skip


def arrive(lake: Lakehouse, rows, order) -> None:
    """Snapshots come in one by one, each with the duplicates of its own and of later partitions."""
    for snapshot in order:
        lake.write(DOCUMENTS, as_documents([row for row in rows if row[1] == snapshot]), snapshot)
        rewrite_later(snapshot, lake, RECIPE, run_id="", code_version="")
        lake.write(DUPLICATES, duplicates_of(snapshot, lake, RECIPE), snapshot)


def state(lake: Lakehouse) -> list[tuple]:
    return lake.read(DUPLICATES).scan().drop("parents").collect().sort("snapshot", "id").rows()


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=documents, order=st.sampled_from(list(itertools.permutations(SNAPSHOTS))))
def test_the_order_of_arrival_does_not_matter(rows, order, tmp_path_factory):
    straight, mixed = (Lakehouse(root=str(tmp_path_factory.mktemp("lake"))) for _ in range(2))
    arrive(straight, rows, SNAPSHOTS)
    arrive(mixed, rows, order)
    assert state(mixed) == state(straight)
    expected = {(row[0], row[1]) for snapshot in SNAPSHOTS for row in reference(rows, snapshot)}
    found = lake_pairs(mixed)
    assert found == expected


def lake_pairs(lake: Lakehouse) -> set[tuple[str, str]]:
    rows = lake.read(DUPLICATES).scan().select(pl.col("parents").list.first(), "duplicate_of").collect()
    return set(rows.rows())


def test_only_partitions_that_change_are_rewritten(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    rows = [("b1", "B-2", 0, "w"), ("b2", "B-2", 1, "x"), ("c1", "C-3", 0, "y"), ("a1", "A-1", 0, "x")]
    arrive(lake, rows, ("B-2", "C-3"))
    before = lake.read(DUPLICATES).version
    lake.write(DOCUMENTS, as_documents(rows[-1:]), "A-1")
    changed = rewrite_later("A-1", lake, RECIPE, run_id="", code_version="")
    assert [change.snapshot for change in changed] == ["B-2"]
    assert changed[0].result.rows == 1
    assert lake.read(DUPLICATES).version > before
    assert rewrite_later("A-1", lake, RECIPE, run_id="", code_version="") == []


def test_without_keeps_the_rest_with_ids_of_its_own():
    texts = pl.LazyFrame({"id": ["a", "b", "c"], "parents": [["p"], ["q"], ["r"]], "text": ["1", "2", "3"]})
    kept = pl.concat(exact.without(texts, pl.LazyFrame({"document": ["b"]}), "web.unique_documents"))
    assert sorted(kept["text"]) == ["1", "3"]
    assert sorted(kept["parents"].list.first()) == ["a", "c"]
    assert not set(kept["id"]) & {"a", "b", "c"}
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        next(exact.without(texts, pl.LazyFrame({"other": ["b"]}), "web.unique_documents"))
