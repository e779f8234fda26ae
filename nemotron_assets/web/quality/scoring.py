"""Applies the three scorers of the ensemble to documents. Worker processes use it, so it does not import Dagster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nemotron_assets.recipe.web.quality import Scorers
from nemotron_assets.scorers.kinds import Scorer, load
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.web.quality.ensemble import ENGLISH, SCORES
from nemotron_assets.web.quality.tables import QUALITY_SCORES

if TYPE_CHECKING:
    import pyarrow as pa

#: (slot, kind, folder) of the three scorers; hashable. "Slot" is the place in the ensemble: edu_a, edu_b, reference.
ScorerFolders = tuple[tuple[str, str, str], ...]

#: The columns of `web.unique_documents` that are read.
DOCUMENT_COLUMNS = ("id", "snapshot", "language", "text")


def score_function(
    models: Sequence[dict[str, Any]], recipe: Scorers, weights: Callable[[str], Path]
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """`score` with the scorers of these rows of `models.quality_scorers`; `weights` finds the folder of a URI."""
    folders = tuple((model["name"], model["kind"], str(weights(model["uri"]))) for model in models)
    return functools.partial(score, folders=folders, recipe=recipe)


def score(documents: pl.DataFrame, folders: ScorerFolders, recipe: Scorers) -> pl.DataFrame:
    """Rows of (id, snapshot, bytes, one score per scorer) for documents (id, snapshot, text).

    Scores are rounded to six decimals. Further decimals of a transformer's score depend on the other texts in the
    batch.
    """
    texts = documents["text"].to_list()
    scorers = _load(folders, recipe)
    return documents.select("id", "snapshot", bytes=pl.col("text").str.len_bytes().cast(pl.Int64)).with_columns(
        **{
            f"{slot}_score": pl.Series(np.round(scorers[slot].score(texts), 6), dtype=pl.Float64)
            for slot, *_ in folders
        }
    )


@functools.lru_cache(maxsize=1)
def _load(folders: ScorerFolders, recipe: Scorers) -> Mapping[str, Scorer]:
    """The scorers by slot, loaded once per process."""
    return {slot: load(kind, Path(folder), recipe) for slot, kind, folder in folders}


def english_documents(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The English documents of batches with the columns `DOCUMENT_COLUMNS`."""
    import pyarrow.compute as pc

    for batch in batches:
        yield batch.filter(pc.equal(batch["language"], ENGLISH))


def score_rows(
    scored: Iterable[pl.DataFrame], scorers: str, reject: Callable[[Reject], None]
) -> Iterator[pl.DataFrame]:
    """Rows of `web.quality_scores` from the results of `score`. A document with a score that is NaN or infinite goes to
    `reject`. `scorers` is the hash of the ensemble."""
    finite = pl.all_horizontal(pl.col(name).is_finite() for name in SCORES)
    yield QUALITY_SCORES.empty()
    for frame in scored:
        for (document,) in frame.filter(~finite).select("id").iter_rows():
            reject(Reject(document, "score_not_finite", "a scorer gave NaN or infinity"))
        good = frame.filter(finite)
        ids = [row_id(QUALITY_SCORES.full_name, document) for document in good["id"]]
        yield good.with_columns(
            id=pl.Series(ids, dtype=pl.String), parents=pl.concat_list("id"), scorers=pl.lit(scorers)
        ).select(QUALITY_SCORES.column_names)


def crawl_sample(documents: pl.LazyFrame, most: int) -> list[str]:
    """Texts of the English documents with the highest content hashes. Annotators see those with the lowest, so the two
    samples do not overlap."""
    english = documents.filter(pl.col("language") == ENGLISH)
    return english.top_k(most, by=["content_hash", "id"]).sort("id").select("text").collect()["text"].to_list()
