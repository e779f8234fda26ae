"""Finds out which character encoding a page is really in.

Evidence is tried in the order of the WHATWG encoding standard: byte order mark, HTTP header, `<meta>`. A declared
encoding is not used if the bytes contradict it, because servers often declare a default that the page does not follow:
"iso-8859-1" for a page in Shift_JIS. A page without a declared encoding is UTF-8 if its bytes are valid UTF-8;
otherwise the encoding is detected from the bytes.

Bytes are judged by the places with non-ASCII characters, wherever in the page they stand: style sheets and scripts of
a hundred kilobytes may come before them.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import chardet
from resiliparse.parse.encoding import map_encoding_to_html5

#: Bytes of a page that are searched for `<meta charset>`. Browsers search 1,024; many real pages need more.
META_WINDOW = 4096
#: Bytes that are tested for whether an encoding can decode them.
TEST_WINDOW = 65_536
#: Bytes from which the encoding of a page is detected: its non-ASCII characters and what stands beside them.
DETECT_WINDOW = 16_384
#: Bytes by which a declared encoding is compared with others. The detector takes 15 ms for them.
COMPARE_WINDOW = 2_048
#: A declared encoding is wrong if another one has a confidence higher by this much, judged by so many non-ASCII bytes.
#: Measured on the Declaration of Human Rights in 28 languages, 80 to 1,000 bytes each: right encodings lose by 0.03 at
#: most, wrong ones by 0.13 at least (Czech in windows-1250 that is declared windows-1252).
MIN_LEAD, MIN_FOREIGN = 0.08, 4
#: Encodings that hardly any page uses today (ISO 8859-5 and -6, IBM866) are looked for where the others have at most
#: the first confidence, and are taken from the second on. Right encodings of the Declaration have 0.4 at least.
MAX_UNSURE, MIN_OLD = 0.3, 0.4
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
                 "cp874": "iso8859-11", "tis620": "iso8859-11", "big5-hkscs": "big5", "hz-gb-2312": None,
                 "x-user-defined": "cp1252"}  # fmt: skip
#: ISO encodings that the detector takes for the Windows encoding of the same languages, and that encoding.
_WINDOWS_OF = {"iso-8859-2": "windows-1250", "iso-8859-7": "windows-1253", "iso-8859-13": "windows-1257",
               "iso-8859-15": "windows-1252", "gb18030": "gbk"}  # fmt: skip
_MULTI_BYTE = frozenset({"gbk", "gb18030", "big5", "euc-jp", "shift_jis", "euc-kr"})

_META = re.compile(rb"""<meta\s[^>]{0,512}?charset\s{0,8}=\s{0,8}["']?\s{0,8}([\w.:+-]{1,40})""", re.IGNORECASE)
_XML = re.compile(rb"""^\s{0,64}<\?xml\s[^>]{0,256}?encoding\s{0,8}=\s{0,8}["']([\w.:+-]{1,40})""", re.IGNORECASE)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_NON_ASCII = re.compile(rb"[\x80-\xff]")
_LONG_ASCII = re.compile(rb"[\x00-\x7f]{64,}")
_CONTROLS = re.compile(rb"[\x80-\x9f]")
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

    if name := _utf16_without_mark(body):
        right = standard_name(header) == name
        return Charset(name, "header" if right else "content", corrected=not right and declared is not None)
    if body.isascii():
        # The search for one byte comes first: it is far faster than the search for two, and few pages have the byte.
        if declared != "iso-2022-jp" and b"\x1b" in body and b"\x1b$" in body and _is_iso2022(body):
            return Charset("iso-2022-jp", "content", corrected=declared is not None)
        if declared in ("utf-16le", "utf-16be"):
            return Charset("utf-8", "content", corrected=True)
        return Charset(declared, source) if declared else Charset("utf-8", "default")

    valid_utf8 = _is_utf8(body)
    if declared == "utf-8" and valid_utf8:
        return Charset(declared, source)
    foreign = _foreign_part(body)
    if declared and _plausible(foreign, declared, valid_utf8):
        other = None if declared == "utf-8" else _more_likely(foreign[:COMPARE_WINDOW], declared)
        return Charset(other, "meta" if other == markup else "content", True) if other else Charset(declared, source)
    if valid_utf8:
        return Charset("utf-8", "content", corrected=declared is not None)
    if source == "header":
        markup = markup or _standard_name_in_markup(body)
        if markup and markup != declared and _plausible(foreign, markup, valid_utf8):
            other = None if markup == "utf-8" else _more_likely(foreign[:COMPARE_WINDOW], markup)
            return Charset(other or markup, "content" if other else "meta", corrected=declared is not None)
    guess = chardet.detect(foreign[:DETECT_WINDOW])
    detected = standard_name(guess["encoding"])
    if guess["confidence"] <= MAX_UNSURE:
        detected = _old_encoding(foreign) or detected
    if detected:
        detected = _iso_or_windows(foreign, detected)
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


def _is_iso2022(body: bytes) -> bool:
    """Whether an ASCII page with the escape sequence that begins Japanese text can be decoded as ISO-2022-JP."""
    start = body.find(b"\x1b$")
    return _undecodable(body[start : start + TEST_WINDOW], "iso2022_jp") == 0


