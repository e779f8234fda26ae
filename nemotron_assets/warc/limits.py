"""The limits on reading one file: on each record, and on all records of the file together."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron_assets.recipe.snapshots import Pages as PagesRecipe


class OverLimit(ValueError):
    """The rest of the file is not read, because the file exceeds a limit; the message names the recipe's value."""


@dataclass(frozen=True)
class Limits:
    """Which records become pages: bodies of at most `max_body` bytes and of the media types `mimes`, and cut-off bodies
    only with `keep_truncated`. A batch has at most `batch_rows` pages and `batch_bytes` bytes of bodies.

    The rest of a file is not read after `max_records` records or rows, `max_damaged` damaged places, `max_unpacked`
    bytes after decompression, or `max_seconds` of CPU time. `max_page` is the most bytes of a page of a Parquet file.
    """

    max_body: int = 8 << 20
    mimes: tuple[str, ...] = ("text/html", "application/xhtml+xml")
    keep_truncated: bool = False
    batch_rows: int = 256
    batch_bytes: int = 32 << 20
    max_records: int = 50_000_000
    max_damaged: int = 10_000
    max_unpacked: int = 256 << 30
    max_seconds: float = 7_200.0
    max_page: int = 256 << 20


def limits_of(recipe: PagesRecipe) -> Limits:
    """The recipe's section `snapshots.pages` as limits of the parser."""
    return Limits(
        max_body=int(recipe.max_html_mb * (1 << 20)),
        mimes=tuple(recipe.mimes),
        keep_truncated=recipe.keep_truncated,
        batch_rows=recipe.batch_rows,
        batch_bytes=recipe.batch_mb << 20,
        max_records=recipe.max_file_records,
        max_damaged=recipe.max_file_damaged,
        max_unpacked=recipe.max_file_mb << 20,
        max_seconds=recipe.max_file_s,
        max_page=recipe.max_parquet_page_mb << 20,
    )


class Budget:
    """What reading one file has used. Its methods raise `OverLimit`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._records = self._damaged = self._bytes = 0
        self._seconds, self._thread, self._since = 0.0, 0, 0.0

    @property
    def used(self) -> tuple[int, int, int, float]:
        """Records, damaged places, bytes and seconds."""
        return self._records, self._damaged, self._bytes, self._seconds

    @used.setter
    def used(self, used: tuple[int, int, int, float]) -> None:
        self._records, self._damaged, self._bytes, self._seconds = used

    def add(self, used: Sequence[float]) -> None:
        """Count what the reader of another piece of the file has used."""
        self.used = tuple(mine + more for mine, more in zip(self.used, used, strict=True))
        self._check_all()

    def spend(self, size: int) -> None:
        """Count a record or row of `size` bytes after decompression, and the CPU time since the last one."""
        self._records += 1
        self._bytes += size
        # The time of a thread, not of the clock: on a busy machine a file takes longer, and is not more hostile.
        now, thread = time.thread_time(), threading.get_ident()
        self._seconds += now - self._since if thread == self._thread else 0
        self._since, self._thread = now, thread
        self._check_all()

    def damage(self) -> None:
        """Count a damaged place."""
        self._damaged += 1
        self._check_all()

    def _check_all(self) -> None:
        limits = self._limits
        self._check(self._records, limits.max_records, "records", "max_file_records")
        self._check(self._bytes, limits.max_unpacked, "bytes after decompression", "max_file_mb")
        self._check(self._seconds, limits.max_seconds, "seconds of CPU time", "max_file_s")
        self._check(self._damaged, limits.max_damaged, "damaged places", "max_file_damaged")

    @staticmethod
    def _check(used: float, most: float, what: str, value: str) -> None:
        if used > most:
            raise OverLimit(
                f"it takes more than {most:,} {what}, and the rest of it was not read (recipe: snapshots.pages.{value})"
            )
