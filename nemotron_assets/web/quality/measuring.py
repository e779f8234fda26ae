"""Makes the rows of `web.measures` from documents. Worker processes use it, so it does not import Dagster."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nemotron_assets.recipe.web import Web
from nemotron_assets.recipe.web.heuristics import Measures, Perplexity
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Batches, Rejects
from nemotron_assets.text.code_blocks import without_code
from nemotron_assets.text.heuristics import NUMBERS, measure
from nemotron_assets.web.quality import ngrams
from nemotron_assets.web.quality import perplexity as models
from nemotron_assets.web.quality.ensemble import ENGLISH
from nemotron_assets.web.quality.tables import MEASURES

if TYPE_CHECKING:
    from resources.compute import Compute

#: The columns of `web.unique_documents` that are read.
DOCUMENT_COLUMNS = ("id", "snapshot", "language", "text", "characters")


def measures(documents: Iterable[pa.RecordBatch], recipe: Web, model: Path, compute: Compute) -> Batches:
    """Measure documents (columns `DOCUMENT_COLUMNS`) on every core. `model` is the folder of the perplexity model."""
    compile_passes(recipe.measures)  # once, and not in every worker at the same time
    work = functools.partial(measure_rows, strings=recipe.measures, perplexity=recipe.perplexity, model=str(model))
    rejects, wanted = Rejects(), in_languages(documents, recipe.heuristics.languages)
    return Batches(compute.map(wanted, work, reject=rejects.add, stage=MEASURES.full_name), rejects)


def compile_passes(strings: Measures) -> None:
    """Compile the numba functions that `measure_rows` uses, or load them from numba's cache on the disk."""
    measure(pa.array(["Ä word."], pa.large_string()), strings)
    models.CharacterModel(ngrams.train(["a text to compile with"], 2, 1), 4.0).perplexity("a text")


def in_languages(batches: Iterable[pa.RecordBatch], languages: Iterable[str]) -> Iterator[pa.RecordBatch]:
    """The rows whose language is English or one of `languages`; batches without such rows are left out."""
    known = pa.array([ENGLISH, *languages], pa.large_string())
    for batch in batches:
        rows = batch.filter(pc.is_in(batch.column("language"), known))
        if rows.num_rows:
            yield rows


def judged_texts(texts: pl.Series, strings: Measures) -> pl.Series:
    """The texts that the rules judge: without fenced code if the recipe leaves it out."""
    if strings.code_blocks == "counted":
        return texts
    return pl.Series("text", [without_code(text) for text in texts], pl.String)


def measure_rows(documents: pl.DataFrame, strings: Measures, perplexity: Perplexity, model: str) -> pl.DataFrame:
    """Rows of `web.measures` for documents with the columns `DOCUMENT_COLUMNS`. `model` is the folder of the perplexity
    model, which judges English texts only."""
    judged = judged_texts(documents["text"], strings)
    numbers = measure(judged.to_arrow(compat_level=pl.CompatLevel.oldest()), strings)
    judge = models.load(Path(model), perplexity.token_characters)
    perplexities = [
        judge.perplexity(text[: perplexity.characters]) if language == ENGLISH else None
        for text, language in documents.select("text", "language").iter_rows()
    ]
    return documents.select(
        pl.Series("id", [row_id(MEASURES.full_name, document) for document in documents["id"]], pl.String),
        pl.concat_list("id").alias("parents"),
        "snapshot",
        "language",
        *(numbers[name] for name in NUMBERS),
        pl.Series("perplexity", perplexities, pl.Float64),
        "characters",
    )
