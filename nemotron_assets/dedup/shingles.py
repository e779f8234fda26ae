"""Shingles: the short pieces of a text by which two texts are compared. This docstring is their definition.

**Input** is text whose Unicode was repaired before, and composed if the recipe says so (ftfy, NFC); nothing is composed
here.

**Lower case**: every code point is replaced by its own lower case, `str.lower` of that one character. Only U+0130
becomes two characters; the first one, "i", is taken. Neighbouring characters do not matter: "Σ" becomes "σ" at the end
of a word, too.

**White space** is every character with Unicode's property White_Space (tab to carriage return, space, U+0085, U+00A0,
U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000). A run of white space counts as one space; at the
start and the end of a text it does not count.

**A word** is a maximal run of code points of the general categories L (letters), M (marks) and N (numbers), in lower
case. All other characters separate words and are ignored: `don't` has two words, `snake_case` has two.

**Shingles** of a text are its runs of `words` consecutive words, or its runs of `characters` consecutive code points
(not bytes, not graphemes) of the normalised text. With 5 words per shingle, a text of 7 words has 3 shingles. A text
that is shorter than one shingle, but not empty, has a single shingle: the whole text. A text without words (characters)
has no shingles. Texts in languages written without spaces always have shingles of characters.

A text's set of shingles is stored as sorted 64-bit hashes. MinHash uses the leading 32 bits of each hash. Categories
and lower case come from Python's `unicodedata`, so hashes made with two Unicode versions may differ where a text has
characters that only one of the versions knows. `DEFINITION` names this definition and the Unicode version; whatever
stores hashes must store it with them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pyarrow as pa

from nemotron_assets.dedup import _kernels

#: Hashes that were made under different definitions must not be compared.
DEFINITION = f"shingles 1, Unicode {unicodedata.unidata_version}"

WHITE_SPACE = frozenset(
    [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
)

#: ISO 639-1 codes of languages whose words are not separated by spaces.
UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my", "bo", "dz"})


@dataclass(frozen=True)
class Shingling:
    """What a shingle is: its unit, and how many units it has.

    With the unit "words", shingles are made of words, except for texts whose mask says characters. With the unit
    "characters", shingles of all texts are made of characters.
    """

    unit: Literal["words", "characters"] = "words"
    words: int = 5
    characters: int = 24

    def __post_init__(self):
        if self.unit not in ("words", "characters"):
            raise ValueError(f"the unit of shingles is {self.unit!r}, but must be 'words' or 'characters'")
        for name in ("words", "characters"):
            if not 1 <= getattr(self, name) <= 1024:
                raise ValueError(f"a shingle has {getattr(self, name)} {name}, but must have 1 to 1024")


@dataclass(frozen=True)
class ShingleSets:
    """The shingle sets of texts: the hashes of text k are `hashes[offsets[k] : offsets[k + 1]]`, ascending and unique.

    `offsets` is int64[texts + 1], `hashes` is uint64.
    """

    offsets: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.hashes[self.offsets[row] : self.offsets[row + 1]]

    @property
    def sizes(self) -> np.ndarray:
        """int64 per text: the number of its shingles."""
        return np.diff(self.offsets)

    @classmethod
    def concatenate(cls, parts: Iterable[ShingleSets]) -> ShingleSets:
        """The sets of all parts, in order."""
        parts = list(parts)
        sizes = [part.sizes for part in parts]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([*sizes, np.zeros(0, np.int64)]))])
        return cls(offsets, np.concatenate([*(part.hashes for part in parts), np.zeros(0, np.uint64)]))


def by_characters(languages: Iterable[str | None]) -> np.ndarray:
    """The mask for `shingle_sets` and `sign`, bool per language: whether it is written without spaces."""
    return np.fromiter((language in UNSPACED for language in languages), np.bool_)


def shingle_sets(
    texts,
    shingling: Shingling = Shingling(),
    by_characters: np.ndarray | None = None,
    *,
    only: np.ndarray | None = None,
) -> ShingleSets:
    """The set of shingles of every text, exact up to collisions of 64-bit hashes.

    `texts` is an arrow array, chunked array or polars series of strings; a null has no shingles. `by_characters`, bool
    per text, says which texts have shingles of characters although `shingling` says words. `only`, bool per text, says
    which texts are wanted; the others get empty sets. Needs about 8 bytes of memory per shingle.
    """
    data, offsets, mask = kernel_arguments(texts, shingling, by_characters)
    only = np.ones(len(mask), np.bool_) if only is None else np.ascontiguousarray(only, np.bool_)
    if only.shape != mask.shape:
        raise ValueError(f"only has the shape {only.shape}, but there are {len(mask)} texts")
    # A text has at most as many characters as bytes, and at most half as many words as bytes, plus one.
    room = np.where(mask, np.diff(offsets), np.diff(offsets) // 2 + 1)
    hashes = np.empty(int(room.sum(where=only)), np.uint64)
    bounds = np.empty(len(offsets), np.int64)
    sizes = shingling.words, shingling.characters
    size = _kernels.sets(data, offsets, mask, only, *sizes, *lookup_tables(), hashes, bounds)
    return ShingleSets(bounds, hashes[:size] if 2 * size > len(hashes) else hashes[:size].copy())


def kernel_arguments(texts, shingling: Shingling, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts in the form that the kernels take: UTF-8 bytes, int64[texts + 1] offsets into them, and bool per text
    whether its shingles are made of characters. Raises ValueError for a mask of another length."""
    if hasattr(texts, "to_arrow"):
        texts = texts.to_arrow()
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.chunk(0) if texts.num_chunks == 1 else pa.concat_arrays([*texts.chunks, pa.array([], texts.type)])
    if not isinstance(texts, pa.Array):
        texts = pa.array(texts, pa.large_string())
    if texts.type != pa.large_string():
        texts = texts.cast(pa.large_string())
    if texts.null_count:
        texts = texts.fill_null("")
    count = len(texts)
    if mask is None:
        mask = np.full(count, shingling.unit == "characters")
    else:
        mask = np.ascontiguousarray(mask, np.bool_)
        if mask.shape != (count,):
            raise ValueError(f"by_characters has the shape {mask.shape}, but there are {count} texts")
        mask = mask | (shingling.unit == "characters")
    _, offsets, data = texts.buffers()
    if count and offsets is not None:
        offsets = np.frombuffer(offsets, np.int64, count + 1, texts.offset * 8)
    else:
        offsets = np.zeros(count + 1, np.int64)
    data = np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
    data.flags.writeable = offsets.flags.writeable = False  # always, so that kernels are compiled for one type only
    return data, offsets, mask


