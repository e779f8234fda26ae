"""Hostile crawls and own files: WARC files, HTTP bodies and headers, encodings, lists of files and snapshots, rows."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemotron_assets.snapshots.ingest import IngestError, describe
from nemotron_assets.snapshots.rows import RowFile
from nemotron_assets.warc import charset
from nemotron_assets.warc.http_body import decode_body, parse_content_type, sniff_mime
from nemotron_assets.warc.pages import page_batch
from nemotron_assets.warc.reader import Limits, NotWarc, OverLimit, WarcFile
from resources import gunzip
from resources.crawl.errors import CrawlError
from resources.crawl.http_source import retry_after
from resources.crawl.layout import parse_collinfo, parse_listing
from tests.fuzz.hostile import first_bytes, fuzz
from tests.warc.records import HTML, dictionary_frame, frame, member, record
from tests.warc.test_http_body import brotli, chunked, raw_deflate

LIMITS = Limits(max_body=1 << 20)
RECORDS = [
    record(f"http://a.example/{n}", HTML * n, extra=[("WARC-Payload-Digest", "sha1:ABC")], kind=kind)
    for n, kind in enumerate(("response", "revisit", "resource", "metadata", "response"), 1)
]


def read_warc(data: bytes) -> None:
    for pages in WarcFile(io.BytesIO(data), LIMITS).batches():
        page_batch(pages, "s", "f")


@pytest.mark.parametrize("pack", [member, frame, bytes], ids=["gzip", "zstd", "plain"])
def test_warc_files(pack):
    seeds = [b"".join(map(pack, RECORDS)), pack(RECORDS[0]) + pack(b"".join(RECORDS)), pack(RECORDS[0]) * 3]
    if pack is frame:
        seeds.append(dictionary_frame(b"words of a dictionary" * 9) + seeds[0])
    pieces = [
        pack(b""), pack(b"x"), pack(RECORDS[2]), b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x50\x2a\x4d\x18\0\0\0\0",
        b"WARC/1.0\r\n", b"\nWARC/1.0\r\n\r\n", b"Content-Length: 9\r\n", b"\r\n", b"\0",
    ]  # fmt: skip
    fuzz(read_warc, seeds, pieces, errors=(NotWarc, OverLimit), size=16_384)


def test_warc_records_with_hostile_blocks():
    """The damage is in the record and not in the compression, so that all of it reaches the parsers."""
    pieces = [
        b"HTTP/1.1 200 OK\r\n", b"Content-Type: text/html; charset=", b"Content-Encoding: gzip, br\r\n", b" ",
        b"a: b\r\n", b"Transfer-Encoding: chunked\r\n", b"WARC-Date: 0001-01-01T00:00:00Z\r\n", b"<html>",
        b"WARC-Type: ",
    ]  # fmt: skip
    fuzz(lambda data: read_warc(member(RECORDS[0]) + member(data)), RECORDS, pieces, errors=(NotWarc, OverLimit))


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("br", brotli),
        ("chunked", chunked),
    ],
)
def test_http_bodies(coding, pack):
    pieces = [
        pack(b""), pack(b"a"), pack(b"<" * 99_999), b"\x1f\x8b\x08\0", b"0\r\n\r\n", b"1\r\na\r\n", b"ffffffff\r\n",
        b"\0",
    ]  # fmt: skip
    fuzz(
        lambda data: decode_body(data, "", coding, 1 << 20),
        [pack(HTML), pack(HTML) * 3, pack(pack(HTML))],
        pieces,
        errors=(ValueError, zlib.error),
        size=200_000,
    )


def test_compressed_streams():
    pieces = [member(b""), member(b"a"), member(b"a" * 99_999), b"\x1f\x8b\x08", b"\0"]
    fuzz(
        lambda data: first_bytes(gunzip.inflated(io.BytesIO(data))),
        [member(HTML), member(HTML) + member(b"") + member(HTML * 9)],
        pieces,
        errors=(ValueError, EOFError, zlib.error),
        size=500_000,
    )


def test_beginnings_of_pages():
    pieces = [b"<!---->", b"<!--", b"-->", b" ", b"<?xml", b"<?xml version='1'?>", b"<", b"<meta charset=", b"<html"]
    fuzz(lambda data: sniff_mime("", data), [HTML, b"<!-- a -->" + HTML], pieces, repeated=300, size=4_096)


def test_encodings():
    texts = ["<meta charset='koi8-r'>Съешь ещё этих мягких булок", "いろはにほへと", "d\xe9j\xe0 vu", "\ufeffplain"]
    seeds = [text.encode(codec, "replace") for text in texts for codec in ("utf-8", "cp1251", "shift_jis", "utf-16-le")]
    pieces = [
        b"<meta ", b"charset=", b"<!--", b"\x1b$B", b"\xff\xfe", b"\x81\x40", b"\xe3\x81", b"\0a",
        b"<?xml encoding='",
    ]  # fmt: skip

    def read(data: bytes) -> None:
        label = parse_content_type(data[:60].decode("latin-1"))[1]
        charset.decode(data, charset.decide(data, label).name)

    fuzz(read, [seed * 9 for seed in seeds], pieces, size=4_096)


def test_headers():
    pieces = [b"charset=", b" ", b";", b"text/html", b"'", b"99999999999", b"Fri, 31 Dec 1999 23:59:59 GMT", b"\t"]

    def read(data: bytes) -> None:
        value = data.decode("utf-8", "replace")
        parse_content_type(value)
        wait = retry_after(value)
        assert wait is None or 0 <= wait < float("inf")

    fuzz(read, [b"text/html; charset=utf-8", b"Fri, 31 Dec 1999 23:59:59 GMT", b"120", b"nan"], pieces, size=16_384)


def test_lists_of_files():
    lines = b"\n".join(b"crawl-data/CC-MAIN-2024-51/segments/1/warc/a-%05d.warc.gz" % n for n in range(50))
    pieces = [b"a\n", b"\n", b" \n", b"../", b"a/", b"\0", b"http://a.example/x\n", b"\xff"]
    errors = (CrawlError, ValueError, EOFError, zlib.error)

    def read(data: bytes) -> None:
        parse_listing(gzip.compress(data, 1), 1, 10_000)

    fuzz(read, [lines, b"a\nb\n"], pieces, errors=errors, size=200_000)
    packed = [member(lines), member(lines) * 2]
    fuzz(lambda data: parse_listing(data, 1, 10_000), packed, [member(b""), member(b"a\n"), b"\x1f\x8b"], errors=errors)


def test_lists_of_snapshots():
    known = [{"id": f"CC-MAIN-2024-{n}", "name": "x", "from": "2024-01-01T00:00:00", "to": None} for n in range(9)]
    pieces = [b"[", b"{", b"{}", b'{"id": "a"},', b'"id": ', b"\\ud83d", b"9" * 50, b"1e999,", b"null,"]

    def read(data: bytes) -> None:
        for snapshot in parse_collinfo(data):
            snapshot.name.encode()

    fuzz(read, [json.dumps(known).encode()], pieces, errors=(ValueError, TypeError, RecursionError), size=200_000)


@pytest.fixture
def read_rows(tmp_path):
    """A function that reads a file of rows as `nemotron ingest` and the asset do."""

    def read(data: bytes, name: str) -> None:
        path = tmp_path / name
        path.write_bytes(data)
        [spec] = describe([path], "s", text_column="text")
        source = RowFile(path, {**spec, "at": datetime(2024, 1, 1, tzinfo=UTC)}, LIMITS, lambda *_: None)
        try:
            for pages in source.batches():
                page_batch(pages, "s", "f")
        except (OSError, EOFError, ValueError, OverflowError, zlib.error, pa.ArrowException):  # what the asset expects
            pass

    return read


def test_json_lines(read_rows):
    row = {"text": "some text", "url": "http://a.example/", "date": "2024-01-01T00:00:00+02:00", "n": 1}
    lines = b"".join(json.dumps({**row, "n": n}).encode() + b"\n" for n in range(20))
    pieces = [
        b"\n", b"{", b"[", b'{"text": "a"}\n', b'"text": ', b"\\ud83d", b"\\u0000", b'"url": "\\udc00",', b"1e999",
        b'{"a":', b",", b'"date": "9999-12-31T23:59:59-23:59",',
    ]  # fmt: skip
    errors = (IngestError,)
    fuzz(lambda data: read_rows(data, "a.jsonl"), [lines], pieces, errors=errors)
    fuzz(
        lambda data: read_rows(data, "a.jsonl.gz"),
        [member(lines), member(lines) * 2],
        [member(b""), b"\0"],
        errors=errors,
    )


def test_parquet(read_rows):
    table = pa.table(
        {
            "text": ["one", None, "three é", ""] * 9,
            "url": ["http://a.example/", None, "x", "y"] * 9,
            "date": pa.array([0, 1, None, 1 << 40] * 9, pa.timestamp("us")),
        }
    )
    seeds = []
    for options in (
        {},
        {"use_dictionary": False, "compression": "zstd"},
        {"data_page_version": "2.0", "row_group_size": 5},
    ):
        out = io.BytesIO()
        pq.write_table(table, out, **options)
        seeds.append(out.getvalue())
    fuzz(
        lambda data: read_rows(data, "a.parquet"),
        seeds,
        [b"PAR1", b"\0", b"\xff\xff\xff\x7f", b"\x15\x00"],
        errors=(IngestError,),
    )
