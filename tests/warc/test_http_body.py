"""The body of an HTTP response: it is decoded within limits, and headers of any content are parsed."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest
from fastwarc.stream_io import BrotliWriter
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.warc import charset
from nemotron_assets.warc.http_body import TooLarge, decode_body, parse_content_type, sniff_mime
from nemotron_assets.warc.reader import Limits
from tests.warc.records import HTML, member, parse, record


def brotli(data: bytes) -> bytes:
    class Kept(io.BytesIO):
        def close(self) -> None:  # BrotliWriter closes its stream before it writes the end of the data
            pass

    out = Kept()
    writer = BrotliWriter(out)
    writer.write(data)
    writer.close()
    return out.getvalue()


def chunked(data: bytes, size: int = 7) -> bytes:
    parts = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


@pytest.mark.parametrize(
    ("raw", "transfer", "content"),
    [
        (gzip.compress(HTML), "", "gzip"),
        (gzip.compress(HTML[:9]) + gzip.compress(HTML[9:]), "", "x-gzip"),
        (zlib.compress(HTML), "", "deflate"),
        (raw_deflate(HTML), "", "deflate"),
        (brotli(HTML), "", "br"),
        (chunked(HTML), "chunked", ""),
        (chunked(gzip.compress(HTML)), "chunked", "gzip"),
        (brotli(gzip.compress(HTML)), "", "gzip, br"),
        (HTML, "", "gzip"),
        (HTML, "", "br"),
        (HTML, "", "deflate"),
        (HTML, "chunked", ""),
        (HTML, "identity", "none"),
        (HTML, "", "UTF8"),
    ],
)
def test_body_decoding(raw, transfer, content):
    assert decode_body(raw, transfer, content, 1 << 20) == HTML


@pytest.mark.parametrize(
    ("raw", "content"), [(gzip.compress(HTML)[:-12], "gzip"), (gzip.compress(HTML)[:20] + b"\xff" * 40, "gzip"),
                         (brotli(HTML)[:10] + b"\xff" * 20, "br"), (b"\x1f\x9d\x90<", "compress"),
                         (gzip.compress(b"") * 2_000, "gzip"), (HTML, ", ".join(["gzip"] * 6))]
)  # fmt: skip
def test_damaged_bodies_are_malformed(raw, content):
    with pytest.raises((ValueError, zlib.error)):
        decode_body(raw, "", content, 1 << 20)
    data = member(record(body=raw, headers=[("Content-Type", "text/html"), ("Content-Encoding", content)]))
    assert parse(data)[1] == {"malformed": 1}


@pytest.mark.parametrize("squeeze", [gzip.compress, zlib.compress, raw_deflate, brotli])
def test_bombs_are_too_large(squeeze):
    bomb = squeeze(b"a" * (8 << 20))
    coding = {gzip.compress: "gzip", brotli: "br"}.get(squeeze, "deflate")
    with pytest.raises(TooLarge):
        decode_body(bomb, "", coding, 1 << 20)
    data = member(record(body=bomb, headers=[("Content-Type", "text/html"), ("Content-Encoding", coding)]))
    assert parse(data, Limits(max_body=1 << 20))[1] == {"too_large": 1}


@pytest.mark.parametrize(
    ("start", "mime"),
    [
        (b"<!doctype html>", "text/html"),
        (b"<!-- one --> <!-- two -->\n<html lang=en>", "text/html"),
        (b"<?xml version='1.0'?>\n<!-- c --><!DOCTYPE html>", "text/html"),
        (b"<!-- a comment that never ends <p>", "application/octet-stream"),
        # Comments that could be grouped in more ways than can be tried, if a group could be divided again.
        (b"<!---->" * 290 + b"text", "application/octet-stream"),
        (b"{}", "application/octet-stream"),
    ],
)
def test_html_is_recognised_by_its_beginning(start, mime):
    assert sniff_mime("application/octet-stream", start) == mime


@given(st.binary(max_size=300), st.sampled_from(["gzip", "deflate", "br", "x-gzip", "gzip, br"]), st.booleans())
def test_decoding_junk_fails_cleanly(raw, content, is_chunked):
    try:
        assert len(decode_body(raw, "chunked" if is_chunked else "", content, 4096)) <= max(4096, len(raw))
    except (ValueError, zlib.error):
        pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text/html", ("text/html", None)),
        ('Text/HTML; Charset="UTF-8"', ("text/html", "UTF-8")),
        ("text/html;charset='latin1' ; x=y", ("text/html", "latin1")),
        ("text/html; charset=", ("text/html", None)),
        ("text/html, text/html; charset=utf-8", ("text/html", "utf-8")),
        ("nonsense", ("", None)),
        ("", ("", None)),
        (";charset=koi8-r", ("", "koi8-r")),
    ],
)
def test_content_types(value, expected):
    assert parse_content_type(value) == expected


@given(st.text(max_size=200))
def test_content_types_never_fail(value):
    mime, label = parse_content_type(value)
    assert mime == mime.lower() and (label is None or 0 < len(label) <= 40)
    assert charset.standard_name(label) is None or charset.standard_name(label) in charset._CODECS
