"""The data version of a table follows from its content, and rows must fit their declaration."""

import os

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.contract import ContentHash, ContractError, checked
from tests.resources.lakehouse.rows import DOCS, PLAIN, data_files, docs, numbers, parts


def test_data_version_is_the_content(lake):
    from datetime import UTC, datetime

    rows = docs("A", "f", range(100))
    one = lake.write(DOCS, rows, "A").data_version
    assert lake.write(DOCS, iter([rows[60:], rows[:60]]), "A").data_version == one, "order and batching do not count"
    later = docs("A", "f", range(100), at=datetime(2026, 1, 1, tzinfo=UTC))
    assert lake.write(DOCS, later, "A").data_version == one, "volatile columns do not count"
    assert lake.write(DOCS, rows.with_columns(n=pl.col("n") + 1), "A").data_version != one


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-5, 5), min_size=1), st.integers(0, 5), st.randoms())
def test_content_hash_ignores_order_and_nothing_else(values, change, random):
    def value(rows):
        content = ContentHash(PLAIN)
        frame = pl.DataFrame({"id": [str(v) for v in rows], "n": rows}, schema={"id": pl.String, "n": pl.Int64})
        list(content.counting(checked(PLAIN, frame, None)))
        return content.value

    shuffled = random.sample(values, len(values))
    assert value(shuffled) == value(values)
    assert value([*values, change]) != value(values)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (docs("A", "f", [1]).drop("n"), "missing column 'n'"),
        (docs("A", "f", [1]).with_columns(extra=1), "undeclared column 'extra'"),
        (docs("A", "f", [1]).cast({"n": pl.Int32}), "column 'n' is int32, declared int64"),
        (docs("A", "f", [1]).cast({"n": pl.String}), "column 'n' is"),
        (docs("A", "f", [1]).with_columns(n=pl.lit(None, pl.Int64)), "column 'n' has 1 nulls"),
        (docs("B", "f", [1]), "column 'snapshot' holds 'B'"),
    ],
)
def test_contract_is_checked_before_anything_is_written(lake, frame, words):
    with pytest.raises(ContractError, match=words):
        lake.write(DOCS, frame, "A")
    assert not os.path.exists(lake.path(DOCS)), "not even the table"
    lake.write(DOCS, docs("A", "f", [7]), "A")
    files, version = data_files(lake, DOCS), lake.open(DOCS).version()
    with pytest.raises(ContractError):
        lake.write(DOCS, iter([docs("A", "f", [8]), frame]), "A")
    assert (data_files(lake, DOCS), lake.open(DOCS).version(), numbers(lake)) == (files, version, [7])


def test_the_content_of_a_partition_changes_with_its_rows_only(lake):
    assert lake.read(DOCS, "s1").content() == ""
    lake.write(DOCS, parts("s1", [], a=[1, 2], b=[3]), "s1", code_version="1")
    lake.write(DOCS, parts("s2", [], a=[1]), "s2")
    first = lake.read(DOCS, "s1").content()
    lake.write(DOCS, parts("s1", [], a=[1, 2], b=[3]), "s1", code_version="2")  # all rows are written again
    assert lake.read(DOCS, "s1").content() == first != lake.read(DOCS, "s2").content()
    lake.write(DOCS, parts("s1", [], a=[1, 2], b=[4]), "s1")
    second = lake.read(DOCS, "s1").content()
    lake.write(DOCS, parts("s1", [], a=[1, 2]), "s1")
    assert len({first, second, lake.read(DOCS, "s1").content()}) == 3
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    plain = lake.read(PLAIN).content()
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    assert plain and lake.read(PLAIN).content() == plain
