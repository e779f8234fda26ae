"""From documents to rows of `web.measures`, batch by batch, in worker processes: does not import Dagster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nemotron_assets.recipe.web.heuristics import Measures, Perplexity
from nemotron_assets.table.ids import row_id
from nemotron_assets.text.heuristics import NUMBERS, measure
from nemotron_assets.web.quality import perplexity as models
from nemotron_assets.web.quality.verdicts import ENGLISH

#: What is read of a document.
READ = ("id", "snapshot", "language", "text", "characters")
_TABLE = "web.measures"


def compile_passes(strings: Measures) -> None:
    """Compile, or load from numba's cache on the disk, what `measure_rows` runs."""
    measure(pa.array(["Ä word."], pa.large_string()), strings)
    models.CharacterModel(models.train(["a text to compile with"], 2, 1), 4.0).perplexity("a text")


def wanted(batches: Iterable[pa.RecordBatch], languages: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """The rows in English or one of the languages."""
    known = pa.array([ENGLISH, *languages], pa.large_string())
    for batch in batches:
        rows = batch.filter(pc.is_in(batch.column("language"), known))
        if rows.num_rows:
            yield rows


def measure_rows(documents: pl.DataFrame, strings: Measures, perplexity: Perplexity, model: str) -> pl.DataFrame:
    """Rows of `web.measures` for documents with the columns `READ`. `model`: folder of the perplexity model."""
    numbers = measure(documents["text"].to_arrow(compat_level=pl.CompatLevel.oldest()), strings)
    judge = models.load(Path(model), perplexity.token_characters)
    surprise = [
        judge.perplexity(text[: perplexity.characters]) if language == ENGLISH else None
        for text, language in documents.select("text", "language").iter_rows()
    ]
    return documents.select(
        pl.Series("id", [row_id(_TABLE, document) for document in documents["id"]], pl.String),
        pl.concat_list("id").alias("parents"),
        "snapshot",
        "language",
        *(numbers[name] for name in NUMBERS),
        pl.Series("perplexity", surprise, pl.Float64),
        "characters",
    )
