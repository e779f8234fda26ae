"""Finds out which character encoding a page is really in.

Evidence is tried in the order of the WHATWG encoding standard: byte order mark, HTTP header, `<meta>`. A declared
encoding is not used if the bytes contradict it, because servers often declare a default that the page does not follow.
A page without a declared encoding is UTF-8 if its bytes are valid UTF-8; otherwise the encoding is detected from the
bytes.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import chardet
from resiliparse.parse.encoding import map_encoding_to_html5

#: Bytes of a page that are searched for `<meta charset>`. Browsers search 1,024; many real pages need more.
META_WINDOW = 4096
#: Bytes of a page from which its encoding is detected.
DETECT_WINDOW = 65_536
#: The bytes contradict a declared multi-byte encoding if more than this share of the non-ASCII text cannot be decoded.
MAX_UNDECODABLE = 0.1

#: {Python codec that resiliparse maps a label to: (WHATWG name, Python codec that decodes the bytes as browsers do)}.
_NAMES = {
    "utf-8": ("utf-8", "utf-8"),
    "utf-16-le": ("utf-16le", "utf-16-le"),
    "utf-16-be": ("utf-16be", "utf-16-be"),
    "gbk": ("gbk", "gb18030"),
    "gb18030": ("gb18030", "gb18030"),
    "big5": ("big5", "big5hkscs"),
    "euc_jp": ("euc-jp", "euc_jp"),
    "iso2022_jp": ("iso-2022-jp", "iso2022_jp"),
    "shift_jis": ("shift_jis", "cp932"),
    "euc_kr": ("euc-kr", "cp949"),
    "koi8-r": ("koi8-r", "koi8-r"),
    "koi8-u": ("koi8-u", "koi8-u"),
    "mac-roman": ("macintosh", "mac-roman"),
    "mac-cyrillic": ("x-mac-cyrillic", "mac-cyrillic"),
    "cp866": ("ibm866", "cp866"),
    "iso8859-11": ("windows-874", "cp874"),
    **{f"cp{n}": (f"windows-{n}", f"cp{n}") for n in range(1250, 1259)},
    **{f"iso8859-{n}": (f"iso-8859-{n}", f"iso8859-{n}") for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
}
_CODECS = dict(_NAMES.values())
_EXTRA_LABELS = {"cp949": "euc_kr", "cp932": "shift_jis", "ms949": "euc_kr", "x-mac-cyrillic": "mac-cyrillic",
                 "hz-gb-2312": None, "x-user-defined": "cp1252"}  # fmt: skip
_MULTI_BYTE = frozenset({"gbk", "gb18030", "big5", "euc-jp", "shift_jis", "euc-kr"})

_META = re.compile(rb"""<meta\s[^>]{0,512}?charset\s{0,8}=\s{0,8}["']?\s{0,8}([\w.:+-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""^\s{0,64}<\?xml\s[^>]{0,256}?encoding\s{0,8}=\s{0,8}["']([\w.:+-]{1,40})""", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be"))


@dataclass(frozen=True, slots=True)
class Charset:
    """The encoding of a page: its WHATWG `name`, the evidence for it (`source`: bom, header, meta, content or default),
    and whether it is `corrected`, that is, differs from what the page or its server declared."""

    name: str
    source: str
    corrected: bool = False


@functools.lru_cache(maxsize=4096)
def standard_name(label: str | None) -> str | None:
    """The WHATWG name (lower case) of an encoding label: "latin1" is "windows-1252". None for an unknown label."""
    if not label:
        return None
    label = label.strip(" \t\r\n\f\"';").lower()
    codec = _EXTRA_LABELS[label] if label in _EXTRA_LABELS else map_encoding_to_html5(label, fallback_utf8=False)
    return _NAMES[codec][0] if codec in _NAMES else None


def declared_in_markup(body: bytes) -> str | None:
    """The label that `<meta>` or the XML declaration names in the first `META_WINDOW` bytes, comments left out; or
    None."""
    head = body[:META_WINDOW]
    if b"<!--" in head:
        head = _COMMENT.sub(b"", head)
    match = _META.search(head) or _XML.match(head)
    return match.group(1).decode("ascii", "replace") if match else None


def decide(body: bytes, header: str | None) -> Charset:
    """The encoding of a page, given its bytes and the charset parameter of its Content-Type header (or None)."""
    for mark, name in _BOMS:
        if body.startswith(mark):
            return Charset(name, "bom", corrected=standard_name(header) not in (None, name))

    declared, source = standard_name(header), "header"
    markup = None
    if declared is None or declared != "utf-8":
        markup = _standard_name_in_markup(body)
        if declared is None:
            declared, source = markup, "meta"

    if body.isascii():
        # The search for one byte comes first: it is far faster than the search for two, and few pages have the byte.
        if declared != "iso-2022-jp" and b"\x1b" in body and b"\x1b$" in body and _undecodable(body, "iso2022_jp") == 0:
            return Charset("iso-2022-jp", "content", corrected=declared is not None)
        if declared in ("utf-16le", "utf-16be") and b"\0" not in body[:META_WINDOW]:
            return Charset("utf-8", "content", corrected=True)
        return Charset(declared, source) if declared else Charset("utf-8", "default")

    valid_utf8 = _is_utf8(body)
    if declared and _plausible(body, declared, valid_utf8):
        return Charset(declared, source)
    if valid_utf8:
        return Charset("utf-8", "content", corrected=declared is not None)
    if source == "header":
        markup = markup or _standard_name_in_markup(body)
        if markup and markup != declared and _plausible(body, markup, valid_utf8):
            return Charset(markup, "meta", corrected=declared is not None)
    detected = standard_name(chardet.detect(body[:DETECT_WINDOW])["encoding"])
    if detected:
        return Charset(detected, "content", corrected=declared not in (None, detected))
    return Charset(declared, source) if declared else Charset("windows-1252", "default")


def decode(body: bytes, name: str) -> str:
    """The text of a page in the encoding that `decide` named. Undecodable bytes become U+FFFD; a byte order mark is
    removed."""
    return body.decode(_CODECS[name], "replace").removeprefix("\ufeff")


def _standard_name_in_markup(body: bytes) -> str | None:
    name = standard_name(declared_in_markup(body))
    # Markup that names UTF-16 was itself read byte by byte, so the page is not UTF-16: the standard says UTF-8.
    return "utf-8" if name in ("utf-16le", "utf-16be") else name


def _is_utf8(body: bytes) -> bool:
    """Whether the bytes are valid UTF-8; the last character may be cut off."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start >= len(body) - 3
    return True


def _plausible(body: bytes, name: str, valid_utf8: bool) -> bool:
    """Whether bytes with non-ASCII content may be in this encoding."""
    if name == "utf-8":
        return valid_utf8 or _undecodable(body, "utf-8") <= MAX_UNDECODABLE
    if name in ("utf-16le", "utf-16be"):
        return not valid_utf8 and _undecodable(body, _CODECS[name]) <= MAX_UNDECODABLE and b"\0" in body[:META_WINDOW]
    if name in _MULTI_BYTE:
        return _undecodable(body, _CODECS[name]) <= (0 if valid_utf8 else MAX_UNDECODABLE)
    # Every byte string is valid in a single-byte encoding, and text in such an encoding is hardly ever valid UTF-8.
    return not valid_utf8


def _undecodable(body: bytes, codec: str) -> float:
    """The share of the non-ASCII characters in the first `DETECT_WINDOW` bytes that cannot be decoded."""
    text = body[:DETECT_WINDOW].decode(codec, "replace")
    foreign = sum(character > "\x7f" for character in text)
    # One U+FFFD at the end comes from a character that the window cuts in two.
    return (text.count("\ufffd") - text.endswith("\ufffd")) / foreign if foreign else 0.0
