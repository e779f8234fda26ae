"""The three scorers of the ensemble applied to documents. Worker processes use this module: it does not load Dagster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nemotron_assets.recipe.web.quality import Scorers
from nemotron_assets.scorers.kinds import Scorer, load
from nemotron_assets.web.quality.ensemble import LANGUAGE

if TYPE_CHECKING:
    import pyarrow as pa

#: (slot, kind, folder) of the three scorers, hashable.
Chosen = tuple[tuple[str, str, str], ...]

READ = ("id", "snapshot", "language", "text")


def scorer(
    models: Sequence[dict[str, Any]], recipe: Scorers, weights: Callable[[str], Path]
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """`score` with these model rows; `weights` finds the folder of a model's files."""
    chosen = tuple((model["name"], model["kind"], str(weights(model["uri"]))) for model in models)
    return functools.partial(score, chosen=chosen, recipe=recipe)


def score(documents: pl.DataFrame, chosen: Chosen, recipe: Scorers) -> pl.DataFrame:
    """Rows (id, snapshot, bytes, a score per scorer) for documents (id, snapshot, text).

    Scores have six decimals: beyond them, those of transformers depend on the texts beside them in the batch.
    """
    texts = documents["text"].to_list()
    ready = _loaded(chosen, recipe)
    return documents.select("id", "snapshot", bytes=pl.col("text").str.len_bytes().cast(pl.Int64)).with_columns(
        **{f"{slot}_score": pl.Series(np.round(ready[slot].score(texts), 6), dtype=pl.Float64) for slot, *_ in chosen}
    )


@functools.lru_cache(maxsize=1)
def _loaded(chosen: Chosen, recipe: Scorers) -> Mapping[str, Scorer]:
    """The scorers, loaded once per process."""
    return {slot: load(kind, Path(folder), recipe) for slot, kind, folder in chosen}


def english(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The English documents of batches with the columns `READ`."""
    import pyarrow.compute as pc

    for batch in batches:
        yield batch.filter(pc.equal(batch["language"], LANGUAGE))


def crawl_sample(documents: pl.LazyFrame, most: int) -> list[str]:
    """Texts of the English documents with the highest content hashes: others than the annotated ones."""
    english = documents.filter(pl.col("language") == LANGUAGE)
    return english.top_k(most, by=["content_hash", "id"]).sort("id").select("text").collect()["text"].to_list()
