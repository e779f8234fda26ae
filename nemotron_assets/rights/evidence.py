"""What must not be found after a removal: pieces of the removed texts, their ids, and the names of what was removed.

Evidence is made while the texts are still there, and holds none of them: a piece is stored as a 64-bit hash. Pieces
that a remaining document has, too, are left out, and so are the places where remaining documents name what was removed,
such as a link to it. So every piece that is found later comes from a removed text.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import html.entities
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np

from nemotron_assets.dedup.shingles import lookup_tables
from nemotron_assets.rights import _passes

if TYPE_CHECKING:
    import pyarrow as pa

    from nemotron_assets.rights.targets import Target

#: Most pieces that are kept: 256 MB. Of more text a half, a quarter, ... of the pieces is kept.
MOST_PIECES = 1 << 25
#: Cells are handed to the kernels in groups of this many bytes, and larger ones are cut into overlapping parts.
GROUP_BYTES = 8 << 20
_OVERLAP = 16 << 10
_KINDS = {
    "host": _passes.HOST, "url": _passes.ADDRESS, "repository": _passes.REPOSITORY, "id": _passes.ID,
}  # fmt: skip
_NONE = np.zeros(0, np.uint64)

Texts = Callable[[], "Iterable[pa.Array]"]


@dataclass(frozen=True)
class Evidence:
    """Sorted 64-bit hashes of pieces that no remaining document has, the ids of the removed rows, and sorted hashes of
    the contexts in which remaining documents name the targets.

    With `every` 1, each run of `_passes.SIZE` characters of the normalised text of a removed document is found. Else
    only the pieces are kept whose hashes it divides, so that a run of n characters has (n - SIZE + 1) / every of them.
    """

    pieces: np.ndarray = field(default_factory=_NONE.copy)
    mentions: np.ndarray = field(default_factory=_NONE.copy)
    ids: frozenset[str] = frozenset()
    every: int = 1

    def save(self, path: Path) -> None:
        """Store the evidence in a file."""
        facts = json.dumps({"every": self.every, "ids": sorted(self.ids)}).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.{os.getpid()}.tmp")
        with new.open("wb") as file:
            np.savez(file, pieces=self.pieces, mentions=self.mentions, facts=np.frombuffer(facts, np.uint8))
        new.replace(path)

    @classmethod
    def load(cls, path: Path) -> Evidence:
        """The evidence in a file."""
        with np.load(path, allow_pickle=False) as stored:
            facts = json.loads(stored["facts"].tobytes())
            return cls(stored["pieces"], stored["mentions"], frozenset(facts["ids"]), facts["every"])

    @classmethod
    def together(cls, parts: Iterable[Evidence]) -> Evidence:
        """The evidence of several removals. A piece that a document of one removal shared with one that was removed
        later belongs to the later removal."""
        parts = [cls(), *parts]
        pieces = np.unique(np.concatenate([part.pieces for part in parts]))
        mentions = np.unique(np.concatenate([part.mentions for part in parts]))
        ids = frozenset().union(*(part.ids for part in parts))
        return cls(pieces, mentions, ids, max(part.every for part in parts))


def fingerprints(
    texts: Texts, remaining: Texts, targets: Collection[Target] = (), ids: Iterable[str] = (), most: int = MOST_PIECES
) -> Evidence:
    """The evidence of a removal, made before it.

    `texts()` gives the texts of the documents that will be removed, twice, and `remaining()` those of the documents
    that stay, once: arrays of strings or bytes, of which nulls do not count. `ids` are those of all rows that will be
    removed. Needs 16 bytes per character of the removed texts, at most those of `most` pieces, and 16 MB.
    """
    runs, _ = _collected(texts, most, _passes.sample, np.int64(_passes.SHARED))
    search, mentions = Search(Evidence(runs), targets, _passes.SHARED), []
    if len(runs) or targets:
        for array in remaining():
            for cells in grouped(array):
                search.pieces_in(cells)
                mentions += [hash_ for hit in search.hits_in(cells) for hash_ in search.contexts(cells, hit) if hash_]
    pieces, every = _collected(texts, most, _passes.unshared, runs[search.found == 1])
    return Evidence(pieces, np.unique(np.array(mentions, np.uint64)), frozenset(ids), every)


def _collected(texts: Texts, most: int, kernel: Callable[..., int], given: Any) -> tuple[np.ndarray, int]:
    """(sorted hashes that a kernel takes of texts, `every`). Whenever there are too many, half of the hashes are kept:
    those that twice the number divides. So the same hashes are kept of equal texts."""
    held, count, every, scratch = [], 0, 1, np.empty(0, np.uint32)
    for array in texts():
        for cells in grouped(array):
            scratch = room(scratch, cells)
            out = np.empty(len(scratch) + 1, np.uint64)
            size = kernel(cells.data, cells.offsets, *tables(), given, np.uint64(every), scratch, out)
            held.append(np.unique(out[:size]))
            count += len(held[-1])
            while count > most:
                held = [np.unique(np.concatenate(held))]
                if len(held[0]) > most:
                    every *= 2
                    held = [held[0][held[0] % np.uint64(every) == 0]]
                count = len(held[0])
    return np.unique(np.concatenate([_NONE, *held])), every


# -- searching ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cells:
    """Cells of a column as UTF-8 bytes: cell k is `data[offsets[k] : offsets[k + 1]]`, and row `first` + k of the
    array that it is of, or row `first` if the row was cut."""

    data: np.ndarray
    offsets: np.ndarray
    first: int
    is_cut: bool = False

    def __post_init__(self) -> None:
        self.data.flags.writeable = self.offsets.flags.writeable = False  # so that kernels are compiled for one type

    def row(self, cell: int) -> int:
        return self.first if self.is_cut else self.first + cell


def cells_of(data: bytes | np.ndarray, ends: np.ndarray | None = None) -> Cells:
    """The cells of bytes: one, or those that end at `ends`."""
    data = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    return Cells(data, np.concatenate([[0], [len(data)] if ends is None else ends]).astype(np.int64), 0)


def grouped(array: pa.Array) -> Iterator[Cells]:
    """The cells of an array of strings or bytes, in groups of about `GROUP_BYTES`. A longer cell comes alone, in parts
    that overlap, so that nothing in it is cut everywhere."""
    import pyarrow as pa

    array = array.cast(pa.large_binary())
    if not len(array) or array.buffers()[2] is None:
        return
    offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(array.buffers()[2], np.uint8)
    first = 0
    while first < len(array):
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + GROUP_BYTES, "right")) - 1)
        if offsets[last] - offsets[first] <= GROUP_BYTES:
            yield Cells(data, offsets[first : last + 1], first)
        else:
            for start in range(int(offsets[first]), int(offsets[last]), GROUP_BYTES - _OVERLAP):
                end = min(start + GROUP_BYTES, int(offsets[last]))
                yield Cells(data, np.array([start, end], np.int64), first, True)
        first = last


@functools.cache
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the kernels look up: what a code point is, and the names of entities, sorted, with their code points."""
    known = {
        int.from_bytes(name[:-1].encode(), "big"): ord(text)
        for name, text in html.entities.html5.items()
        if name.endswith(";") and len(name) <= 9 and len(text) == 1
    }
    names = np.array(sorted(known), np.uint64)
    return lookup_tables()[0], names, np.array([known[name] for name in sorted(known)], np.uint32)


