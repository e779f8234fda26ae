"""Fills a lake with samples to translate. As a program it translates them, for a test that kills it; the arguments are
the folder of the lake and the URL of the endpoint."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from nemotron_assets.generation.writing import Writer
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe, load_recipe
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Rejects
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from nemotron_assets.web.synthetic.translation.snapshot import SnapshotTranslations
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.sql.lake import frame
from tests.web.synthetic.translation.owls import SAMPLE

SNAPSHOT = "CC-MAIN-2024-51"


def recipe(**update: object) -> Recipe:
    """The laptop's recipe with all lines of all samples, asked for up to twice; `update` changes `web.translation`."""
    laptop = load_recipe("laptop")
    own = laptop.web.translation.model_copy(update={"max_samples": None, "max_lines": None, "attempts": 2} | update)
    return laptop.with_sections({"web.translation": own})


def fill(lake: Lakehouse, tokenizer: Path, samples: int = 1) -> None:
    """Write `samples` English samples, and the row of a generator behind an endpoint."""
    text = [SAMPLE] + [SAMPLE.replace("10 years", f"{10 + number} years") for number in range(1, samples)]
    lake.write(
        DIVERSE_QA,
        pl.DataFrame(
            {
                "id": [row_id(DIVERSE_QA.full_name, number) for number in range(samples)],
                "parents": [["document"]] * samples,
                "snapshot": [SNAPSHOT] * samples,
                "text": text,
                "question_count": pl.Series([1] * samples, dtype=pl.Int32),
                "prompt": ["diverse_qa"] * samples,
                "generator": ["canned"] * samples,
                "generation_id": ["g"] * samples,
                "language": ["en"] * samples,
                "tokens": [60] * samples,
            }
        ),
        SNAPSHOT,
    )
    uri, sha256 = lake.put_weights(tokenizer, "tokenizer")
    row = {"id": "model", "name": "canned", "uri": uri, "sha256": sha256, "parameters": None, "dtype": "bfloat16"}
    lake.write(GENERATOR, frame(GENERATOR, [row]))


if __name__ == "__main__":
    root, url = sys.argv[1:]
    lake = Lakehouse(root=root, free_disk_mb=0)
    writer = Writer(
        lake.read(GENERATOR), Gpu(backend="openai", base_url=url, concurrency=2), lake, run_id="killed", log=print
    )
    SnapshotTranslations(lake.read(DIVERSE_QA, SNAPSHOT), recipe(), writer, Rejects().add)
