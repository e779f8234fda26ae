"""The header of an HTTP response: every form that servers and crawlers write gives the same page."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.warc.http_body import TooLarge, decode_body
from nemotron_assets.warc.http_head import MAX_HEAD, Head, read_head, second_head
from tests.warc.records import HTML, frame, parse
from tests.warc.test_http_body import brotli, raw_deflate

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
END = b"\r\n"


def response(block: bytes, kind: str = "application/http; msgtype=response") -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://a.example/\r\nWARC-Date: 2024-12-01T16:20:23Z\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        OK + END,
        b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\n\n",
        b"HTTP/1.1 200 OK\nContent-Type: text/html\r\n\r\n",
        b"HTTP/1.1 200 OK\r\r\nContent-Type: text/html\r\r\n\r\r\n",
        b"ICY 200 OK\r\nContent-Type: text/html\r\n\r\n",
        b"http/1.0 200 ok\r\ncontent-type: text/html\r\n\r\n",
        b"HTTP/2 200\r\ncontent-type: text/html\r\n\r\n",
        b"HTTP/1.1 200\r\nCONTENT-TYPE:text/html\r\n\r\n",
        b"\r\n" + OK + END,
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html;\r\n charset=utf-8\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + END,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK + END,
        b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n" + OK + END,
        b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\n\n" + OK.replace(b"\r", b"") + b"\n",
        OK + END + OK + END,
        OK + b"Content-Encoding: gzip\r\n\r\n" + OK + END,
    ],
    ids=repr,
)
def test_every_form_of_a_header_gives_the_page(head):
    pages, counts, broken = parse(response(head + HTML))
    assert [(page.html, page.mime, page.charset) for page in pages] == [(HTML, "text/html", "utf-8")]
    assert counts == {"page": 1} and not broken


@pytest.mark.parametrize(
    ("block", "fate", "detail"),
    [
        (HTML, "malformed", "no HTTP status line"),
        (b"HTTPS 200 OK\r\n\r\n" + HTML, "malformed", "no HTTP status line"),
        (b"HTTP/1.1 2000 OK\r\n\r\n" + HTML, "malformed", "no HTTP status line"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_HEAD + b"\r\n\r\n" + HTML, "malformed", "no HTTP status line"),
        (b"HTTP/1.1 301 Moved\nLocation: /b\n\n", "redirect", None),
        (b"icy 404 not found\r\n\r\n" + HTML, "not_200", None),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n" + HTML, "not_200", None),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "not_200", None),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "malformed", "no HTTP status line"),
        (OK, "empty", None),
        (OK + END, "empty", None),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: bzip2\r\n\r\n\x42\x5a\x68\x00\x01\x02",
         "malformed", "unknown content coding 'bzip2'"),
    ],
)  # fmt: skip
def test_what_is_no_page_has_an_honest_fate(block, fate, detail):
    pages, counts, broken = parse(response(block))
    assert not pages and counts == {fate: 1}
    assert [detail in what[2] for what in broken] == ([True] if detail else [])


def test_a_second_header_adds_to_the_first_and_its_codings_are_undone():
    inner = OK + b"Content-Encoding: gzip\r\nX-Robots-Tag: noai\r\n\r\n" + gzip.compress(HTML)
    outer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTDM-Reservation: 1\r\n\r\n"
    pages, _, _ = parse(response(outer + b"%x;a=b\r\n%s\r\n0\r\n\r\n" % (len(inner), inner)))
    assert [(page.html, page.opt_outs) for page in pages] == [(HTML, ("noai", "tdm-reservation"))]


def test_an_example_of_a_header_in_a_page_is_not_a_header():
    text = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nis how a response begins."
    assert second_head(text, Head(200, {"content-type": "text/plain"})) is None
    assert second_head(b"HTTP/1.1 200 OK is what a server says\r\n\r\nfirst", Head(200, {})) is None
    assert second_head(b"<!doctype html>" + text, Head(200, {})) is None


def test_values_of_one_name_are_joined():
    head, at = read_head(b"HTTP/1.1 200 OK\r\nX-Robots-Tag: noindex\r\nx-robots-tag : noai\r\nno colon\r\n\r\nbody")
    assert head.get("x-robots-tag") == "noindex, noai" and head.get("missing") == ""
    assert at == len(b"HTTP/1.1 200 OK\r\nX-Robots-Tag: noindex\r\nx-robots-tag : noai\r\nno colon\r\n\r\n")


@given(st.binary(max_size=400), st.sampled_from([b"", b"HTTP/1.1 200 OK", OK, OK + END, b"ICY 100 x\n\n"]))
def test_any_bytes_are_read_or_refused(data, start):
    found = read_head(start + data)
    assert found is None or (0 < found[1] <= len(start + data) and 0 <= found[0].status <= 999)


# -- bodies ------------------------------------------------------------------------------------------------------------

WIDE = "\ufeff<html><body>wide text</body></html>".encode("utf-16-le")


@pytest.mark.parametrize(
    ("raw", "content", "expected"),
    [
        (frame(HTML), "zstd", HTML),
        (frame(gzip.compress(HTML)), "gzip, zstd", HTML),
        # A wrong name: the first bytes say what it is.
        (gzip.compress(HTML), "br", HTML),
        (gzip.compress(HTML), "deflate", HTML),
        (gzip.compress(HTML), "zstd", HTML),
        (frame(HTML), "gzip", HTML),
        (brotli(HTML), "x-br", HTML),
        (raw_deflate(HTML), "x-deflate", HTML),
        (gzip.compress(HTML), "gzip, gzip", HTML),
        (gzip.compress(HTML), '"gzip"', HTML),
        # Unknown names over a page that is not encoded, or is encoded evidently.
        (HTML, "text/html", HTML),
        (HTML, "zstd", HTML),
        (HTML, "iso-8859-1", HTML),
        (b"plain words without markup", "utf8, binary", b"plain words without markup"),
        ("Ein kürzerer Satz".encode(), "none-such", "Ein kürzerer Satz".encode()),
        (WIDE, "unicode", WIDE),
        (gzip.compress(HTML), "application/gzip", HTML),
    ],
)  # fmt: skip
def test_codings_by_evidence(raw, content, expected):
    assert decode_body(raw, "", content, 1 << 20) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"%x;ieof\r\n%s\r\n0\r\n\r\n" % (len(HTML), HTML),
        b'%X ; name="a;b" ; c\r\n%s\r\n0;last\r\nTrailer: x\r\n\r\n' % (len(HTML), HTML),
        b"%08x   \r\n%s\r\n" % (len(HTML), HTML),  # the last chunk is missing
        b"%x\n%s\n0\n\n" % (len(HTML), HTML),
        b"5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (HTML[:5], len(HTML) - 5, HTML[5:]),
        HTML,
    ],
)
def test_chunks(raw):
    assert decode_body(raw, "chunked", "", 1 << 20) == HTML


def test_damaged_chunks_are_named():
    with pytest.raises(ValueError, match="chunk 1 has 3 of 255 bytes"):
        decode_body(b"ff\r\nabc", "chunked", "", 1 << 20)
    with pytest.raises(ValueError, match="chunk 2 does not begin with its size"):
        decode_body(b"3\r\nabc\r\nxyz", "chunked", "", 1 << 20)
    with pytest.raises(TooLarge):
        decode_body(b"fff\r\n" + b"a" * 0xFFF, "chunked", "", 1 << 10)
    assert decode_body(b"2024\nwas a year", "chunked", "", 1 << 10) == b"2024\nwas a year"


def test_pages_that_are_compressed_without_a_word_are_read():
    for packed in (gzip.compress(HTML), frame(HTML), gzip.compress(gzip.compress(HTML))):
        assert [page.html for page in parse(response(OK + END + packed))[0]] == [HTML]
        assert [p.html for p in parse(response(OK + b"Content-Encoding: gzip\r\n\r\n" + packed))[0]] == [HTML]
    archive = b"HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n\r\n" + gzip.compress(HTML)
    assert parse(response(archive))[1] == {"not_html": 1}


def test_zstandard_bombs_are_too_large():
    with pytest.raises(TooLarge):
        decode_body(frame(b"a" * (8 << 20)), "", "zstd", 1 << 20)
