"""The numbers of `recipe/code/numbers.py` that come from the bytes, in plain Python, from their definitions."""

from __future__ import annotations

import re
from collections import Counter

WORD = re.compile(r"[^ \t\n\r\f\v]+")
IDENTIFIER = re.compile(r"[A-Za-z0-9_]+")
PAIR = r"(?:0[xX]|\\x)[0-9a-fA-F]{2}"
HEX = re.compile(rf"{PAIR}(?:[, \t\n]*{PAIR}){{7,}}")
ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4}){8,}")
BASE64 = re.compile(r"[A-Za-z0-9+/=]{64,}")


def share(what: float, of: float) -> float:
    return what / of if of else 0.0


def base64_runs(text: str) -> list[str]:
    wanted = (r"[0-9]", r"[a-z]", r"[A-Z]")
    return [run for run in BASE64.findall(text) if all(re.search(kind, run) for kind in wanted)]


def marked(line: str, strings: tuple[str, ...], whole: bool) -> bool:
    """Whether a line has one of the strings, beginning (and ending, if whole) where a word does."""
    end = r"(?![A-Za-z0-9_])" if whole else ""
    return any(re.search(rf"(?<![A-Za-z0-9_]){re.escape(s)}{end}", line, re.IGNORECASE | re.ASCII) for s in strings)


def numbers(text: str, todo: tuple[str, ...], long_word: int) -> dict[str, float]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    size, words, identifiers = len(text), WORD.findall(text), IDENTIFIER.findall(text)
    visible = [c for c in text if not c.isspace()]
    letters = sum((c.isascii() and c.isalpha()) or (ord(c) > 127 and c != "\ufffd") for c in visible)
    encoded = [HEX.findall(text), base64_runs(text), [m[0] for m in ESCAPES.finditer(text)]]
    return {
        "characters": size,
        "lines": len(lines),
        "longest_line": max(map(len, lines), default=0),
        "mean_line": share(sum(map(len, lines)), len(lines)),
        "letter_share": share(letters, len(visible)),
        "digit_share": share(sum(map(str.isdecimal, visible)), len(visible)),
        "replacement_share": share(text.count("\ufffd"), size),
        "hex_share": share(sum(map(len, encoded[0])), size),
        "base64_share": share(sum(map(len, encoded[1])), size),
        "unicode_escape_share": share(sum(map(len, encoded[2])), size),
        "longest_encoded": max((len(run) for runs in encoded for run in runs), default=0),
        "long_word_share": share(sum(len(w) for w in identifiers if len(w) >= long_word), size),
        "hex_word_share": share(sum(len(w) for w in identifiers if re.fullmatch(r"0[xX][0-9a-fA-F]+", w)), size),
        "todo_lines": sum(marked(line, todo, True) for line in lines),
        "assert_lines": sum(marked(line, ("assert",), False) for line in lines),
        "preprocessor_line_share": share(sum(line.lstrip(" \t\r\f\v").startswith("#") for line in lines), len(lines)),
        "xml_header": int(text.lstrip(" \t\n\r\f\v")[:5].lower() == "<?xml"),
        "unique_word_share": share(len(set(words)), len(words)),
        "mean_word_characters": share(sum(map(len, identifiers)), len(identifiers)),
    }


def code_lines(text: str, comments: set[int]) -> tuple[int, int]:
    """(lines of code, those that stand more than once), after OpenCoder. `comments` are the places of the characters in
    comments and docstrings."""
    code = "".join(c for place, c in enumerate(text) if c == "\n" or place not in comments)
    lines = [line for line in (re.sub(r"[ \t\r\f\v]+", "", line) for line in code.split("\n")) if line]
    counts = Counter(lines)
    repeated = sum(n for line, n in counts.items() if n > 1 and len(line) > 1 and line != "},")
    return len(lines), repeated
