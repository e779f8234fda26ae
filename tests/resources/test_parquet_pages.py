"""The pages of a Parquet file are measured by their headers, and hostile headers are refused."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resources import thrift
from resources.parquet_pages import TooLargePage, check_pages

LARGE = "y" * (3 << 20)


def written(**options) -> io.BytesIO:
    out = io.BytesIO()
    table = pa.table({"text": [LARGE, "short", None] * 4, "other": [{"n": n} for n in range(12)]})
    pq.write_table(table, out, **{"compression": "zstd", "write_statistics": True, **options})
    return out


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_dictionary": False},
        {"compression": "none"},
        {"data_page_version": "2.0"},
        {"row_group_size": 2, "use_dictionary": False},
        {"write_page_index": True, "write_page_checksum": True},
    ],
)
def test_large_pages_are_found(options):
    out = written(**options)
    metadata = pq.read_metadata(out)
    check_pages(out, metadata, {"text"}, 64 << 20)
    check_pages(out, metadata, {"other", "other.n"}, 1 << 10)
    with pytest.raises(TooLargePage, match=r"row group 0, column 'text': a page has .* at most 1,048,576 are read"):
        check_pages(out, metadata, {"text"}, 1 << 20)


@pytest.mark.parametrize("header", [b"\xff" * 36, b"\x15\x00\x19\x15\x02\x15\x02\x00"], ids=["noise", "a list as size"])
def test_headers_that_cannot_be_read_are_refused(header):
    out = written()
    metadata = pq.read_metadata(out)
    data = bytearray(out.getvalue())
    data[4 : 4 + len(header)] = header
    with pytest.raises(TooLargePage, match="row group 0, column 'text'"):
        check_pages(io.BytesIO(bytes(data)), metadata, {"text"}, 64 << 20)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x15",
        b"\x1d" * 5_000,
        b"\x1c" * 5_000,  # nested too deeply
        b"\x19\xf7" + b"\xff" * 9 + b"\x01",  # a list of 2**63 numbers
        b"\x18\xff\xff\xff\xff\x0f",  # a text that is longer than the data
        b"\x15" + b"\xff" * 100,
    ],
)
def test_undecodable_structures(data):
    with pytest.raises(thrift.Undecodable):
        thrift.structure(data, 0)
