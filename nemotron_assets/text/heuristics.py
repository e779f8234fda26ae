"""Numbers about texts that the 28 rules decide by (Nemotron-CC §2.3; NeMo Curator's English rules).

What is counted, exactly (tests hold a plain Python version of these sentences against the compiled passes):

* A *character* is a Unicode code point. Letters are those of category L, digits Nd; white space is what Python's
  `str.isspace` says.
* A *word* is a run of characters between white space, as it is written: "(See," is one word of five characters.
* A *line* is what stands between line breaks (LF), without white space at its ends; empty ones do not count.
* A *paragraph* is a run of lines between empty ones. Its characters are those of its lines and one per line break
  inside; two are equal if their lines are.
* An *n-gram* is n words in a row, over line breaks too. Its characters are those of its words and one per blank.
* A share of nothing is 0, except that of different lines or paragraphs, which is 1: no rule that only asks for
  little of something drops a text for being short (`words` does).

Texts are judged as they are and never changed: the published filter has a switch that is to strip boilerplate at the
top or bottom of a text, which its own score ignores.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemotron_assets.recipe.web.heuristics import Measures

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa

#: The numbers, by the rule that decides by them, and what they are.
NUMBERS = {
    "non_alphanumeric_share": "share of characters that are neither letters, marks, numbers (Unicode L, M, N), line "
    "breaks nor one of ? ! , . (blanks are among them, as published)",
    "symbol_word_share": "share of words that are an ellipsis or more than half hash signs",
    "digit_share": "share of characters that are decimal digits",
    "url_share": "share of characters in URLs: from http:// or https:// to white space, < > or a double quote",
    "whitespace_share": "share of characters that are white space",
    "parenthesis_share": "share of characters that are parentheses, brackets or braces",
    "boilerplate_share": "share of paragraphs with a line that holds a boilerplate string, ASCII letters of any case; "
    "1 if any holds placeholder text",
    "unique_line_share": "different lines, per line",
    "unique_paragraph_share": "different paragraphs, per paragraph",
    "unique_line_character_share": "characters of the different lines, per character of all lines",
    "unique_paragraph_character_share": "characters of the different paragraphs, per character of all paragraphs",
    "words": "number of words",
    "unended_line_share": "share of lines whose last character is no terminal punctuation",
    "alphabetic_word_share": "share of words with at least one letter",
    "common_words": "number of words that are frequent English ones, exactly as listed (lower case, alone)",
    "mean_word_characters": "characters per word",
    "longest_word_characters": "characters of the longest word",
    "cut_off_line_share": "share of lines that end in an ellipsis or the like, ASCII letters of any case",
    "top_2gram_share": "characters of the most frequent 2-gram (the longest of several) times its count, per character "
    "of the text, at most 1; 0 if none occurs twice",
    "top_3gram_share": "the same for 3-grams",
    "top_4gram_share": "the same for 4-grams",
    "repeated_5gram_share": "characters of words that are in a 5-gram which occurred before, and of the blanks inside "
    "those 5-grams, each once, per character of the text",
    "repeated_6gram_share": "the same for 6-grams",
    "repeated_7gram_share": "the same for 7-grams",
    "repeated_8gram_share": "the same for 8-grams",
    "repeated_9gram_share": "the same for 9-grams",
    "repeated_10gram_share": "the same for 10-grams",
    "bullet_line_share": "share of lines that start with a bullet",
}
#: Those that are whole numbers.
WHOLE = ("words", "common_words", "longest_word_characters")

# Beyond these, no code point is a letter, mark, number or white space (a test looks at all of them).
_ASSIGNED, _SELECTORS = 0x33480, range(0xE0100, 0xE01F0)

_PLAIN_PUNCTUATION = "\n?!,."
_URL_END = '<>"'

# number: (counted, per what, share of nothing)
_QUOTIENTS = {
    "symbol_word_share": ("symbol_words", "words", 0.0),
    "digit_share": ("digits", "characters", 0.0),
    "url_share": ("url_characters", "characters", 0.0),
    "whitespace_share": ("spaces", "characters", 0.0),
    "parenthesis_share": ("parentheses", "characters", 0.0),
    "unique_line_share": ("unique_lines", "lines", 1.0),
    "unique_paragraph_share": ("unique_paragraphs", "paragraphs", 1.0),
    "unique_line_character_share": ("unique_line_characters", "line_characters", 1.0),
    "unique_paragraph_character_share": ("unique_paragraph_characters", "paragraph_characters", 1.0),
    "unended_line_share": ("unended_lines", "lines", 0.0),
    "alphabetic_word_share": ("alphabetic_words", "words", 0.0),
    "mean_word_characters": ("word_characters", "words", 0.0),
    "cut_off_line_share": ("cut_off_lines", "lines", 0.0),
    "bullet_line_share": ("bullet_lines", "lines", 0.0),
    **{f"top_{n}gram_share": (f"top_{n}gram", "characters", 0.0) for n in range(2, 5)},
    **{f"repeated_{n}gram_share": (f"repeated_{n}gram", "characters", 0.0) for n in range(5, 11)},
}


def measure(texts: pa.Array, strings: Measures) -> pl.DataFrame:
    """The numbers of each text: a column per name of `NUMBERS`, float64 or int64. `texts` are strings without nulls."""
    import numpy as np
    import polars as pl

    from nemotron_assets.text._passes import COUNTS, count_texts

    data, offsets = utf8(texts)
    counts = np.zeros((len(texts), len(COUNTS)), np.int64)
    tables = _tables(strings)
    count_texts(data, offsets, counts, *tables)
    count = dict(zip(COUNTS, counts.T, strict=True))
    found = {
        "words": count["words"],
        "common_words": count["common_words"],
        "longest_word_characters": count["longest_word"],
        "non_alphanumeric_share": _share(count["characters"] - count["text_characters"], count["characters"], 0.0),
        "boilerplate_share": np.where(
            count["placeholders"] > 0, 1.0, _share(count["boilerplate_paragraphs"], count["paragraphs"], 0.0)
        ),
    }
    for name, (what, per, of_nothing) in _QUOTIENTS.items():
        found[name] = _share(count[what], count[per], of_nothing)
    return pl.DataFrame({name: found[name] for name in NUMBERS})


def utf8(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets) of an array of strings without nulls, without a copy of large strings."""
    import numpy as np
    import pyarrow as pa

    if texts.null_count:
        raise ValueError(f"{texts.null_count} of the {len(texts)} texts are null; texts must be there")
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(1, np.uint8), np.zeros(len(texts) + 1, np.int64)
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, np.uint8), places


