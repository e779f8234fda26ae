"""Encodings: which evidence decides, and that declarations are ignored if the bytes contradict them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.warc import charset
from nemotron_assets.warc.charset import Charset, decide, declared_in_markup, decode, standard_name

RUSSIAN = "<p>Съешь ещё этих мягких французских булок, да выпей же чаю.</p>" * 5
JAPANESE = "<p>いろはにほへと ちりぬるを わかよたれそ つねならむ</p>" * 5
FRENCH = "<p>Voix ambiguë d'un cœur qui au zéphyr préfère les jattes de kiwis.</p>" * 3


def page(text: str, codec: str, declared: str | None = None) -> bytes:
    meta = f'<meta charset="{declared}">' if declared else ""
    return f"<!doctype html><html><head>{meta}<title>t</title></head><body>{text}</body></html>".encode(codec)


@pytest.mark.parametrize(
    ("body", "header", "expected"),
    [
        (page(RUSSIAN, "utf-8"), "utf-8", Charset("utf-8", "header")),
        (page(RUSSIAN, "utf-8"), None, Charset("utf-8", "content")),
        (page("plain", "ascii"), None, Charset("utf-8", "default")),
        (page("plain", "ascii"), "latin1", Charset("windows-1252", "header")),
        (page(RUSSIAN, "utf-8"), "nonsense", Charset("utf-8", "content")),
        (page(RUSSIAN, "cp1251"), "windows-1251", Charset("windows-1251", "header")),
        (page(RUSSIAN, "cp1251", "windows-1251"), None, Charset("windows-1251", "meta")),
        (page(RUSSIAN, "cp1251", "windows-1251"), "utf-8", Charset("windows-1251", "meta", corrected=True)),
        (page(RUSSIAN, "cp1251"), "utf-8", Charset("windows-1251", "content", corrected=True)),
        (page(RUSSIAN, "utf-8", "utf-8"), "ISO-8859-1", Charset("utf-8", "content", corrected=True)),
        (page(JAPANESE, "shift_jis"), "Shift_JIS", Charset("shift_jis", "header")),
        (page(JAPANESE, "euc_jp", "euc-jp"), None, Charset("euc-jp", "meta")),
        (page(JAPANESE, "euc_jp"), None, Charset("euc-jp", "content")),
        (page(JAPANESE, "iso2022_jp", "utf-8"), None, Charset("iso-2022-jp", "content", corrected=True)),
        (b"\xef\xbb\xbf" + page(RUSSIAN, "utf-8"), "windows-1251", Charset("utf-8", "bom", corrected=True)),
        (b"\xff\xfe" + page(RUSSIAN, "utf-16-le"), None, Charset("utf-16le", "bom")),
        (page(FRENCH, "utf-8", "utf-16"), None, Charset("utf-8", "meta")),
        (page("plain", "ascii"), "utf-16", Charset("utf-8", "content", corrected=True)),
        (page(FRENCH, "utf-8")[:-60] + b"\xc3", "utf-8", Charset("utf-8", "header")),
    ],
)
def test_decisions(body, header, expected):
    assert decide(body, header) == expected


def test_a_few_invalid_bytes_do_not_rule_out_utf8():
    body = page(RUSSIAN, "utf-8") + b"\xff\xfe oops"
    assert decide(body, "utf-8") == Charset("utf-8", "header")


def test_labels_in_comments_do_not_count():
    assert declared_in_markup(b'<!-- <meta charset="koi8-r"> --><meta charset=big5>') == "big5"
    assert declared_in_markup(b"<!-- <meta charset=koi8-r>") is None
    assert declared_in_markup(b'<?xml version="1.0" encoding="GB2312"?>') == "GB2312"


@pytest.mark.parametrize(("label", "name"), [("latin1", "windows-1252"), ("x-sjis", "shift_jis"), ("gb2312", "gbk"),
                                             ("UTF8", "utf-8"), ("utf-7", None), ("", None), (None, None)])  # fmt: skip
def test_labels(label, name):
    assert standard_name(label) == name


@given(st.binary(max_size=2000), st.one_of(st.none(), st.text(max_size=20), st.sampled_from(sorted(charset._CODECS))))
def test_any_bytes_get_a_decodable_encoding(body, header):
    decision = decide(body, header)
    assert isinstance(decode(body, decision.name), str)


@given(st.text(min_size=1, max_size=500), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_utf8_survives(text, codec):
    body = ("<p>é中" + text).encode(codec, "replace")
    decision = decide(body, None)
    assert decision.name == "utf-8"
    assert decode(body, decision.name) == ("<p>é中" + text).encode("utf-8", "replace").decode()
