"""Bytes of files are decoded or get a fate; unsafe paths are found."""

from __future__ import annotations

import codecs
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemotron_assets.code.sources.files import FATES, blob_id
from nemotron_assets.code.sources.language import language_of
from nemotron_assets.code.sources.text import decode, printable, unsafe

TEXT = "def grüße(name):\n    return f'Hallo {name}'\n"
RUSSIAN = "# Это обычный комментарий на русском языке, в котором достаточно букв\nx = 1\n" * 5
CHINESE = "// 这是一个用中文写的普通注释,字数足够多,可以判断编码\nint x;\n" * 5
KOREAN = "// 이것은 한국어로 쓴 평범한 주석입니다. 글자 수가 충분합니다\nint x;\n" * 5
JAPANESE = "// これは日本語で書かれた普通のコメントです。文字は十分にあります。\nint x;\n" * 5


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (TEXT.encode(), TEXT, "utf-8"),
        (codecs.BOM_UTF8 + TEXT.encode(), TEXT, "utf-8-sig"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), TEXT, "utf-16-le"),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), TEXT, "utf-16-be"),
        (codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"), TEXT, "utf-32-le"),
        (TEXT.encode("utf-16-le"), TEXT, "utf-16-le"),
        (TEXT.encode("utf-16-be"), TEXT, "utf-16-be"),
        (TEXT.encode("latin-1"), TEXT, "cp1252"),
        ("price = '5 €' # “quoted”\n".encode("cp1252"), "price = '5 €' # “quoted”\n", "cp1252"),
        (RUSSIAN.encode("cp1251"), RUSSIAN, "cp1251"),
        (RUSSIAN.encode("koi8-r"), RUSSIAN, "koi8-r"),
        (CHINESE.encode("gb18030"), CHINESE, "gb18030"),
        (CHINESE.encode("gbk"), CHINESE, "gb18030"),
        (KOREAN.encode("cp949"), KOREAN, "cp949"),
        (b"+AGE-bc +ZeVnLIqe- // UTF-7 is ASCII\n", "+AGE-bc +ZeVnLIqe- // UTF-7 is ASCII\n", "utf-8"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid = 1\nint main() {}\n",
            "version https://git-lfs.github.com/spec/v1\noid = 1\nint main() {}\n",
            "utf-8",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\nsays the file\n",
            "version https://git-lfs.github.com/spec/v1\nsays the file\n",
            "utf-8",
        ),
        (JAPANESE.encode("cp932"), JAPANESE, "cp932"),
        (JAPANESE.encode("euc_jp"), JAPANESE, "euc_jp"),
        (b"a\r\nb\rc\n\f", "a\r\nb\rc\n\f", "utf-8"),
        (b"\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n", "utf-8"),
    ],
)
def test_text_keeps_every_character_and_loses_its_mark(data, text, encoding):
    assert decode(data, 0.02)[:3] == (text, encoding, "kept")


@pytest.mark.parametrize(
    ("data", "fate"),
    [
        (b"", "empty"),
        (codecs.BOM_UTF8, "empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "binary"),
        (b"text with one zero\0byte", "binary"),
        (bytes(range(1, 32)) * 20, "binary"),
        (os.urandom(2_000).replace(b"\0", b"\1") + b"\x81\x01", "binary"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "lfs_pointer"),
        (b"version https://git-lfs.github.com/spec/v1\r\noid sha256:4d7a\r\nsize 12345\r\n", "lfs_pointer"),
        (b"version https://hawser.github.com/spec/v1\next-0-foo sha256:1\noid sha256:2\nsize 1\nx.y z", "lfs_pointer"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8", "binary"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")[:-1], "binary"),
        (TEXT.encode("utf-32-le"), "binary"),
        (("# naïve café, größer\n" * 9).encode() + b"# caf\xe9\n", "undecodable"),
        ("# 普通的注释\n".encode() * 9 + b"\xff\xfe broken\n", "undecodable"),
        (b"plain text with a byte \x81 that Western text does not have\n" * 3, "undecodable"),
    ],
)
def test_a_file_that_is_not_text_has_its_fate(data, fate):
    decoded = decode(data, 0.02)
    assert (decoded.text, decoded.fate) == (None, fate)
    assert fate in FATES


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=600),
        st.text(max_size=200).map(lambda t: t.encode("utf-8", "ignore")),
        st.text(max_size=100).map(lambda t: t.encode("utf-16", "ignore")),
    ),
    st.text(max_size=40),
)
def test_any_bytes_become_text_that_a_table_can_hold_or_a_fate(data, name):
    decoded = decode(data, 0.02)
    assert (decoded.text is None) == (decoded.fate != "kept")
    assert decoded.fate in FATES
    if decoded.text is not None:
        assert decoded.text.encode().decode() == decoded.text
        assert "\0" not in decoded.text
        language = language_of(name, decoded.text, model=False)
        assert language.name and language.by in ("filename", "extension", "shebang", "content", "nothing")


@given(st.text(max_size=60))
@example(text="0\0")
def test_valid_utf_8_is_never_changed(text):
    decoded = decode(text.encode(), 1.0)
    allowed = {text, text.removeprefix("\ufeff"), None}
    if "\0" in text:  # a longer text in which every second character is NUL is UTF-16
        allowed = {None, text[::2], text[1::2]} if len(text) >= 16 else {None}
    assert decoded.text in allowed


def test_blob_ids_are_gits():
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"what is up, doc?") == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"


@pytest.mark.parametrize(
    "path", ["a.py", "a/b/c.h", ".github/x.yml", "naïve/ü.py", "a b/c'd.py", "..a/b..", ".gitignore"]
)
def test_ordinary_paths_are_safe(path):
    assert unsafe(path) is None


@pytest.mark.parametrize(
    "path",
    ["", "/a", "../a", "a/..", "a/../b", "./a", "a//b", "a/", "C:/a", "c:a", "a\\b", "a\0b", "a\nb", ".git/config",
     "a/.GIT/x", "\udc80", "x" * 256, "a/" * 513 + "b", "a\u202eb"],
)  # fmt: skip
def test_paths_that_could_lead_elsewhere_are_not(path):
    assert unsafe(path)
    assert printable(path).isprintable() and len(printable(path)) <= 1_000


@given(st.text(alphabet=st.characters(), max_size=50))
def test_a_safe_path_stays_below_the_folder_it_is_joined_to(path):
    if unsafe(path) is None:
        assert os.path.normpath(os.path.join("/root/folder", path)).startswith("/root/folder/")