def _share(what: np.ndarray, per: np.ndarray, of_nothing: float) -> np.ndarray:
    import numpy as np

    return np.divide(what, per, out=np.full(len(per), of_nothing), where=per > 0)


@dataclass(frozen=True)
class _Automaton:
    """Aho-Corasick: finds any of some strings in one walk over bytes. States from `matching` on have found one."""

    moves: np.ndarray  # state x class of the byte -> state
    byte_class: np.ndarray
    classes: int
    matching: int
    kind: np.ndarray  # state -> bits of the strings that end there


@functools.lru_cache(maxsize=4)
def _tables(strings: Measures) -> tuple:
    """What `count_texts` looks things up in, from the recipe's strings."""
    import numpy as np

    from nemotron_assets.text import _passes as p

    flags = _character_flags(strings)
    # Pages of 256 code points; most are equal, so that each different one is kept once.
    page_flags, pages = np.unique(flags.reshape(-1, 256), axis=0, return_inverse=True)
    ascii_flags = flags[:128]
    fields = [(ascii_flags & bit) > 0 for bit in (p.TEXT, p.DIGIT, p.PARENTHESIS)]
    packed = sum(field.astype(np.uint64) << np.uint64(21 * k) for k, field in enumerate(fields))
    kinds: dict[int, int] = {}
    for bit, words in ((p.COMMON, strings.common_words), (p.ELLIPSIS, strings.ellipses)):
        for word in words:
            data = np.frombuffer(word.encode(), np.uint8)
            hashed = int(p.hash_word(data, 0, len(data)))
            kinds[hashed] = kinds.get(hashed, 0) | bit
    special = np.array(list(kinds), np.uint64)
    special_mask = np.bitwise_or.reduce(np.uint64(1) << (special & np.uint64(63)), initial=np.uint64(0))
    ends = [end.encode() for end in strings.cut_off]
    found = _automaton(
        {**dict.fromkeys(strings.boilerplate, p.BOILERPLATE), **dict.fromkeys(strings.placeholder, p.PLACEHOLDER)}
    )
    return (
        *_windows([string.encode() for string in (*strings.boilerplate, *strings.placeholder)]),
        ascii_flags,
        packed,
        pages.astype(np.uint16),
        page_flags.ravel(),
        found.moves,
        found.byte_class,
        np.int64(found.classes),
        np.int64(found.matching),
        found.kind,
        special,
        np.array(list(kinds.values()), np.int64),
        np.uint64(special_mask),
        np.frombuffer(b"".join(ends), np.uint8),
        np.cumsum([0, *map(len, ends)]).astype(np.int64),
    )