def room(scratch: np.ndarray, cells: Cells) -> np.ndarray:
    """A place for the normalised text of the longest cell, and for the pieces of all cells."""
    needed = int(cells.offsets[-1] - cells.offsets[0])
    return scratch if len(scratch) >= needed else np.empty(needed, np.uint32)


class Search:
    """Searches cells for evidence. For one thread; `found` marks the pieces that were found.

    `names` are the names that are looked for, and `kinds` what each is: an id or a target. `window` is the length of
    the pieces of the evidence.
    """

    def __init__(self, evidence: Evidence, targets: Iterable[Target] = (), window: int = _passes.SIZE) -> None:
        self._pieces, self._mentions, self._window = evidence.pieces, evidence.mentions, np.int64(window)
        self.found = np.zeros(len(self._pieces), np.uint8)
        bits = max(16, int(np.ceil(np.log2(len(self._pieces) + 1))) + 4)
        self._shift, self._bits = np.uint64(64 - bits), _bitmap(self._pieces >> np.uint64(64 - bits), bits)
        self._scratch = np.empty(0, np.uint32)
        named = {spelled: target.kind for target in targets for spelled in _spellings(target)}
        named |= dict.fromkeys(evidence.ids, "id")
        self.names, self.kinds = list(named), list(named.values())
        self._needles = _needles([name.encode() for name in self.names], [_KINDS[kind] for kind in self.kinds])

    def another(self) -> Search:
        """The same search for another thread."""
        other = copy.copy(self)
        other.found, other._scratch = np.zeros_like(self.found), np.empty(0, np.uint32)
        return other

    def pieces_in(self, cells: Cells) -> np.ndarray:
        """The number of pieces of each cell that must not be there. Cells with tags are also read without them."""
        counts = np.zeros(len(cells.offsets) - 1, np.int64)
        if not len(self._pieces):
            return counts
        self._scratch = room(self._scratch, cells)
        ways = (False, True) if b"</" in cells.data[cells.offsets[0] : cells.offsets[-1]].tobytes() else (False,)
        for markup in ways:
            wanted = (self._window, self._pieces, self._bits, self._shift)
            _passes.find(cells.data, cells.offsets, *tables(), markup, *wanted, self._scratch, counts, self.found)
        return counts

    def hits_in(self, cells: Cells) -> np.ndarray:
        """Rows (cell, place, place after it, number of the name) of all names in the cells."""
        hits, total = np.empty((256, 4), np.int64), 0
        while self.names:
            total = _passes.find_names(cells.data, cells.offsets, *self._needles, hits)
            if total <= len(hits):
                break
            hits = np.empty((total, 4), np.int64)
        return hits[:total]

    def contexts(self, cells: Cells, hit: np.ndarray) -> tuple[int, int]:
        """Hashes of the pieces before and after a hit, 0 where there is too little text."""
        cell, start, stop, _ = hit
        bounds = cells.offsets[cell], start, stop, cells.offsets[cell + 1]
        return _passes.context(cells.data, *bounds, *tables())

    def is_mention(self, cells: Cells, hit: np.ndarray) -> bool:
        """Whether a remaining document names the target in the same words."""
        if not len(self._mentions) or self.kinds[hit[3]] == "id":
            return False
        for hash_ in filter(None, self.contexts(cells, hit)):
            at = np.searchsorted(self._mentions, np.uint64(hash_))
            if at < len(self._mentions) and self._mentions[at] == np.uint64(hash_):
                return True
        return False


