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


CZECH = "<p>Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem.</p>"
HUNGARIAN = "<p>Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az ésszel bírván.</p>"
POLISH = "<p>Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.</p>"
CHINESE = "<p>人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。</p>"
TAIWAN = "<p>人人生而自由,在尊嚴和權利上一律平等。他們賦有理性和良心,並應以兄弟關係的精神互相對待。</p>"
KOREAN = "<p>모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.</p>"
THAI = "<p>มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ ต่างมีเหตุผลและมโนธรรม</p>"
GREEK = "<p>Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.</p>"
TURKISH = "<p>Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler.</p>"
GERMAN = "<p>Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft begabt.</p>"
SPANISH = "<p>Todos los seres humanos nacen libres e iguales en dignidad y derechos, dotados como están de razón.</p>"
DANISH = "<p>Alle mennesker er født frie og lige i værdighed og rettigheder. De er udstyret med fornuft.</p>"
STYLE = "<style>" + "p{color:red} " * 9_000 + "</style>"


@pytest.mark.parametrize(
    ("text", "codec", "declared", "expected"),
    [
        (JAPANESE, "cp932", "iso-8859-1", "shift_jis"),
        ("<p>今日は天気がとても良いので、公園へ行きました。</p>", "cp932", "windows-1252", "shift_jis"),
        (JAPANESE, "euc_jp", "iso-8859-1", "euc-jp"),
        (CHINESE, "gb18030", "iso-8859-1", "gb18030"),
        (TAIWAN, "big5", "windows-1252", "big5"),
        (KOREAN, "cp949", "iso-8859-1", "euc-kr"),
        (THAI, "cp874", "iso-8859-1", "windows-874"),
        (RUSSIAN, "cp1251", "iso-8859-1", "windows-1251"),
        (RUSSIAN, "koi8-r", "windows-1251", "koi8-r"),
        (RUSSIAN, "iso8859-5", "iso-8859-1", "iso-8859-5"),
        (CZECH, "cp1250", "windows-1252", "windows-1250"),
        (CZECH, "iso8859-2", "iso-8859-1", "iso-8859-2"),
        (HUNGARIAN, "cp1250", "iso-8859-1", "windows-1250"),
        (POLISH, "cp1250", "latin1", "windows-1250"),
        (POLISH, "iso8859-2", "iso-8859-1", "iso-8859-2"),
        (GREEK, "cp1253", "iso-8859-1", "windows-1253"),
        (TURKISH, "cp1254", "iso-8859-1", "windows-1254"),
    ],
)
@pytest.mark.parametrize("before", ["", STYLE, f"<p>© 2024</p>{STYLE}"], ids=["early", "late", "late-after-a-sign"])
def test_a_server_s_default_does_not_hide_the_encoding_wherever_the_text_begins(
    text, codec, declared, expected, before
):
    body = (before.replace("©", "&copy;" if codec != "cp1251" else "©") + text * 3).encode(codec, "xmlcharrefreplace")
    found = decide(body, declared)
    assert found == Charset(expected if expected != "gb18030" else found.name, "content", corrected=True)
    assert text in decode(body, found.name)


@pytest.mark.parametrize(
    ("text", "codec"),
    [(CZECH, "cp1250"), (POLISH, "iso8859-2"), (RUSSIAN, "cp1251"), (CHINESE, "gb18030"), (KOREAN, "cp949"),
     (THAI, "cp874"), (JAPANESE, "cp932"), (CZECH, "iso8859-2"), (RUSSIAN, "iso8859-5")],
)  # fmt: skip
@pytest.mark.parametrize("declared", [None, "utf-8"])
def test_the_encoding_is_detected_behind_a_hundred_kilobytes_of_style_sheet(text, codec, declared):
    body = (STYLE + text * 3).encode(codec)
    found = decide(body, declared)
    assert text in decode(body, found.name)
    assert (found.source, found.corrected) == ("content", declared is not None)


@pytest.mark.parametrize("text", [FRENCH, GERMAN, SPANISH, DANISH, "<p>caf\u00e9 \u2013 na\u00efve</p>"])
@pytest.mark.parametrize("repeat", [1, 4])
def test_right_declarations_of_western_pages_are_kept(text, repeat):
    body = (text.replace("œ", "oe") * repeat).encode("cp1252")
    assert decide(body, "iso-8859-1") == Charset("windows-1252", "header")
    assert decide(body, "iso-8859-15").source == "header"


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [(RUSSIAN, "koi8-r", "koi8-r"), (RUSSIAN, "cp866", "ibm866"), (POLISH, "iso8859-2", "iso-8859-2"),
     (CZECH, "cp1250", "windows-1250"), (CHINESE, "gbk", "gbk"), (THAI, "cp874", "windows-874"),
     (RUSSIAN, "mac-cyrillic", "x-mac-cyrillic"), (RUSSIAN, "iso8859-5", "iso-8859-5"), (TAIWAN, "big5", "big5")],
)  # fmt: skip
def test_right_declarations_of_other_pages_are_kept(text, codec, name):
    assert decide((text * 2).encode(codec), name) == Charset(name, "header")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [FRENCH, RUSSIAN, CHINESE, "<p>plain</p>"])
@pytest.mark.parametrize("declared", [None, "utf-8", "iso-8859-1"])
def test_utf16_without_a_mark(codec, text, declared):
    body = page(text, codec)
    name = codec.replace("16-", "16")
    assert decide(body, declared) == Charset(name, "content", corrected=declared is not None)
    assert decide(body, name) == Charset(name, "header")


def test_stray_nul_bytes_are_not_utf16():
    assert decide(page(FRENCH, "utf-8").replace(b" ", b" \0", 3), "utf-8") == Charset("utf-8", "header")
    assert decide(b"\0" * 64 + page(FRENCH, "utf-8"), None).name == "utf-8"


def test_detection_takes_time_that_grows_with_the_window_and_not_with_the_page():
    hostile = (b"a" * 63 + b"\xe9") * (1 << 16)
    assert len(charset._foreign_part(hostile)) == charset.TEST_WINDOW
    assert len(charset._foreign_part(b"x" * 100_000 + b"\xe9" + b"y" * (4 << 20))) < 4_096


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