#: Ranges of code points: blocks that hold only letters without case, too many to look up one by one; and all others
#: that Unicode has assigned.
_IDEOGRAPHS = ((0x3400, 0x4DC0), (0x4E00, 0x9FFD), (0xAC00, 0xD7A4), (0x17000, 0x187F8), (0x20000, 0x2A6DE))
_ASSIGNED = (
    (0, 0x3400), (0x4DC0, 0x4E00), (0x9FFD, 0xAC00), (0xD7A4, 0xD800), (0xF900, 0x17000), (0x187F8, 0x20000),
    (0x2A6DE, 0x33480), (0xE0000, 0xE0200),
)  # fmt: skip


@cache
def lookup_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The tables of the kernels: what each code point is, masks by word length, hashes of lower-cased ASCII."""
    table = np.zeros(0x110000, np.uint32)  # 0 means: not in a word, not white space, its own lower case
    for first, last in _ASSIGNED:
        characters = "".join(map(chr, range(first, last)))
        major = np.frombuffer("".join(map(unicodedata.category, characters)).encode(), np.uint8)[::2]
        # Lower-casing all characters at once gives the same as one by one, except for two: U+0130 becomes two
        # characters, and U+03A3 depends on its neighbours.
        lower = characters.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()
        lower = np.frombuffer(lower.encode("utf-32-le"), np.uint32)
        in_word = (major == ord("L")) | (major == ord("M")) | (major == ord("N"))
        is_word = np.where(in_word, _kernels.IS_WORD, np.uint32(0))
        table[first:last] = is_word | (np.arange(first, last, dtype=np.uint32) ^ lower)
    for first, last in _IDEOGRAPHS:
        table[first:last] = _kernels.IS_WORD
    table[sorted(WHITE_SPACE)] = _kernels.IS_SPACE
    plain = _kernels.hash_points(np.arange(128, dtype=np.uint32) ^ (table[:128] & np.uint32((1 << 21) - 1)))
    return table, _kernels.MASKS, plain
