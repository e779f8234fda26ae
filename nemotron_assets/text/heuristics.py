"""The numbers of a text that the 28 heuristic rules decide by (Nemotron-CC §2.3; NeMo Curator's English rules).

What the numbers count (tests compare a plain Python version of these sentences with the compiled passes):

* A *character* is a Unicode code point. Letters have the category L, digits the category Nd. White space is what
  Python's `str.isspace` accepts.
* A *word* is a run of characters between white space, as it is written: "(See," is one word of five characters.
* A *line* is the text between line breaks (LF), without white space at its ends. Empty lines do not count.
* A *paragraph* is a run of lines between empty lines. Its characters are those of its lines, plus one per line break
  inside it. Two paragraphs are equal if their lines are equal.
* An *n-gram* is n consecutive words; it may cross line breaks. Its characters are those of its words, plus one per
  space between them.
* A share of nothing is 0, for example the share of digits in an empty text. Only the shares of different lines and
  paragraphs are 1 for a text without any: a rule against repetition must not drop a text for being short, because the
  rule on `words` does that.

Texts are judged as they are and never changed. The published filter has an option to strip boilerplate at the top and
bottom of a text, but its score ignores that option.
"""

from __future__ import annotations

import functools
import itertools
import unicodedata
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import pyarrow as pa

    from nemotron_assets.recipe.web.heuristics import Measures

#: Name of a rule -> what the number that it decides by counts. Names and meanings are columns of tables, too.
NUMBERS = {
    "non_alphanumeric_share": "share of characters, 0 to 1, that are not letters, marks or numbers (Unicode L, M, N), "
    "line breaks, or one of ? ! , . (spaces count as non-alphanumeric, as published)",
    "symbol_word_share": "share of words, 0 to 1, that are an ellipsis or more than half hash signs, such as ##a",
    "digit_share": "share of characters, 0 to 1, that are decimal digits",
    "url_share": "share of characters, 0 to 1, that are part of a URL: from http:// or https:// up to white space, < > "
    "or a double quote",
    "whitespace_share": "share of characters, 0 to 1, that are white space",
    "parenthesis_share": "share of characters, 0 to 1, that are parentheses, brackets or braces",
    "boilerplate_share": "share of paragraphs, 0 to 1, with a line that contains a boilerplate string, such as privacy "
    "policy (ASCII letters in upper or lower case); 1 if the text contains placeholder text, such as lorem ipsum",
    "unique_line_share": "number of different lines divided by the number of lines, 0 to 1; 1 if no line is repeated",
    "unique_paragraph_share": "number of different paragraphs divided by the number of paragraphs, 0 to 1; 1 if no "
    "paragraph is repeated",
    "unique_line_character_share": "characters of the different lines divided by characters of all lines, 0 to 1",
    "unique_paragraph_character_share": "characters of the different paragraphs divided by characters of all "
    "paragraphs, 0 to 1",
    "words": "number of words; a word is a run of characters between white space",
    "unended_line_share": "share of lines, 0 to 1, that do not end in terminal punctuation such as . or !",
    "alphabetic_word_share": "share of words, 0 to 1, with at least one letter",
    "common_words": "number of words that are one of the recipe's frequent English words, such as the; a word with "
    "capitals or punctuation does not count",
    "mean_word_characters": "mean length of the words, in characters",
    "longest_word_characters": "length of the longest word, in characters",
    "cut_off_line_share": "share of lines, 0 to 1, that end in an ellipsis or in words such as read more (ASCII "
    "letters in upper or lower case)",
    "top_2gram_share": "number of occurrences of the most frequent 2-gram (two consecutive words; of several the "
    "longest) times its characters, divided by the characters of the text, at most 1; 0 if no 2-gram occurs twice",
    "top_3gram_share": "the same as top_2gram_share for three consecutive words",
    "top_4gram_share": "the same as top_2gram_share for four consecutive words",
    "repeated_5gram_share": "characters of all 5-grams (five consecutive words) that occurred before in the text, each "
    "word and each space inside a 5-gram counted once, divided by the characters of the text, 0 to 1",
    "repeated_6gram_share": "the same as repeated_5gram_share for six consecutive words",
    "repeated_7gram_share": "the same as repeated_5gram_share for seven consecutive words",
    "repeated_8gram_share": "the same as repeated_5gram_share for eight consecutive words",
    "repeated_9gram_share": "the same as repeated_5gram_share for nine consecutive words",
    "repeated_10gram_share": "the same as repeated_5gram_share for ten consecutive words",
    "bullet_line_share": "share of lines, 0 to 1, that start with a bullet",
}
#: The numbers that are integers.
WHOLE = ("words", "common_words", "longest_word_characters")

