"""Shingles: the small pieces whose sets say how alike two texts are. This file is the written definition.

**Input** is text whose Unicode was repaired and composed before (NFC, ftfy); nothing is composed here.

**Lower case**: every code point is replaced by its own lower case (`str.lower` of that one character; of the only one
that becomes two, U+0130, the first, "i"). The neighbours play no part: a final sigma is written as any other.

**White space** is what Unicode's property White_Space says (tab to carriage return, blank, U+0085, U+00A0, U+1680,
U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000). A run of it counts as one blank, at either end of a text as
nothing.

**A word** is a longest run of code points of the general categories L (letters), M (marks) and N (numbers), in lower
case. All else separates words and is not looked at: `don't` is two words, `snake_case` is two.

**Shingles** of a text are its runs of `words` consecutive words, or its runs of `characters` consecutive code points
(not bytes, not graphemes) of the normalised text. A text with fewer words (characters), but at least one, has a single
shingle: all of it. A text with none has none. Languages written without spaces always take characters.

The set of a text's shingles is kept as sorted 64-bit hashes; the leading 32 bits of a hash are what MinHash sees.
Categories and lower case are those of Python's `unicodedata`, so hashes of two Unicode versions may differ in newly
assigned characters: `DEFINITION` names both this definition and the version, and belongs to whatever stores hashes.
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

#: Hashes made under different definitions must not meet.
DEFINITION = f"shingles 1, Unicode {unicodedata.unidata_version}"

WHITE_SPACE = frozenset(
    [*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]
)

#: ISO 639-1 codes of languages whose words are not separated by spaces.
UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my", "bo", "dz"})


@dataclass(frozen=True)
class Shingling:
    """What a shingle is: of which unit, and how many of them make one.

    `unit` "words" takes words except where a row's mask says characters; "characters" always takes characters.
    """

    unit: Literal["words", "characters"] = "words"
    words: int = 5
    characters: int = 24

    def __post_init__(self):
        if self.unit not in ("words", "characters"):
            raise ValueError(f"a shingle is made of words or characters, not of {self.unit!r}")
        for name in ("words", "characters"):
            if not 1 <= getattr(self, name) <= 1024:
                raise ValueError(f"a shingle has 1 to 1024 {name}, not {getattr(self, name)}")


@dataclass(frozen=True)
class ShingleSets:
    """The shingle sets of texts: row k's hashes are `hashes[offsets[k] : offsets[k + 1]]`, ascending, no two equal.

    offsets int64[texts + 1], hashes uint64.
    """

    offsets: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.hashes[self.offsets[row] : self.offsets[row + 1]]

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.offsets)

    @classmethod
    def concatenate(cls, parts: Iterable[ShingleSets]) -> ShingleSets:
        parts = list(parts)
        sizes = [part.sizes for part in parts]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([*sizes, np.zeros(0, np.int64)]))])
        return cls(offsets, np.concatenate([*(part.hashes for part in parts), np.zeros(0, np.uint64)]))


def by_characters(languages: Iterable[str | None]) -> np.ndarray:
    """The mask for `shingle_sets` and `sign`: which rows are in a language without spaces."""
    return np.fromiter((language in UNSPACED for language in languages), np.bool_)


def shingle_sets(
    texts,
    shingling: Shingling = Shingling(),
    by_characters: np.ndarray | None = None,
    *,
    only: np.ndarray | None = None,
) -> ShingleSets:
    """The set of shingles of every text, exact up to collisions of 64-bit hashes.

    texts is an arrow array, chunked array or polars series of strings; a null has no shingles. by_characters, bool per
    text, says which texts take characters although `shingling` says words; only, bool per text, which texts are wanted
    (the others get empty sets). Needs about 8 bytes per shingle.
    """
    data, offsets, mask = arguments(texts, shingling, by_characters)
    only = np.ones(len(mask), np.bool_) if only is None else np.ascontiguousarray(only, np.bool_)
    if only.shape != mask.shape:
        raise ValueError(f"only has the shape {only.shape}, but there are {len(mask)} texts")
    # A text has at most as many characters as bytes, and of words half as many and one.
    room = np.where(mask, np.diff(offsets), np.diff(offsets) // 2 + 1)
    hashes = np.empty(int(room.sum(where=only)), np.uint64)
    bounds = np.empty(len(offsets), np.int64)
    size = _kernels.sets(data, offsets, mask, only, shingling.words, shingling.characters, *tables(), hashes, bounds)
    return ShingleSets(bounds, hashes[:size] if 2 * size > len(hashes) else hashes[:size].copy())


def arguments(texts, shingling: Shingling, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts as the kernels take them: UTF-8 bytes, int64 offsets of the texts in them, and which take characters."""
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
    data.flags.writeable = offsets.flags.writeable = False  # always, so that the kernels are compiled for one kind only
    return data, offsets, mask


#: Blocks of nothing but letters without case, too many to ask for one by one; and what else is assigned at all.
_IDEOGRAPHS = ((0x3400, 0x4DC0), (0x4E00, 0x9FFD), (0xAC00, 0xD7A4), (0x17000, 0x187F8), (0x20000, 0x2A6DE))
_ASSIGNED = (
    (0, 0x3400), (0x4DC0, 0x4E00), (0x9FFD, 0xAC00), (0xD7A4, 0xD800), (0xF900, 0x17000), (0x187F8, 0x20000),
    (0x2A6DE, 0x33480), (0xE0000, 0xE0200),
)  # fmt: skip


@cache
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the kernels look up: code points, masks by word length, hashes of ASCII characters in lower case."""
    table = np.zeros(0x110000, np.uint32)  # zero: no word, no space, its own lower case
    for first, last in _ASSIGNED:
        characters = "".join(map(chr, range(first, last)))
        major = np.frombuffer("".join(map(unicodedata.category, characters)).encode(), "S1")[::2]
        # All at once gives the same as one by one, but for the two that become two letters or depend on neighbours.
        lower = characters.replace("\u0130", "i").replace("\u03a3", "\u03c3").lower()
        lower = np.frombuffer(lower.encode("utf-32-le"), np.uint32)
        is_word = np.where(np.isin(major, [b"L", b"M", b"N"]), _kernels.IS_WORD, np.uint32(0))
        table[first:last] = is_word | (np.arange(first, last, dtype=np.uint32) ^ lower)
    for first, last in _IDEOGRAPHS:
        table[first:last] = _kernels.IS_WORD
    table[sorted(WHITE_SPACE)] = _kernels.IS_SPACE
    plain = _kernels.hash_points(np.arange(128, dtype=np.uint32) ^ (table[:128] & np.uint32((1 << 21) - 1)))
    return table, _kernels.MASKS, plain
