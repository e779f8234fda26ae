"""Turns a model's answer into plain text with the published post-filters, and gives the grammar of a line they keep."""

from __future__ import annotations

import re

# The first character of a line: none that starts Markdown, so that text is left when Markdown is stripped.
_START = r"[^\s\x00-\x1f*_~`#!\[{more}]"
_ENDS = (".", "!", "?", "…", ")", '"', "'", "”", "’", "»", "%", "]", "。", "！", "？", "」", "।", "؟")
#: Characters before a grammar's limit in which the limit already shapes a line: a longer token does not fit any more,
#: and the model takes another one in its place, such as the end of the line.
SLACK = 8
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»"}

_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*$\n?", re.M)
_RULE = re.compile(r"^[ \t]*([*_-])([ \t]*\1){2,}[ \t]*$\n?", re.M)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+", re.M)
_LINK = re.compile(r"!?\[([^\[\]\n]+)\]\([^()\s]{0,4000}\)")
# A span has at most 4,000 characters: a longer search from each of many opening marks takes quadratic time.
_SPANS = (
    re.compile(r"\*\*(?=\S)([^\n]{1,4000}?)(?<=\S)\*\*"),
    re.compile(r"(?<!\w)__(?=\S)(?!\w{1,100}__(?!\w))([^\n]{1,4000}?)(?<=\S)__(?!\w)"),  # except names like __init__
    re.compile(r"~~(?=\S)([^\n]{1,4000}?)(?<=\S)~~"),
    re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]+)(?<=\S)\*(?![\w*])"),
    re.compile(r"(?<![\w_])_(?=[^\s_])([^_\n]+)(?<=\S)_(?![\w_])"),
    re.compile(r"(`+)(?=[^`\s])([^\n]{1,4000}?)(?<=[^`\s])\1(?!`)"),
)
_STRAY = re.compile(r"^[ \t]*passage(?:[ \t]?\d{1,3})?[ \t]?:[ \t]{0,3}$\n?", re.I | re.M)
_ITEM = re.compile(r"^[ \t]*[-*•–][ \t]+")


def line_pattern(shortest: int, longest: int, not_first: str = "") -> str:
    """The regular expression of a line of `shortest` to `longest` characters. The line must not start with white space,
    a sign of Markdown such as "#", or a character of `not_first`."""
    return rf"{_START.format(more=not_first)}[^\n]{{{shortest - 1},{longest - 1}}}"


def literal_pattern(text: str) -> str:
    """A regular expression for exactly this text, without escapes that only Python understands: "1+1" is "1\\\\+1"."""
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)


def strip_markdown(text: str) -> str:
    """The text without the Markdown of bold, italic, code, links, headings, rules and fences: "**a** [b](c)" is "a b".

    Lists stay, because they read well as plain text.
    """
    text = _RULE.sub("", _FENCE.sub("", text.replace("\r\n", "\n")))
    text = _LINK.sub(r"\1", _HEADING.sub("", text))
    for span in _SPANS:
        text = span.sub(lambda found: found[found.re.groups], text)
    return text.strip()


def without_marker(text: str, marker: str) -> str | None:
    """The text after the marker, or None if the text does not begin with the marker."""
    return text[len(marker) :].strip() if text.startswith(marker) else None


def without_quotes(text: str) -> str:
    """The text without the pair of quotes around it. '"Wet" is not "cold"' stays: its quotes are not such a pair."""
    closing = _QUOTES.get(text[:1])
    if closing is None or len(text) < 2 or text[-1] != closing:
        return text
    inner = _APOSTROPHE.sub("", text[1:-1])
    return text if text[0] in inner or closing in inner else text[1:-1].strip()


def without_stray_labels(text: str) -> str:
    """The text without lines that consist of "Passage:" or "Passage 2:"."""
    return _STRAY.sub("", text).strip()


def without_bullets(text: str) -> str:
    """The items of a list as lines. If the first line is not an item, it introduces the list and is dropped."""
    lines = [line for line in text.split("\n") if line.strip()]
    if lines and not _ITEM.match(lines[0]):
        del lines[0]
    return "\n".join(_ITEM.sub("", line).strip() for line in lines).strip()


def sentence_pattern(start: str, shortest: int, longest: int, marks: str = ".?", without: str = "") -> str:
    """The regular expression of one sentence: `start`, then `shortest` to `longest` characters, then one of the marks.
    A mark inside is followed by a small letter or a digit: "3.14", "main.py". `without` are characters that no sentence
    has.

    At the limit no mark is forced: a sentence that reaches it has one more character in the place of its mark, so that
    `cut_sentence` knows it.
    """
    unit = rf"([^\n{marks}{without}]|[{marks}][a-z0-9])"
    return rf"{start}{unit}{{{shortest}}}({unit}{{0,{longest - shortest}}}[{marks}]|{unit}{{{longest - shortest + 1}}})"


def ended_pattern(start: str, shortest: int, longest: int, marks: str = ".?") -> str:
    """As `sentence_pattern` for a line of one or more sentences of which the last ends in one of the marks."""
    return rf"{start}[^\n]{{{shortest}}}([^\n]{{0,{longest - shortest}}}[{marks}]|[^\n]{{{longest - shortest + 1}}})"


def cut_sentence(line: str, longest: int, marks: str = ".?") -> bool:
    """Whether a line of `sentence_pattern` or `ended_pattern` was ended by the limit of `longest` characters in all,
    not by the model: it lacks its mark, or a limit so close may have brought the mark forward."""
    line = line.strip()
    inside = sum(map(line.count, marks))
    return not line.endswith(tuple(marks)) or longest - _slack(longest) < len(line) <= longest + inside


def ends_abruptly(line: str, longest: int) -> bool:
    """Whether the grammar's limit of `longest` characters ended this line, not the model: it comes close to the limit
    and does not end in punctuation."""
    return longest - _slack(longest) <= len(line) and not line.rstrip().endswith(_ENDS)


def _slack(longest: int) -> int:
    """`SLACK`, or less for a limit of few characters."""
    return min(SLACK, longest // 5)