def _windows(strings: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Few windows of four bytes of which each of the (lower-case) strings has one, and the bits to set in a text before
    comparing: that which makes an ASCII letter lower case. With a shorter string, a window that every text has."""
    import numpy as np

    anything = b"\xff" * 4
    left = [{string[k : k + 4] for k in range(len(string) - 3)} or {anything} for string in strings]
    chosen = []
    while left:
        window = min(set.union(*left), key=lambda w: (-sum(w in each for each in left), -_rarity(w), w))
        chosen.append(window)
        left = [each for each in left if window not in each]
    masks = [bytes(0xFF if b == 0xFF else 0x20 if 97 <= b <= 122 else 0 for b in window) for window in chosen]
    return tuple(np.frombuffer(b"".join(part), np.uint8).reshape(-1, 4) for part in (chosen, masks))


def _rarity(window: bytes) -> int:
    """The sum of the places of its letters in a list of the most frequent ones in English."""
    places = (b" etaoinsrhldcumfpgwybvkxjqz".find(byte) for byte in window)
    return sum(place if place >= 0 else 27 for place in places)


def _character_flags(strings: Measures) -> np.ndarray:
    """What each code point is, as the bits of `_passes`."""
    import numpy as np

    from nemotron_assets.text import _passes as p

    flags = np.zeros(0x110000, np.uint32)
    for point in itertools.chain(range(_ASSIGNED), _SELECTORS):
        character = chr(point)
        category = unicodedata.category(character)
        value = 0
        if category[0] in "LMN" or character in _PLAIN_PUNCTUATION:
            value |= p.TEXT
        if category[0] == "L":
            value |= p.LETTER
        if category == "Nd":
            value |= p.DIGIT
        if character.isspace():
            value |= p.SPACE | p.URL_END
        if value:
            flags[point] = value
    marks = (
        (strings.parentheses, p.PARENTHESIS),
        (strings.terminal, p.TERMINAL),
        (strings.bullets, p.BULLET),
        ("#", p.HASH),
        (":", p.COLON),
        (_URL_END, p.URL_END),
    )
    for characters, bit in marks:
        for character in characters:
            flags[ord(character)] |= bit
    return flags


def _automaton(kinds: dict[str, int]) -> _Automaton:
    """The automaton of lower-case strings, each with its bits; ASCII letters of the text count in any case."""
    import numpy as np

    used = sorted({byte for string in kinds for byte in string.encode()})
    byte_class = np.zeros(256, np.uint8)
    for number, byte in enumerate(used, 1):
        byte_class[byte] = number
        if ord("a") <= byte <= ord("z"):
            byte_class[byte - 32] = number
    children: list[dict[int, int]] = [{}]
    kind = [0]
    for string, bits in kinds.items():
        state = 0
        for byte in string.encode():
            number = int(byte_class[byte])
            if number not in children[state]:
                children[state][number] = len(children)
                children.append({})
                kind.append(0)
            state = children[state][number]
        kind[state] |= bits
    classes = len(used) + 1
    moves = np.zeros((len(children), classes), np.int64)
    fall = [0] * len(children)
    waiting = deque([0])
    while waiting:
        state = waiting.popleft()
        kind[state] |= kind[fall[state]]
        for number in range(classes):
            other = moves[fall[state], number] if state else 0
            if number in children[state]:
                child = children[state][number]
                fall[child] = int(other)
                moves[state, number] = child
                waiting.append(child)
            else:
                moves[state, number] = other
    # Matching states come last, so that one comparison tells them.
    order = sorted(range(len(children)), key=lambda state: (kind[state] > 0, state))
    rank = np.empty(len(children), np.int64)
    rank[order] = np.arange(len(children))
    return _Automaton(
        np.ascontiguousarray(rank[moves[order]].astype(np.int16)).ravel(),
        byte_class,
        classes,
        sum(k == 0 for k in kind),
        np.array([kind[state] for state in order], np.int64),
    )
