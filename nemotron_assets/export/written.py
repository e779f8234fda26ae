"""What an export has written, counted: a shard, a config, the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHARACTERS_PER_TOKEN = 4  # the usual estimate for English


class ExportError(RuntimeError):
    """A table that cannot be exported as asked; the message says what to do."""


@dataclass
class Counts:
    """What was written: of a shard, a config, or everything. `bytes` are those of the columns in memory."""

    rows: int = 0
    characters: int = 0
    bytes: int = 0
    file_bytes: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    snapshots: Counter[str] = field(default_factory=Counter)

    @property
    def tokens(self) -> int:
        """Estimated from the characters."""
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
    """One Parquet file: `number` counts within its config."""

    config: str
    number: int
    counts: Counts

    def path(self, of: int | None = None) -> str:
        """Below the export's folder; without `of`, while the number of shards is not known yet."""
        end = "" if of is None else f"-of-{of:05d}"
        return f"data/{self.config}/train-{self.number:05d}{end}.parquet"


@dataclass(frozen=True)
class Exported:
    """What an export holds. `written` is False when it was there already."""

    directory: Path
    configs: dict[str, Counts]
    written: bool
    moved_aside: Path | None = None
