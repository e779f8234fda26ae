"""Versions of the models and of the cut points that judge documents: what they follow from, and when they are kept.

Neither is made again because there are more documents: an identity follows from the recipe and from the annotations,
not from the crawl, so that an integer 0..19 means the same in every snapshot until somebody asks for another version.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nemotron_assets.models import PERPLEXITY, QUALITY_SCORERS
from nemotron_assets.recipe.heuristics import Perplexity
from nemotron_assets.recipe.quality import Quality, Scorers, Thresholds
from nemotron_assets.table import Reject, content_hash, row_id
from nemotron_assets.web.quality import scorers as kinds
from nemotron_assets.web.quality.annotate import ANNOTATORS, facts_table
from nemotron_assets.web.quality.ensemble import SCORERS, SCORES, cut_points, judged
from nemotron_assets.web.quality.ensemble import sample as drawn
from nemotron_assets.web.quality.perplexity import make as make_perplexity
from nemotron_assets.web.quality.scorers import ScorerError
from nemotron_assets.web.quality.tables import QUALITY, QUALITY_SCORES, QUALITY_THRESHOLDS

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

# What of the recipe decides the weights of each kind; the rest says how they are used.
_DECIDES = {
    "ridge": ("embedding", "embedding_tokens", "version"),
    "ngrams": (
        "max_references", "crawl_documents", "ngrams", "features_log2", "regularisation", "characters", "version",
    ),
    "checkpoint": ("version",),
}  # fmt: skip


def identity(slot: str, recipe: Scorers, annotations: pl.DataFrame) -> tuple[str, str]:
    """(id, recipe hash) of the scorer that the recipe wants in a slot.

    A trained one also follows from what it learns from: the annotations, or the reference texts.
    """
    name = getattr(recipe, slot)
    kind = "checkpoint" if name != "embedded" else "ridge" if slot in ANNOTATORS else "ngrams"
    values = {"code": kinds.CODE, "slot": slot, "name": name} | {key: getattr(recipe, key) for key in _DECIDES[kind]}
    recipe_hash = content_hash(json.dumps(values, sort_keys=True))[:16]
    learnt = ""
    if kind == "ridge":
        mine = annotations.filter(pl.col("annotator") == slot).sort("id")
        learnt = "\x1f".join(f"{id_}={score}" for id_, score in mine.select("id", "score").iter_rows())
    elif kind == "ngrams":
        learnt = "\x1f".join(kinds.references(recipe))
    return row_id(QUALITY_SCORERS.full_name, slot, recipe_hash, content_hash(learnt)), recipe_hash


def scorer_rows(
    rows: pl.DataFrame,
    recipe: Scorers,
    annotations: pl.DataFrame,
    documents: pl.LazyFrame,
    lake: Lakehouse,
    inputs: list[str],
    run_id: str,
    log: Callable[[str], None],
) -> pl.DataFrame:
    """All rows of models.quality_scorers, the wanted scorers the latest of their names; only missing ones are made."""
    now = datetime.now(UTC)
    for slot in SCORERS:
        id_, recipe_hash = identity(slot, recipe, annotations)
        mine = rows.filter(pl.col("name") == slot).sort("at")
        if id_ in mine["id"]:
            if mine["id"][-1] != id_:  # asked for again after another one: the latest is the current one
                log(f"{slot}: version {mine.filter(pl.col('id') == id_)['version'][0]} is current again")
                rows = again(rows, id_, now)
            continue
        log(f"{slot}: {'training' if getattr(recipe, slot) == 'embedded' else 'fetching ' + getattr(recipe, slot)}")
        with tempfile.TemporaryDirectory() as scratch:
            made = _make(slot, recipe, annotations, documents, Path(scratch, slot))
            uri, sha256 = lake.put_weights(made.folder, f"quality_scorers/{slot}")
        row = {
            "id": id_, "name": slot, "version": str(mine.height + 1), "kind": made.kind,
            "source": getattr(recipe, slot), "uri": uri, "sha256": sha256, "parameters": made.parameters,
            "metrics": metrics_text(made), "recipe_hash": recipe_hash, "input_versions": inputs,
            "run_id": run_id, "at": now,
        }  # fmt: skip
        rows = pl.concat([rows, pl.DataFrame([row], schema=rows.schema)])
    return rows


def _make(
    slot: str, recipe: Scorers, annotations: pl.DataFrame, documents: pl.LazyFrame, folder: Path
) -> kinds.Trained:
    name = getattr(recipe, slot)
    if name != "embedded":
        return kinds.fetch_checkpoint(slot, name, recipe, folder)
    if slot == "reference":
        crawl = kinds.crawl_sample(documents, recipe.crawl_documents)
        return kinds.train_ngrams(kinds.references(recipe), crawl, recipe, folder)
    mine = annotations.filter((pl.col("annotator") == slot) & (pl.col("source") == "crawl")).sort("id")
    return kinds.train_ridge(mine["text"].to_list(), mine["score"].to_list(), kinds.passages(recipe), recipe, folder)


def current(rows: pl.DataFrame) -> list[dict[str, Any]]:
    """The latest version of each scorer, in the ensemble's order. Raises `ScorerError` when one is missing."""
    latest = {row["name"]: row for row in rows.sort("at").iter_rows(named=True)}
    if missing := [slot for slot in SCORERS if slot not in latest]:
        raise ScorerError(f"there is no scorer {', '.join(missing)}: materialise models/quality_scorers first")
    return [latest[slot] for slot in SCORERS]


