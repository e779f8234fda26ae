"""Decodes the bytes of a file, or says why the file is not text: binary, empty, an LFS pointer, undecodable.

The encodings are tried in this order: the one that a byte order mark names; UTF-8; UTF-16 without a mark, in which half
of the bytes are zero; a legacy encoding that decodes without an error. Every other file with zero bytes is binary, as
it is for git. The module also checks that a path is safe to use.
"""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: A pointer file of git-lfs has only lines `key value`: the version first, then the object's id and size.
_LFS = re.compile(rb"version https://(?:git-lfs|hawser)\.github\.com/spec/v1\r?\n(?:[a-z0-9.-]+ [^\r\n]*(?:\r?\n|\Z))+")
#: Control characters that are unusual in text: all except tab, line ends, form feed, backspace and escape.
_CONTROL = re.compile(r"[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f\x7f\x80-\x84\x86-\x9f]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_DETECTED_BYTES = 65_536  # chardet looks at so many
_UTF16_PAIRS = 8
_DRIVE = re.compile(r"[A-Za-z]:")
#: {encoding that chardet detects: Python's codec to decode with}. Any other answer is taken for Western (cp1252).
_LEGACY = {
    "shift_jis": "cp932", "cp932": "cp932", "windows-31j": "cp932", "euc-jp": "euc_jp", "iso-2022-jp": "iso2022_jp",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5", "euc-kr": "cp949", "cp949": "cp949",
    "koi8-r": "koi8-r", "windows-1251": "cp1251", "iso-8859-5": "iso8859-5", "windows-1253": "cp1253",
    "iso-8859-7": "iso8859-7", "windows-1250": "cp1250", "iso-8859-2": "iso8859-2", "windows-1255": "cp1255",
}  # fmt: skip


class Decoded(NamedTuple):
    """The text and its encoding (Python's name for it). If the file is not text, both are None, `fate` is one of
    `files.FATES` and `detail` says what was found."""

    text: str | None
    encoding: str | None
    fate: str = "kept"
    detail: str = ""


def decode(data: bytes, max_control_share: float) -> Decoded:
    """Decode a file. The text does not include the byte order mark.

    A file is binary if more than `max_control_share` of its characters are control characters.
    """
    if not data:
        return Decoded(None, None, "empty")
    if len(data) < 1_024 and _LFS.fullmatch(data) and b"\noid " in data and b"\nsize " in data:
        return Decoded(None, None, "lfs_pointer")
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = _decode_strictly(data[len(mark) :], "utf-8" if encoding == "utf-8-sig" else encoding)
            if text is None:
                # Binary formats can begin with the two bytes of a UTF-16 mark.
                return Decoded(None, None, "binary" if b"\0" in data[2:] else "undecodable", f"no valid {encoding}")
            return _check_controls(text, encoding, max_control_share) if text else Decoded(None, None, "empty")
    if b"\0" in data:
        encoding = _guess_utf16(data)
        text = encoding and _decode_strictly(data, encoding)
        return (
            _check_controls(text, encoding, max_control_share) if text else Decoded(None, None, "binary", "zero bytes")
        )
    text = _decode_strictly(data, "utf-8")
    if text is not None:
        return _check_controls(text, "utf-8", max_control_share)
    return _decode_legacy(data, max_control_share)


def _check_controls(text: str, encoding: str, max_control_share: float) -> Decoded:
    """The decoded text, or the fate "binary" if it has a NUL or too many control characters."""
    controls = len(_CONTROL.findall(text))
    if controls > max_control_share * len(text) or (controls and "\0" in text):
        return Decoded(None, None, "binary", f"{controls} control characters")
    return Decoded(text, encoding)


def _decode_legacy(data: bytes, max_control_share: float) -> Decoded:
    """Decode bytes that are not valid UTF-8 with the encoding that chardet detects, else as cp1252."""
    import chardet

    low = sum(data.count(bytes([c])) for c in (*range(7), *range(14, 27), *range(28, 32), 127))
    if low > max_control_share * len(data):
        return Decoded(None, None, "binary", f"{low} control characters")
    # Do not decode damaged UTF-8 with another encoding: it would turn every valid character into nonsense.
    lenient = data.decode("utf-8", "replace")
    wrong = lenient.count("\ufffd")
    if 2 * wrong < sum(len(found) for found in _BEYOND_ASCII.findall(lenient)):
        return Decoded(None, None, "undecodable", f"UTF-8, but for {wrong} bytes")
    found = chardet.detect(data[:_DETECTED_BYTES])
    guess = (found["encoding"] or "").lower() if (found["confidence"] or 0) >= 0.6 else ""
    for encoding in dict.fromkeys((_LEGACY.get(guess), "cp1252")):
        text = _decode_strictly(data, encoding) if encoding else None
        if text is not None and (checked := _check_controls(text, encoding, max_control_share)).text is not None:
            return checked
    return Decoded(None, None, "undecodable", f"no UTF-8, nor {guess or 'anything known'}")


def _decode_strictly(data: bytes, encoding: str) -> str | None:
    """The text, or None if a byte does not fit the encoding."""
    try:
        text = data.decode(encoding)
        text.encode()  # some codecs (UTF-7) give unpaired surrogates, which no table can store
        return text
    except (UnicodeError, LookupError):
        return None


def _guess_utf16(data: bytes) -> str | None:
    """The byte order of UTF-16 text without a mark, or None if the bytes do not look like UTF-16.

    In Western text one byte of each pair is nearly always zero and the other nearly never: "ab" is 61 00 62 00. A file
    of fewer than eight pairs says too little.
    """
    head = data[:4_096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    if len(data) % 2 == 0 and half >= _UTF16_PAIRS:
        if odd > 0.7 * half and even < 0.05 * half:
            return "utf-16-le"
        if even > 0.7 * half and odd < 0.05 * half:
            return "utf-16-be"
    return None


def unsafe(path: str) -> str | None:
    """Why a path is unsafe ("absolute"), or None for a safe path. A safe path joined to a folder stays below it."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        return "not UTF-8"
    if not path or length > 1_024:
        return f"{length} bytes long"
    if path.startswith("/") or _DRIVE.match(path):
        return "absolute"
    if "\\" in path:
        return "a backslash"
    if not path.isprintable():
        return "unprintable characters"
    for part in path.split("/"):
        if part in ("", ".", ".."):
            return f"a part {part!r}"
        if part.lower() == ".git":
            return "inside .git"
        if len(part.encode()) > 255:
            return "a name of more than 255 bytes"
    return None


def printable(path: str) -> str:
    """Any path as printable text: other characters are escaped, and it is cut at 1,000 characters."""
    path = path[:1_000].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in path)
    return "".join(escaped)[:1_000]