# No code point beyond these is a letter, mark, number or white space (a test checks all of them).
_ASSIGNED, _SELECTORS = 0x33480, range(0xE0100, 0xE01F0)

_PLAIN_PUNCTUATION = "\n?!,."
_URL_END = '<>"'

# Name of a number -> (numerator, denominator, value if the denominator is 0); both are names of `_passes.COUNTS`.
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
    """A frame with a row per text and a column per name of `NUMBERS`: int64 for `WHOLE`, else float64.

    `texts` is an array of strings without nulls. `strings` are the recipe's lists of words and characters.
    """
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
    for name, (part, whole, of_nothing) in _QUOTIENTS.items():
        found[name] = _share(count[part], count[whole], of_nothing)
    return pl.DataFrame({name: found[name] for name in NUMBERS})


def utf8(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 bytes, int64[texts + 1] offsets) of an array of strings; large strings are not copied.

    Raises ValueError if a text is null.
    """
    import numpy as np
    import pyarrow as pa

    if texts.null_count:
        raise ValueError(f"{texts.null_count} of the {len(texts)} texts are null: fill or drop nulls first")
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(1, np.uint8), np.zeros(len(texts) + 1, np.int64)
    places = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data, np.uint8), places


def _share(part: np.ndarray, whole: np.ndarray, of_nothing: float) -> np.ndarray:
    """part / whole per text; `of_nothing` where the whole is 0."""
    import numpy as np

    return np.divide(part, whole, out=np.full(len(whole), of_nothing), where=whole > 0)


@dataclass(frozen=True)
class _Automaton:
    """An Aho-Corasick automaton: finds any of several strings in one pass over bytes.

    States from number `matching` on have found a string.
    """

    moves: np.ndarray  # (state, class of the next byte) -> next state, flattened
    byte_class: np.ndarray  # byte -> class
    classes: int
    matching: int
    kind: np.ndarray  # state -> bits of the kinds of strings that end there


@functools.lru_cache(maxsize=4)
def _tables(strings: Measures) -> tuple:
    """The lookup tables of `count_texts`, made from the recipe's strings, in the order of its arguments."""
    import numpy as np

    from nemotron_assets.text import _passes as p

    flags = _character_flags(strings)
    # Pages of 256 code points. Most pages are equal, so each different page is stored once.
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
    """(windows, masks), uint8[n, 4] each: few windows of four bytes, such that every string contains one of them.

    The strings are lower case. The masks are the bits to set in a text before it is compared, which makes ASCII letters
    lower case. If a string is shorter than four bytes, there is a window that every text contains.
    """
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
    """How rare the letters of a window are in English: the sum of their ranks by frequency."""
    places = (b" etaoinsrhldcumfpgwybvkxjqz".find(byte) for byte in window)
    return sum(place if place >= 0 else 27 for place in places)


def _character_flags(strings: Measures) -> np.ndarray:
    """uint32 per code point: its properties, as bits that `_passes` defines."""
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
    """The automaton of lower-case strings and their bits of kinds; it ignores the case of ASCII letters in texts."""
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
    # Matching states come last, so that one comparison recognises them.
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
