r"""Finds the final answer that a response to a mathematical question states.

It is the content of `\boxed{}`, else what follows "the answer is" or "####", else the last line; then without
delimiters and without the words around it. What does not state one answer is kept as it stands and so equals nothing:
"about 3 or 42" is not cut to 42.
"""

from __future__ import annotations

import re
import unicodedata

_BOXES = 20  # most boxes that are looked at, from the last one backwards
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_MARKER = re.compile(r"\banswers?\b\s*(?:(?:is|are)\b\s*:?|[:=])|####", re.IGNORECASE)
#: Mathematics between delimiters: $$…$$, $…$, \(…\), \[…\].
_DELIMITED = re.compile(r"\$\$([^$]+)\$\$|(?<!\\)\$([^$]+)(?<!\\)\$|\\\(([^$]+?)\\\)|\\\[([^$]+?)\\\]")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:\s*/\s*\d+)?\s*%?(?![\w/])")
_POWER = re.compile(r"(?<=[A-Za-z])\^?[23](?!\w)")  # of a unit: m^2, cm3
_WORD = re.compile(r"[^\W\d_]{2,}|\b[aI]\b")
#: Words after which a number is not simply the answer.
_HEDGE = re.compile(
    r"\b(?:or|nor|not|no|either|and|about|approximately|maybe|than|least|most|between|to|instead|except|without|if|unless)\b",
    re.IGNORECASE,
)
_END_OF_SENTENCE = re.compile(r"\.(?:\s+[A-Z].*)?\s*$", re.DOTALL)
_DASHES = str.maketrans("−–—﹣－", "-----")


def final_answer(response: str) -> str:
    """The final answer of a response; "" if it has none."""
    text = re.sub(r"\d", lambda digit: str(unicodedata.decimal(digit[0])), response.translate(_DASHES)).strip()
    if boxed := _boxed(text):
        return _without_delimiters(boxed)
    if marks := list(_MARKER.finditer(text)):
        text = text[marks[-1].end() :].lstrip(" \t*:\n")
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return ""
    return _stated(lines[0 if marks else -1] if not _DELIMITED.fullmatch(text) else text)


def _boxed(text: str) -> str:
    """The content of the last box, and of boxes shortly before it on the same line: `\boxed{3}` or `\boxed{42}` is one
    answer that names two values. "" for a text without a box."""
    found: list[str] = []
    start_of_next = len(text)
    for box in reversed(list(_BOX.finditer(text))[-_BOXES:]):
        end = _closing(text, box.end())
        between = text[end:start_of_next]
        if found and (len(between) > 40 or "\n" in between):
            break
        if end <= start_of_next:  # else the box is around the next one
            found.insert(0, text[box.end() : end - 1])
            start_of_next = box.start()
    return ", ".join(dict.fromkeys(content.strip() for content in found))


def _closing(text: str, start: int) -> int:
    """The end of the braces whose content begins at `start`; the end of the text if they are not closed."""
    depth = 1
    for brace in re.finditer(r"\\.|[{}]", text[start:], re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if not depth:
            return start + brace.end()
    return len(text) + 1


def _stated(line: str) -> str:
    """What a line states: its delimited mathematics, or the only number in its words, or the line itself."""
    pieces = list(_DELIMITED.finditer(line))
    if pieces:
        contents = [piece[piece.lastindex].strip() for piece in pieces]
        before_last = line[pieces[-2].end() if len(pieces) > 1 else 0 : pieces[-1].start()]
        if re.search(r"\b(?:is|are|equals|be)\s*$", before_last):
            contents = contents[-1:]
        around = _DELIMITED.sub(" ", line)
        hedge = _HEDGE.search(around)
        return f"{', '.join(contents)} {hedge[0]}" if hedge and len(contents) == 1 else ", ".join(contents)
    line = _END_OF_SENTENCE.sub("", line.replace("**", "").replace("`", "")).strip()
    bare = _POWER.sub("", line)
    numbers = list(_NUMBER.finditer(bare))
    if len(numbers) == 1 and "\\" not in bare and _WORD.search(bare) and not _HEDGE.search(bare):
        around = bare[: numbers[0].start()] + " " + bare[numbers[0].end() :]
        if re.fullmatch(r"[^\W\d_'’,.\s-]*(?:[\s,.'’°²³/-]+[^\W\d_]*)*", around):
            return numbers[0][0].strip()
    return _without_delimiters(line)


def _without_delimiters(text: str) -> str:
    return re.sub(r"(?<!\\)\$|\\[()\[\]](?![A-Za-z])", " ", text).strip(" \n\t.")
