"""Counts of what an export has written: per shard, per config and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: For estimating tokens from characters; about right for English.
CHARACTERS_PER_TOKEN = 4


class ExportError(RuntimeError):
    """A table cannot be exported as asked; the message says why and what to do."""


@dataclass
class Counts:
    """Counts of a shard, a config or a whole export.

    `bytes` is the size of the columns in memory, `file_bytes` that of the Parquet files. `languages` and `snapshots`
    count rows.
    """

    rows: int = 0
    characters: int = 0
    bytes: int = 0
    file_bytes: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    snapshots: Counter[str] = field(default_factory=Counter)

    @property
    def tokens(self) -> int:
        """The number of tokens, estimated from the characters."""
        return self.characters // CHARACTERS_PER_TOKEN

    def add(self, other: Counts) -> None:
        for name in ("rows", "characters", "bytes", "file_bytes"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.languages.update(other.languages)
        self.snapshots.update(other.snapshots)

    @classmethod
    def total(cls, parts: Iterable[Counts]) -> Counts:
        total = cls()
        for part in parts:
            total.add(part)
        return total

    def as_json(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name) for name in ("rows", "characters", "bytes", "file_bytes")}
        return {**numbers, "languages": dict(self.languages), "snapshots": dict(self.snapshots)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Counts:
        return cls(**{**data, "languages": Counter(data["languages"]), "snapshots": Counter(data["snapshots"])})


@dataclass(frozen=True)
class Shard:
    """One Parquet file. `number` is its place among the files of its config, from 0."""

    config: str
    number: int
    counts: Counts

    def path(self, of: int | None = None) -> str:
        """The path inside the export's folder. `of` is the number of shards of the config; it is missing from the name
        until all shards are written."""
        end = "" if of is None else f"-of-{of:05d}"
        return f"data/{self.config}/train-{self.number:05d}{end}.parquet"


@dataclass(frozen=True)
class Exported:
    """A finished export. `written` is False if the folder was up to date and nothing was written.

    `moved_aside` is the folder that now holds the files that no export wrote. It is None if the folder
    had no such files.
    """

    directory: Path
    configs: dict[str, Counts]
    written: bool
    moved_aside: Path | None = None
