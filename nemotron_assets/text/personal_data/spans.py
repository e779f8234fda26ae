"""What the finders of personal data share: the type of a match, and tests whether a value ends where it seems to."""

from __future__ import annotations

import re

#: Start and end of a match, in code points; the end is exclusive.
Span = tuple[int, int]

#: Letters of scripts that put no space between a number and the next word: Thai, Lao, Burmese, Khmer, kana, Han, Hangul
#: (whose particles follow a number at once).
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
#: A word of a script with spaces begins, or ends. A plain \b finds none between "の" and "TEL".
BEGIN = r"(?<![A-Za-z0-9_\u00c0-\u0dff\u1e00-\u1fff])"
END = r"(?![A-Za-z0-9_\u00c0-\u0dff\u1e00-\u1fff])"
_UNSPACED = re.compile(f"[{UNSPACED}]")


def in_word(character: str) -> bool:
    """Whether a value that stands beside the character (or beside nothing, "") is only a part of a longer word.

    "4111x" goes on after "4111"; "電話4111まで" does not, because its script has no spaces.
    """
    if character.isascii():
        return character.isalnum() or character == "_"
    return character.isalnum() and not _UNSPACED.match(character)


def continues(text: str, end: int) -> bool:
    """Whether a number that seems to end at `end` goes on as a word or as a longer number.

    "4111x" and "4111-22" go on after "4111"; "4111.", "4111 22" and "4111まで" do not.
    """
    after = text[end : end + 2]
    return bool(after) and (in_word(after[0]) or (after[0] in ".-/" and in_word(after[1:])))
