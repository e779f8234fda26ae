"""What programs printed: lines of the output of steps, and of servers of this home, that hold what was removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from nemotron_assets.rights.evidence import Search, cells_of
from resources.files import replaced
from resources.home import dagster_home, home

#: What stands in the place of a line.
FORGOTTEN = b"(forgotten)\n"
_BYTES = 1 << 20  # of lines that are searched together


def scrub_logs(search: Search) -> int:
    """Replace the lines of all logs that hold a text, an id or a name of the search; returns the number of lines.

    A text that is broken into lines so short that no line has a piece of it takes all lines that are read with it.
    """
    return sum(_scrub(file, search) for file in _files())


def _files() -> Iterator[Path]:
    for folder in (*dagster_home().glob("storage/*/compute_logs"), home() / "cache" / "server"):
        yield from (file for file in sorted(folder.glob("*")) if file.is_file())


def _scrub(file: Path, search: Search) -> int:
    with file.open("rb") as log:
        bad = {number for first, lines in _groups(log) for number in _bad(first, lines, search)}
    if bad:  # else it stays the same file: a program may be writing to it
        with file.open("rb") as log, replaced(file) as new, new.open("wb") as written:
            written.writelines(FORGOTTEN if number in bad else line for number, line in enumerate(log))
    return len(bad)


def _groups(log: BinaryIO) -> Iterator[tuple[int, list[bytes]]]:
    """(number of the first line, lines) of about `_BYTES`."""
    first = 0
    while lines := log.readlines(_BYTES):
        yield first, lines
        first += len(lines)


def _bad(first: int, lines: list[bytes], search: Search) -> Iterator[int]:
    """The numbers of the lines that must not stay."""
    text = b"".join(lines)
    cells = cells_of(text, np.cumsum([len(line) for line in lines]))
    bad = {*np.flatnonzero(search.pieces_in(cells)).tolist(), *search.hits_in(cells)[:, 0].tolist()}
    if not bad and search.pieces_in(cells_of(text)).any():
        bad = set(range(len(lines)))
    return (first + number for number in sorted(bad))
