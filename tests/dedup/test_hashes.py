"""The leading bytes of content hashes, and the ids of all rows of a frame."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from nemotron_assets.dedup.hashes import leading
from nemotron_assets.table.ids import content_hash, row_id, row_ids

HASHES = [content_hash(text) for text in ("", "a", "ü")]


def test_the_first_eight_bytes():
    expected = [int.from_bytes(bytes.fromhex(found)[:8], "little", signed=True) for found in HASHES]
    for column in (pl.Series(HASHES), pa.array(["x", *HASHES], pa.large_string())[1:], pa.array(HASHES)):
        assert leading(column).tolist() == expected
    assert leading(pa.array([], pa.large_string())).dtype == np.int64


@pytest.mark.parametrize(("wrong", "why"), [("ab", "does not have 32 digits"), ("g" * 32, "not a hexadecimal digit")])
def test_anything_else_is_refused(wrong, why):
    with pytest.raises(ValueError, match=why):
        leading(pl.Series([*HASHES, wrong]))


def test_ids_of_rows_equal_the_ids_of_each():
    rows = pl.DataFrame({"document": ["x", "é", ""], "number": [1, 22, -3]})
    found = rows.select(row_ids("web.documents", pl.lit("S"), pl.col("document"), pl.col("number")).alias("id"))["id"]
    assert found.to_list() == [row_id("web.documents", "S", *row) for row in rows.iter_rows()]
