"""A table with a published layout, filled with a few rows, and readers of its export."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import yaml

from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from resources.lakehouse import Lakehouse

LAPTOP = load_recipe("laptop")
SUBSETS = NEMOTRON_CC_V2.published.configs


def recipe(**changes):
    """The laptop recipe with changed values of the section `release`."""
    return LAPTOP.model_copy(update={"release": LAPTOP.release.model_copy(update=changes)})


def rows(subset: str, snapshot: str, count: int, width: int = 40) -> pl.DataFrame:
    """Rows of a subset. Each text has about `width` characters, and compresses to half of that."""
    translated = subset.startswith("Translated")
    names = [f"{subset} {snapshot} {k} é " for k in range(count)]
    texts = [name + random.Random(name).randbytes(width // 2).hex() for name in names]
    source = "web.curated" if subset.endswith("y") else "web.diverse_qa"
    return pl.DataFrame(
        {
            "id": [row_id(NEMOTRON_CC_V2.full_name, subset, snapshot, k) for k in range(count)],
            "parents": [[f"parent {k}"] for k in range(count)],
            "sources": [[source]] * count,
            "snapshot": snapshot,
            "subset": subset,
            "language": [("de", "ja")[k % 2] if translated else "en" for k in range(count)],
            "text": texts,
            "characters": [len(text) for text in texts],
            "origin_hash": [content_hash(text) for text in texts],
        },
        schema_overrides={
            "characters": pl.Int64,
            "text": pl.String,
            "id": pl.String,
            "language": pl.String,
            "origin_hash": pl.String,
            "parents": pl.List(pl.String),
            "sources": pl.List(pl.String),
        },
    )


def fill(lake: Lakehouse, counts: dict[str, int], snapshots=("S1", "S2"), width: int = 40) -> pl.DataFrame:
    """Write `counts` rows per subset into every snapshot; returns all rows."""
    frames = []
    for snapshot in snapshots:
        made = {subset: rows(subset, snapshot, count, width) for subset, count in counts.items()}
        parts = [Part(s, content_hash(str(f.hash_rows().sum())), lambda f=f: f) for s, f in made.items()]
        lake.write(NEMOTRON_CC_V2, Parts(parts), snapshot, run_id="run 7", code_version="c0de")
        frames += made.values()
    return pl.concat(frames)


COUNTS = {"High-Quality": 5, "Medium-Quality": 3, "Diverse-QA": 4, "Translated-Diverse-QA": 6}


def read(folder: Path, config: str) -> pl.DataFrame:
    """All rows of a config of an export, whose files must have the right names."""
    files = sorted((folder / "data" / config).iterdir())
    count = len(files)
    assert [f.name for f in files] == [f"train-{n:05d}-of-{count:05d}.parquet" for n in range(count)]
    return pl.concat(pl.read_parquet(file) for file in files)


def card(folder: Path) -> tuple[dict, str]:
    """The front matter and the text of an export's README.md."""
    _, matter, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(matter), text