def _utf16_without_mark(body: bytes) -> str | None:
    """ "utf-16le" or "utf-16be" if the beginning of a page is written in two bytes per character, one of them 0 in
    markup; else None."""
    start = body[: META_WINDOW & ~1]
    if b"\0" not in start:
        return None
    first, second, pairs = start[::2].count(0), start[1::2].count(0), len(start) // 2
    for name, zeros, others in (("utf-16le", second, first), ("utf-16be", first, second)):
        if (
            zeros > pairs / 8
            and others <= zeros / 16
            and _undecodable(body[:TEST_WINDOW], _CODECS[name]) <= MAX_UNDECODABLE
        ):
            return name
    return None


def _foreign_part(body: bytes) -> bytes:
    """At most `TEST_WINDOW` bytes of a page from its first non-ASCII character on. Runs of 64 or more ASCII characters
    are cut to their beginning and end, so that scripts and style sheets leave room for text."""
    found = _NON_ASCII.search(body)
    at, parts, size = max(0, found.start() - 16) if found else 0, [], 0
    while at < len(body) and size < TEST_WINDOW:
        parts.append(_LONG_ASCII.sub(lambda run: run[0][:16] + b" " + run[0][-16:], body[at : at + TEST_WINDOW]))
        at, size = at + TEST_WINDOW, size + len(parts[-1])
    return b"".join(parts)[:TEST_WINDOW]


def _more_likely(foreign: bytes, declared: str) -> str | None:
    """The encoding that these bytes are in, if it is clearly another than the declared one; else None.

    Nearly every byte string can be decoded in a single-byte encoding, so that only the frequency of letters shows that
    "Pøíliš" is Czech in windows-1250 and not French in windows-1252.
    """
    if len(foreign) - len(_NON_ASCII.sub(b"", foreign)) < MIN_FOREIGN:
        return None
    found: dict[str, float] = {}
    for one in chardet.detect_all(foreign, ignore_threshold=True):
        if name := standard_name(one["encoding"]):
            name = _WINDOWS_OF.get(name, name)
            found[name] = max(found.get(name, 0.0), one["confidence"])
    own = found.get(_WINDOWS_OF.get(declared, declared))
    if own is None and _undecodable(foreign, _CODECS[declared]) == 0:
        return None  # what the detector does not know, it cannot compare
    name = max(found, key=found.__getitem__)
    if found[name] <= MAX_UNSURE and (old := _old_encoding(foreign)):
        return old if old != declared else None
    if found[name] < (own or 0.0) + MIN_LEAD or _undecodable(foreign, _CODECS[name]) > 0:
        return None
    return _iso_or_windows(foreign, name)


def _old_encoding(foreign: bytes) -> str | None:
    """The encoding of an older standard that these bytes are in; None if none of them is likely."""
    eras = chardet.EncodingEra.LEGACY_ISO | chardet.EncodingEra.DOS
    best = chardet.detect_all(foreign[:COMPARE_WINDOW], ignore_threshold=True, encoding_era=eras)[0]
    return standard_name(best["encoding"]) if best["confidence"] >= MIN_OLD else None


def _iso_or_windows(foreign: bytes, detected: str) -> str:
    """The detected encoding, or its ISO relative, which has letters in other places: "¹" is "š" in iso-8859-2.

    The ISO encodings have control characters where the Windows encodings have quotes and letters. Where both have as
    many letters, their frequency decides: "ž" in iso-8859-2 is "ľ" in windows-1250.
    """
    for iso in ("iso-8859-2", "iso-8859-7"):
        if _WINDOWS_OF[iso] == detected and not _CONTROLS.search(foreign):
            letters = {n: sum(map(str.isalpha, foreign.decode(_CODECS[n], "replace"))) for n in (iso, detected)}
            if letters[iso] == letters[detected]:
                return _likelier(foreign, iso, detected)
            return iso if letters[iso] > letters[detected] else detected
    return detected


def _likelier(foreign: bytes, iso: str, windows: str) -> str:
    """The likelier of an ISO encoding and its Windows relative, by the frequency of letters; of equal ones Windows."""
    eras = chardet.EncodingEra.LEGACY_ISO | chardet.EncodingEra.MODERN_WEB
    found = chardet.detect_all(foreign[:COMPARE_WINDOW], ignore_threshold=True, encoding_era=eras)
    best = {name: max((one["confidence"] for one in found if standard_name(one["encoding"]) == name), default=0.0)
            for name in (iso, windows)}  # fmt: skip
    return iso if best[iso] > best[windows] else windows


def _plausible(foreign: bytes, name: str, valid_utf8: bool) -> bool:
    """Whether the non-ASCII part of a page may be in this encoding."""
    if name == "utf-8":
        return valid_utf8 or _undecodable(foreign, "utf-8") <= MAX_UNDECODABLE
    if name in ("utf-16le", "utf-16be"):
        return not valid_utf8 and _undecodable(foreign, _CODECS[name]) <= MAX_UNDECODABLE and b"\0" in foreign
    if name in _MULTI_BYTE:
        return _undecodable(foreign, _CODECS[name]) <= (0 if valid_utf8 else MAX_UNDECODABLE)
    # Every byte string is valid in a single-byte encoding, and text in such an encoding is hardly ever valid UTF-8.
    return not valid_utf8


def _undecodable(data: bytes, codec: str) -> float:
    """The share of the non-ASCII characters that cannot be decoded."""
    text = data.decode(codec, "replace")
    foreign = sum(character > "\x7f" for character in text)
    # One U+FFFD at the end comes from a character that is cut in two.
    return (text.count("\ufffd") - text.endswith("\ufffd")) / foreign if foreign else 0.0