def _spellings(target: Target) -> set[str]:
    """How a target may be written, in lower case: a host also in its own script, an address also percent-encoded,
    decoded, and in HTML."""
    value = target.value.lower()
    forms = {value}
    host, slash, path = value.partition("/")
    if target.kind in ("host", "url") and "xn--" in host:
        with contextlib.suppress(UnicodeError):
            forms.add(host.encode().decode("idna") + slash + path)
    if target.kind != "url":
        return forms
    forms |= {host} if slash and not path else set()
    forms |= {unquote(form) for form in forms} | {quote(form, safe="").lower() for form in forms}
    return forms | {form.replace("&", "&amp;") for form in forms}


def _bitmap(places: np.ndarray, bits: int) -> np.ndarray:
    """2^bits bits, of which those at `places` are set."""
    bitmap = np.zeros(1 << (bits - 3), np.uint8)
    np.bitwise_or.at(bitmap, (places >> np.uint64(3)).astype(np.int64), _bit(places))
    return bitmap


def _bit(places: np.ndarray) -> np.ndarray:
    return np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))


def _needles(names: list[bytes], kinds: list[int]) -> tuple[Any, ...]:
    """The arguments of `_passes.find_names` for these names."""
    bounds = np.cumsum([0, *map(len, names)])
    anchors = np.array([int.from_bytes(name[-8:], "big") for name in names], np.uint64)
    sizes = np.array([min(8, len(name)) for name in names], np.int64)
    order = np.lexsort((anchors, sizes))
    lengths, starts = np.unique(sizes[order], return_index=True)
    anchors = anchors[order]
    bits = _bitmap((anchors * _passes._BASE) >> np.uint64(48), 16)
    places = np.append(starts, len(names)).astype(np.int64)
    joined = np.frombuffer(b"".join(names), np.uint8)
    return joined, bounds, np.array(kinds, np.int64), lengths, places, anchors, order.astype(np.int64), bits