def described(models: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """What was measured of the scorers, as a Markdown table, and which versions they are, in words."""
    measured = [{k: float(v) for k, v in json.loads(m["metrics"]).items() if v is not None} for m in models]
    facts = dict(zip((m["name"] for m in models), measured, strict=True))
    return facts_table(facts), ", ".join(f"{m['name']} {m['version']} ({m['kind']}, {m['source']})" for m in models)


def again(rows: pl.DataFrame, id_: str, now: datetime) -> pl.DataFrame:
    """The rows with one of them the latest: it is asked for again after another one."""
    at = pl.when(pl.col("id") == id_).then(pl.lit(now)).otherwise(pl.col("at"))
    return rows.with_columns(at=at.cast(rows.schema["at"]))


def metrics_text(made: kinds.Trained) -> str:
    """What was measured, as a JSON object; what could not be is null."""
    metrics = {key: None if math.isnan(value) else round(value, 6) for key, value in made.metrics.items()}
    return json.dumps(metrics, sort_keys=True)


def ensemble_hash(models: Sequence[dict[str, Any]]) -> str:
    """Names three scorers; scores with the same name may be compared."""
    return content_hash("\x1f".join(model["id"] for model in models))


def score_rows(
    scored: Iterable[pl.DataFrame], scorers: str, reject: Callable[[Reject], None]
) -> Iterator[pl.DataFrame]:
    """Rows of web.quality_scores; documents with a score that is no number go to `reject`."""
    names = QUALITY_SCORES.column_names
    finite = pl.all_horizontal(pl.col(name).is_finite() for name in SCORES)
    yield QUALITY_SCORES.empty()
    for frame in scored:
        for (document,) in frame.filter(~finite).select("id").iter_rows():
            reject(Reject(document, "score_not_finite", "a scorer gave NaN or infinity"))
        good = frame.filter(finite)
        ids = [row_id(QUALITY_SCORES.full_name, document) for document in good["id"]]
        yield good.with_columns(
            id=pl.Series(ids, dtype=pl.String), parents=pl.concat_list("id"), scorers=pl.lit(scorers)
        ).select(names)


def thresholds_hash(models: Sequence[dict[str, Any]], recipe: Thresholds) -> str:
    """Names the cut points that the recipe wants for these scorers."""
    return row_id(QUALITY_THRESHOLDS.full_name, ensemble_hash(models), recipe.model_dump_json())


def all_thresholds(
    rows: pl.DataFrame,
    scores: pl.LazyFrame,
    models: Sequence[dict[str, Any]],
    recipe: Thresholds,
    inputs: list[str],
    log: Callable[[str], None],
) -> pl.DataFrame:
    """All rows of web.quality_thresholds; the set that the recipe wants is computed from the scores if missing."""
    name = thresholds_hash(models, recipe)
    if name in rows["thresholds"]:
        log("these cut points are in already")
        return rows
    mine = scores.filter(pl.col("scorers") == ensemble_hash(models))
    sample = drawn(mine, recipe.sample_share, recipe.max_documents)
    if sample.is_empty():
        log("no English document is scored yet: the cut points come with the first")
        return rows
    return pl.concat([rows, threshold_rows(sample, models, recipe, inputs)])


def threshold_rows(
    sample: pl.DataFrame, models: Sequence[dict[str, Any]], recipe: Thresholds, inputs: list[str]
) -> pl.DataFrame:
    """Cut points of every scorer over a sample (snapshot, bytes, scores), as rows of web.quality_thresholds."""
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
    """The wanted set and the number of documents it is computed from; nothing while it is not there."""
    mine = rows.filter(pl.col("thresholds") == thresholds_hash(models, recipe)).select("documents", "thresholds")
    return {} if mine.is_empty() else dict(zip(("documents", "set"), mine.row(0), strict=True))


def cuts(rows: pl.DataFrame, name: str) -> dict[str, np.ndarray]:
    """The cut points of a set, ascending, by scorer. Raises `ScorerError` when the set is not there."""
    mine = rows.filter(pl.col("thresholds") == name).sort("percentile")
    if mine.is_empty():
        raise ScorerError(
            "there are no cut points for these scorers and quality.thresholds: materialise web/quality_thresholds first"
        )
    return {slot: mine.filter(pl.col("scorer") == slot)["cut"].to_numpy() for slot in SCORERS}


def quality_rows(
    scores: pl.LazyFrame, thresholds: pl.DataFrame, models: Sequence[dict[str, Any]], recipe: Quality
) -> Iterator[pl.DataFrame]:
    """Rows of web.quality for rows of web.quality_scores. Raises `ScorerError` when those are by other scorers."""
    name, wanted = thresholds_hash(models, recipe.thresholds), ensemble_hash(models)
    yield QUALITY.empty()
    found = None
    for frame in scores.collect_batches(chunk_size=65_536, engine="streaming"):
        if set(frame["scorers"]) - {wanted}:
            raise ScorerError("the scores are by earlier scorers: materialise web/quality_scores first")
        found = found or cuts(thresholds, name)
        rows = judged(frame, found, recipe.lowest_bucket)
        ids = [row_id(QUALITY.full_name, parents[0]) for parents in rows["parents"]]
        yield rows.with_columns(id=pl.Series(ids, dtype=pl.String), thresholds=pl.lit(name)).select(
            QUALITY.column_names
        )


def perplexity_rows(recipe: Perplexity, scorers: Scorers, lake: Lakehouse) -> pl.DataFrame:
    """The row of models.perplexity: the model that the recipe names, put into the lake."""
    with tempfile.TemporaryDirectory() as scratch:
        references = kinds.references(scorers) if recipe.model == "embedded" else []
        made = make_perplexity(recipe, references, Path(scratch))
        uri, sha256 = lake.put_weights(made.folder, "perplexity")
    row = {"id": row_id(PERPLEXITY.full_name, made.name, sha256), "name": made.name, "kind": made.kind, "uri": uri}
    row |= {"sha256": sha256, "ngrams": made.ngrams, "metrics": json.dumps(made.metrics, sort_keys=True)}
    return pl.DataFrame([row | {"at": datetime.now(UTC)}], schema_overrides={"ngrams": pl.Int64})
