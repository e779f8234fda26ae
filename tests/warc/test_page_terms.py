"""Opt-outs of AI training that a page itself states, in its HTTP header and its markup."""

from __future__ import annotations

import json

import pytest

from nemotron_assets.warc.http_head import Head
from nemotron_assets.warc.page_terms import SIGNALS, opt_outs, stored_headers

TEXT = "<p>The lake lies between two ranges of hills.</p>"


def found(head: str = "", headers: dict[str, str] | None = None, codec: str = "utf-8", charset: str = "utf-8"):
    page = f"<html><head>{head}<title>t</title></head><body>{TEXT}</body></html>"
    return opt_outs(Head(200, headers or {}), page.encode(codec), charset)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ('<meta name="robots" content="noai, noimageai">', ("noai", "noimageai")),
        ("<META NAME=ROBOTS CONTENT=NoAI>", ("noai",)),
        ('<meta content="noindex;noimageai" name="robots">', ("noimageai",)),
        ("<meta name='GPTBot' content='noai'>", ("noai",)),
        ('<meta name="google-extended" content="noai">', ("noai",)),
        ('<meta name="tdm-reservation" content="1">', ("tdm-reservation",)),
        ('<meta name="TDM-Reservation" content=" 1 ">', ("tdm-reservation",)),
        ('<meta property="tdm-reservation" content="1">', ("tdm-reservation",)),
        ('<meta http-equiv="X-Robots-Tag" content="noai">', ("noai",)),
        ('<meta name="robots, googlebot" content="noimageai">', ("noimageai",)),
        ('<meta name="example-ai" content="noai">', ("noai",)),
        ("<style>p{}</style>" * 9_000 + '<meta name="robots" content="noai">', ("noai",)),
        # No opt-out: other words, other values, other elements.
        ('<meta name="robots" content="noindex, nofollow, noarchive">', ()),
        ('<meta name="tdm-reservation" content="0">', ()),
        ('<meta name="tdm-policy" content="https://a.example/p1">', ()),
        ('<meta name="description" content="how to use noai">', ()),
        ('<meta name="robots" content="noaids">', ()),
        ('<!-- <meta name="robots" content="noai"> -->', ()),
        ('<script>var s = \'<meta name="robots" content="noai">\'</script>', ()),
        ("", ()),
    ],
)
def test_markup(head, expected):
    assert found(head) == expected


def test_markup_in_another_encoding():
    head = '<meta name="robots" content="noai"><meta name="tdm-reservation" content="1">'
    assert found(head, codec="utf-16-le", charset="utf-16le") == ("noai", "tdm-reservation")
    assert found(head, codec="cp1251", charset="windows-1251") == ("noai", "tdm-reservation")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-robots-tag": "noai"}, ("noai",)),
        ({"x-robots-tag": "noindex, CCBot: NoAI, noimageai"}, ("noai", "noimageai")),
        ({"x-robots-tag": "unavailable_after: 25 Jun 2024 15:00:00 GMT"}, ()),
        ({"x-robots-tag": '"noai"'}, ("noai",)),
        ({"tdm-reservation": "1"}, ("tdm-reservation",)),
        ({"tdm-reservation": "1, 1", "tdm-policy": "https://a.example/p"}, ("tdm-reservation",)),
        ({"tdm-reservation": "0"}, ()),
        ({"tdm-reservation": "10"}, ()),
        ({"x-other": "noai"}, ()),
    ],
)
def test_headers(headers, expected):
    assert found("", headers) == expected
    assert set(expected) <= set(SIGNALS)


def test_headers_of_interest_are_stored_as_json():
    head = Head(200, {"server": "x", "x-robots-tag": "noai", "tdm-policy": "p" * 5_000})
    stored = json.loads(stored_headers(head))
    assert stored == {"x-robots-tag": "noai", "tdm-policy": "p" * 1_000}
    assert stored_headers(Head(200, {"server": "x"})) is None
