"""Cut points of the scores: computed once from a sample, stored in sets, and applied to the scores of all snapshots.

A set of cut points belongs to three scorers and the recipe's `web.quality.thresholds`. More documents do not change
it, so that a bucket 0..19 means the same in every snapshot until another set is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from nemotron_assets.recipe.web.quality import Quality, Thresholds
from nemotron_assets.scorers import ScorerError
from nemotron_assets.table.ids import row_id
from nemotron_assets.web.quality.ensemble import SCORERS, SCORES, assign_levels, cut_points, sample_scores
from nemotron_assets.web.quality.tables import QUALITY, QUALITY_THRESHOLDS
from nemotron_assets.web.quality.versions import ensemble_hash


def thresholds_hash(models: Sequence[dict[str, Any]], recipe: Thresholds) -> str:
    """The hash that names the set of cut points for these scorers (rows of `models.quality_scorers`)."""
    return row_id(QUALITY_THRESHOLDS.full_name, ensemble_hash(models), recipe.model_dump_json())


def add_missing_set(
    stored: pl.DataFrame,
    scores: pl.LazyFrame,
    models: Sequence[dict[str, Any]],
    recipe: Thresholds,
    inputs: list[str],
    log: Callable[[str], None],
) -> pl.DataFrame:
    """All rows of `web.quality_thresholds`: the stored rows, and the wanted set computed from `scores` if it is
    missing.

    `inputs` are the versions of the tables that the set is computed from.
    """
    name = thresholds_hash(models, recipe)
    if name in stored["thresholds"]:
        log(f"web.quality_thresholds has the wanted set already: {name}")
        return stored
    comparable = scores.filter(pl.col("scorers") == ensemble_hash(models))
    sample = sample_scores(comparable, recipe.sample_share, recipe.max_documents)
    if sample.is_empty():
        log("no English document has scores of these scorers: the cut points are computed when one has")
        return stored
    return pl.concat([stored, threshold_rows(sample, models, recipe, inputs)])


def threshold_rows(
    sample: pl.DataFrame, models: Sequence[dict[str, Any]], recipe: Thresholds, inputs: list[str]
) -> pl.DataFrame:
    """The rows of a new set: the cut points of every scorer over a sample (snapshot, bytes, scores)."""
    name, weights = thresholds_hash(models, recipe), sample["bytes"].to_numpy()
    common = {
        "thresholds": name,
        "version": recipe.version,
        "documents": sample.height,
        "bytes": int(weights.sum()),
        "snapshots": sample["snapshot"].unique().sort().to_list(),
        "input_versions": inputs,
    }
    rows = [
        {
            "id": row_id(QUALITY_THRESHOLDS.full_name, name, slot, percentile),
            "scorer": slot,
            "model_id": model["id"],
            "percentile": percentile,
            "cut": float(cut),
            **common,
        }
        for slot, score, model in zip(SCORERS, SCORES, models, strict=True)
        for percentile, cut in zip(
            recipe.percentiles, cut_points(sample[score].to_numpy(), weights, recipe.percentiles), strict=True
        )
    ]
    return pl.DataFrame(rows, schema=QUALITY_THRESHOLDS.empty().schema)


def threshold_facts(rows: pl.DataFrame, models: Sequence[dict[str, Any]], recipe: Thresholds) -> dict[str, Any]:
    """Metadata: the name of the wanted set and the number of documents it was computed from. Empty if the set is
    missing."""
    wanted = rows.filter(pl.col("thresholds") == thresholds_hash(models, recipe)).select("documents", "thresholds")
    return {} if wanted.is_empty() else dict(zip(("documents", "set"), wanted.row(0), strict=True))


def cuts_by_scorer(rows: pl.DataFrame, name: str) -> dict[str, np.ndarray]:
    """{scorer: its cut points, ascending} of a set. Raises `ScorerError` when the set is missing."""
    wanted = rows.filter(pl.col("thresholds") == name).sort("percentile")
    if wanted.is_empty():
        raise ScorerError(
            f"web.quality_thresholds has no set {name} for the scorers in use and the recipe's web.quality.thresholds: "
            "materialise web/quality_thresholds first"
        )
    return {slot: wanted.filter(pl.col("scorer") == slot)["cut"].to_numpy() for slot in SCORERS}


def quality_rows(
    scores: pl.LazyFrame, thresholds: pl.DataFrame, models: Sequence[dict[str, Any]], recipe: Quality
) -> Iterator[pl.DataFrame]:
    """Rows of `web.quality` for rows of `web.quality_scores`. Raises `ScorerError` for scores of other scorers than
    `models`."""
    name, wanted = thresholds_hash(models, recipe.thresholds), ensemble_hash(models)
    yield QUALITY.empty()
    cuts = None
    for frame in scores.collect_batches(chunk_size=65_536, engine="streaming"):
        if set(frame["scorers"]) - {wanted}:
            raise ScorerError(
                "web.quality_scores has scores of scorers that are not in use: materialise web/quality_scores first"
            )
        cuts = cuts or cuts_by_scorer(thresholds, name)
        rows = assign_levels(frame, cuts, recipe.lowest_bucket)
        ids = [row_id(QUALITY.full_name, parents[0]) for parents in rows["parents"]]
        yield rows.with_columns(id=pl.Series(ids, dtype=pl.String), thresholds=pl.lit(name)).select(
            QUALITY.column_names
        )
