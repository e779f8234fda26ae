"""The exports that were made from this home: where each is, and what it was made from, so that a removal can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from nemotron_assets.table.ids import content_hash
from resources.files import replaced
from resources.home import home


@dataclass(frozen=True)
class Export:
    """An export: its folder, and the table version ("web.nemotron_cc_v2@12") or the id of the model that it holds."""

    folder: str
    version: str = ""
    model: str = ""


def record(export: Export) -> None:
    """Remember an export. It takes the place of an earlier one in the same folder."""
    _folder().mkdir(parents=True, exist_ok=True)
    with replaced(_folder() / f"{content_hash(export.folder)}.json") as new:
        new.write_text(json.dumps(asdict(export)) + "\n", encoding="utf-8")


def recorded() -> Iterator[Export]:
    """The exports that were made from this home, also those whose folders were moved or deleted since."""
    for file in sorted(_folder().glob("*.json")):
        yield Export(**json.loads(file.read_text("utf-8")))


def _folder() -> Path:
    return home() / "exports"
