"""Queries that run bucket by bucket give the counts of the whole, in bounded memory."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.table.buckets import distinct, in_buckets, summed

ids = st.lists(st.one_of(st.none(), st.sampled_from("abcdefgh")), max_size=40)


def frame(values: list[str | None], name: str = "id") -> pl.LazyFrame:
    return pl.LazyFrame({name: values}, schema={name: pl.String})


@settings(max_examples=30, deadline=None)
@given(rows=ids, known=ids, size=st.integers(1, 30))
def test_buckets_count_what_the_whole_counts(rows, known, size):
    def query(rows: pl.LazyFrame, known: pl.LazyFrame) -> pl.LazyFrame:
        missing = rows.join(known, left_on="id", right_on="other", how="anti")
        counts = (missing.select(missing=pl.len()), rows.select(doubled=pl.len() - pl.col("id").n_unique()))
        return pl.concat(counts, how="horizontal")

    counts = summed(query, (frame(rows), "id"), (frame(known, "other"), "other"), rows=size)
    assert counts == {
        "missing": sum(value is None or value not in known for value in rows),
        "doubled": len(rows) - len(set(rows)),
    }
    assert distinct(frame(rows), "id", rows=size) == len(set(rows))


def test_a_bucket_has_about_as_many_rows_as_it_may():
    rows = pl.LazyFrame({"id": [f"{n:032x}" for n in range(20_000)], "tags": [["x", "é"], []] * 10_000})
    buckets = list(in_buckets(lambda rows: rows, (rows, "id"), rows=1_000))
    assert len(buckets) == 20
    assert max(bucket.height for bucket in buckets) < 1_200
    assert pl.concat(buckets).sort("id").equals(rows.collect())


def test_an_error_of_the_query_is_not_hidden():
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        list(in_buckets(lambda rows: rows.select("nothing"), (frame(["a"]), "id")))
