"""Proves a removal: reads everything that is stored in the home, and searches for what was removed.

All files below the home, the lake, Dagster's folder and the exports that were made from this home are read (see
`stores`), whether a table's newest version names them or not. So a store that a removal forgot cannot be forgotten
here, too.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nemotron_assets.rights.evidence import Cells, Evidence, Search, cells_of, grouped
from nemotron_assets.rights.exports import recorded
from nemotron_assets.rights.stores import BYTES, Block, blocks
from nemotron_assets.rights.targets import Target
from nemotron_assets.rights.vocabularies import Vocabulary, vocabulary
from resources.home import dagster_home, home, lake_root
from resources.store import store_at

#: What reading the home cannot prove.
NOT_PROVEN = (
    "weights: a model that was trained on a removed text may still repeat it, and its numbers are not searched; "
    "`nemotron forget` lists these models",
    "exports that were moved or copied, branches outside the home, and data sets that were published",
    "backups, snapshots of the file system, and blocks of the disk that deleted files leave behind",
    "temporary files outside the home, which programs leave that were killed",
    "stores outside the home that a recipe or dagster.yaml names: object versions of a bucket, a Postgres server, "
    "endpoints that answered requests",
    "texts that a language model wrote in other words, if the row names no removed row as parent",
    "charts, which are pictures, and texts of fewer than 40 characters, which only ids and addresses tell",
)
_JOURNAL = "journal of the generation ledger"
_SHOWN = 5  # rows that a finding names
#: (place, folder) of what remembers a removal by hashes and ids. The home has such a folder for a lake elsewhere.
_REMEMBERED = (("lake", "rights"), ("lake", "_rights"), ("home", "rights"))


@dataclass(frozen=True)
class Finding:
    """Something of a removed document that is still stored.

    `what` is "text" (pieces that only removed documents had), "id", "host", "url" or "repository". `where` is the
    column of a table, or the table of a database; `rows` are the first rows, by id or number. `name` is what was found
    of a name, "" for text. `cells` is the number of cells.
    """

    store: str
    path: str
    where: str
    what: str
    name: str
    cells: int
    rows: tuple[str, ...]


@dataclass(frozen=True)
class Verified:
    """The result: what was found, how much was read, and the files that could not be read, each with the reason."""

    findings: list[Finding]
    files: int
    bytes: int
    unread: dict[str, str] = field(default_factory=dict)
    pieces: int = 0
    names: int = 0

    @property
    def is_clean(self) -> bool:
        return not self.findings and not self.unread


@dataclass(frozen=True)
class _File:
    """A file below a root: of the lake, of Dagster, of the home or of an export."""

    root: str
    part: str  # lake, dagster, home, or the folder of an export
    path: str
    bytes: int

    @property
    def whole(self) -> str:
        return f"{self.root.rstrip('/')}/{self.path}"


def roots() -> dict[str, str]:
    """The places where this machine stores things: {"lake": path or URL, "dagster": path, "home": path}, and the
    folders of the exports that were made from this home, by their paths."""
    exports = {export.folder: export.folder for export in recorded()}
    return {"lake": lake_root(), "dagster": str(dagster_home()), "home": str(home()), **exports}


def verify(
    targets: Iterable[Target] = (),
    evidence: Evidence | None = None,
    places: dict[str, str] | None = None,
    progress: Callable[[int, int, int], None] = lambda files, of, size: None,
    threads: int | None = None,
) -> Verified:
    """Search all files of the places (default: `roots`) for names of the targets, and for evidence.

    `progress(files, all files, bytes)` is called after every file. Every thread (default: one per core, at most 8)
    needs about 150 MB of memory, whatever the home's size.
    """
    places = places or roots()
    files = sorted(_files(places), key=lambda file: -file.bytes)
    search = Search(evidence or Evidence(), targets)
    found, unread, done, size = [], {}, 0, 0
    spelled = _vocabularies(files, unread)
    for file, findings, problem in _each(files, lambda file: _in_file(file, search.another(), spelled), threads):
        found += findings
        if problem:
            unread[file.whole] = problem
        done, size = done + 1, size + file.bytes
        progress(done, len(files), size)
    found.sort(key=lambda finding: (finding.store, finding.path, finding.where, finding.what))
    return Verified(found, done, size, unread, len(evidence.pieces) if evidence else 0, len(search.names))


def _each(
    files: Sequence[_File], read: Callable[[_File], tuple[list[Finding], str]], threads: int | None
) -> Iterator[tuple[_File, list[Finding], str]]:
    """(file, findings, problem) of every file, as each is done."""
    with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
        waiting = {pool.submit(read, file): file for file in files}
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), *future.result()
        finally:
            for future in waiting:
                future.cancel()


def _files(places: dict[str, str]) -> Iterator[_File]:
    """Every file below the places, once, under the innermost place that it is in."""
    from pyarrow.fs import FileSelector, FileType

    seen: set[str] = set()
    for part, root in places.items():
        store = store_at(root)
        for info in store.get_file_info(FileSelector("", recursive=True, allow_not_found=True)):
            whole = f"{root.rstrip('/')}/{info.path}"
            whole = whole if "://" in root else os.path.realpath(whole)
            if info.type == FileType.File and whole not in seen:
                seen.add(whole)
                yield _File(root, part, info.path, info.size or 0)


def _vocabularies(files: Sequence[_File], unread: dict[str, str]) -> list[Vocabulary]:
    """The different tokenizers among the files. A damaged one goes to `unread`: its tokens cannot be read."""
    found: dict[bytes, Vocabulary | None] = {}
    for file in sorted(files, key=lambda file: file.path):
        if not file.path.endswith("tokenizer.json"):
            continue
        try:
            with store_at(file.root).open_input_file(file.path) as stored:
                data = stored.read()
            digest = hashlib.sha256(data).digest()
            if digest not in found:
                found[digest] = vocabulary(file.path, data)
        except Exception as error:
            unread[file.whole] = f"not a tokenizer: {error!r}"
    return [spelled for spelled in found.values() if spelled is not None]


def _local(file: _File) -> bool:
    return "://" not in file.root


def _in_file(file: _File, search: Search, spelled: Sequence[Vocabulary]) -> tuple[list[Finding], str]:
    """The findings in a file, and why it could not be read to the end."""
    found = _Found(file)
    by_bytes = _Found(file)  # what is found in the bytes of a database is reported only if no row has it
    local = Path(file.root, file.path) if _local(file) else None
    try:
        for block in blocks(store_at(file.root), file.path, local, spelled):
            _in_block(block, search, by_bytes if block.where == BYTES else found)
    except FileNotFoundError:
        pass  # deleted while the others were read
    except Exception as error:
        return [*found.findings(), *by_bytes.findings()], str(error).splitlines()[0] if str(error) else repr(error)
    known = {(what, name) for _, what, name in found.cells}
    return [*found.findings(), *(f for f in by_bytes.findings() if (f.what, f.name) not in known)], ""


def _in_block(block: Block, search: Search, found: _Found) -> None:
    for cells in grouped(block.cells):
        counts = search.pieces_in(cells)
        for cell in np.flatnonzero(counts).tolist():
            found.add(block.where, "text", "", _row(block, cells, cell) or _line_of_text(block, cells, cell, search))
        for hit in search.hits_in(cells):
            kind, name = search.kinds[hit[3]], search.names[hit[3]]
            if found.is_remembered(kind) or search.is_mention(cells, hit):
                continue
            line = f"line {block.line + _lines(cells, cells.offsets[hit[0]], hit[1])}" if block.line else ""
            found.add(block.where, kind, name, _row(block, cells, int(hit[0])) or line)


def _row(block: Block, cells: Cells, cell: int) -> str:
    return block.row(cells.row(cell))


def _lines(cells: Cells, start: int, stop: int) -> int:
    return int(np.count_nonzero(cells.data[start:stop] == 10))


def _line_of_text(block: Block, cells: Cells, cell: int, search: Search) -> str:
    """The first line of a part of a file that has a piece; "" if each is broken into several lines."""
    if not block.line:
        return ""
    text = cells.data[cells.offsets[cell] : cells.offsets[cell + 1]]
    ends = np.append(np.flatnonzero(text == 10) + 1, len(text))
    counts = search.pieces_in(cells_of(text, ends))
    return f"line {block.line + int(np.argmax(counts > 0))}" if counts.any() else f"from line {block.line} on"


class _Found:
    """Collects what is found in one file."""

    def __init__(self, file: _File) -> None:
        self._file = file
        self.cells: dict[tuple[str, str, str], int] = {}
        self._rows: dict[tuple[str, str, str], dict[str, None]] = {}

    def is_remembered(self, kind: str) -> bool:
        """Whether the file is one that remembers removals by ids, and `kind` is an id."""
        return kind == "id" and (self._file.part, self._file.path.split("/")[0]) in _REMEMBERED

    def add(self, where: str, what: str, name: str, row: str) -> None:
        key = where, what, name
        self.cells[key] = self.cells.get(key, 0) + 1
        rows = self._rows.setdefault(key, {})
        if row and len(rows) < _SHOWN:
            rows[row] = None

    def findings(self) -> list[Finding]:
        store, path = store_of(self._file.part, self._file.path), self._file.whole
        return [
            Finding(store, path, where, what, name, count, tuple(self._rows[where, what, name]))
            for (where, what, name), count in self.cells.items()
        ]


def store_of(part: str, path: str) -> str:
    """What a file is stored for, in words. `part` is the place (lake, dagster, home, the folder of an export) that
    `path` is below."""
    names = path.split("/")
    if part == "lake":
        if path.startswith("models/weights/"):
            return "files of models"
        if names[0] == "_ledger":
            return _JOURNAL
        if len(names) < 3 or names[0].startswith("_"):
            return "lake"
        table = ".".join(names[:2])
        return f"log of {table}" if names[2] in ("_delta_log", "_committed") else table
    if part == "dagster":
        kinds = {"history": "Dagster's runs and event log", "schedules": "Dagster's schedules and sensors"}
        return "output of steps" if "compute_logs" in names else kinds.get(names[0], "Dagster")
    if part != "home":
        return f"export {part}"
    if names[0] == "cache":
        kinds = {"journal": _JOURNAL, "lake.duckdb": "DuckDB catalog"}
        return kinds.get(names[1] if len(names) > 1 else "", f"cache of {names[1]}" if len(names) > 2 else "cache")
    return "files of the home"
