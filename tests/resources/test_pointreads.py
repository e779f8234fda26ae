"""Reading single values of a Parquet column gives what reading the whole column gives."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resources.pointreads import NotIndexed, values_at

OPTIONS = {"use_dictionary": False, "write_page_index": True, "data_page_size": 1 << 12, "write_batch_size": 4}


def write(path, texts, nullable=False, **options) -> str:
    schema = pa.schema([("number", pa.int64()), pa.field("text", pa.large_string(), nullable=nullable)])
    table = pa.table({"number": range(len(texts)), "text": texts}, schema)
    pq.write_table(table, path, **{"compression": "zstd", **OPTIONS, **options})
    return str(path)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.text(max_size=40).flatmap(lambda t: st.sampled_from([t, t * 100])), min_size=1, max_size=60),
    st.data(),
    st.sampled_from(["zstd", "none"]),
    st.sampled_from([7, 1_000]),
)
def test_values_equal_those_of_the_whole_column(tmp_path_factory, texts, data, compression, group):
    path = write(tmp_path_factory.mktemp("p") / "f.parquet", texts, compression=compression, row_group_size=group)
    rows = sorted(data.draw(st.sets(st.integers(0, len(texts) - 1))))
    assert values_at(path, "text", rows) == [texts[row].encode() for row in rows]


def test_many_pages_and_groups(tmp_path):
    texts = [f"{k} " * (k % 700) for k in range(20_000)]
    path = write(tmp_path / "f.parquet", texts, row_group_size=9_000)
    rows = [0, 1, 15, 16, 8_999, 9_000, 9_001, 17_999, 18_000, 19_999]
    assert values_at(path, "text", rows) == [texts[row].encode() for row in rows]
    assert values_at(path, "text", range(20_000)) == [text.encode() for text in texts]
    assert values_at(path, "text", []) == []


@pytest.mark.parametrize(
    "options",
    [{"write_page_index": False}, {"use_dictionary": True}, {"compression": "snappy"}, {"nullable": True},
     {"data_page_version": "2.0"}, {"column_encoding": {"text": "DELTA_LENGTH_BYTE_ARRAY"}}],
    ids=str,
)  # fmt: skip
def test_other_layouts_are_refused(tmp_path, options):
    path = write(tmp_path / "f.parquet", ["a", "b"], **options)
    with pytest.raises(NotIndexed):
        values_at(path, "text", [1])


def test_a_missing_row_is_an_error(tmp_path):
    path = write(tmp_path / "f.parquet", ["a", "b"])
    with pytest.raises(IndexError, match="has 2 rows"):
        values_at(path, "text", [1, 2])
    assert os.path.getsize(path) > 0


def test_a_changed_page_is_an_error(tmp_path):
    texts = ["an easily found text" + "x" * 3_000] * 50
    path = write(tmp_path / "f.parquet", texts, compression="none", write_page_checksum=True)
    assert values_at(path, "text", [49]) == [texts[49].encode()]
    whole = bytearray((tmp_path / "f.parquet").read_bytes())
    whole[whole.index(b"easily")] ^= 1
    (tmp_path / "f.parquet").write_bytes(whole)
    with pytest.raises(OSError, match=r"f\.parquet: a page .* differs from its checksum"):
        values_at(path, "text", range(50))
