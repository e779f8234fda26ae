"""Versions of the models and of the cut points that judge documents: what they follow from, and when they are kept.

Neither is made again because there are more documents: an identity follows from the recipe and from the annotations,
not from the crawl, so that an integer 0..19 means the same in every snapshot until somebody asks for another version.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nemotron_assets.models.registry import Identity, Made, Registry, newest
from nemotron_assets.recipe.web.heuristics import Perplexity
from nemotron_assets.recipe.web.quality import Quality, Scorers, Thresholds
from nemotron_assets.scorers import TRAINING_CODE, ScorerError
from nemotron_assets.scorers.published import fetch_checkpoint
from nemotron_assets.scorers.references import passages, references
from nemotron_assets.scorers.training import train_ngrams, train_ridge
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from nemotron_assets.web.quality.annotate import ANNOTATORS, facts_table
from nemotron_assets.web.quality.ensemble import SCORERS, SCORES, cut_points, judged
from nemotron_assets.web.quality.ensemble import sample as drawn
from nemotron_assets.web.quality.perplexity import make as make_perplexity
from nemotron_assets.web.quality.scoring import crawl_sample
from nemotron_assets.web.quality.tables import PERPLEXITY, QUALITY, QUALITY_SCORERS, QUALITY_SCORES, QUALITY_THRESHOLDS

if TYPE_CHECKING:
    from resources.lakehouse import Reader

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
    values = {"code": TRAINING_CODE, "slot": slot, "name": name} | {key: getattr(recipe, key) for key in _DECIDES[kind]}
    recipe_hash = content_hash(json.dumps(values, sort_keys=True))[:16]
    learnt = ""
    if kind == "ridge":
        mine = annotations.filter(pl.col("annotator") == slot).sort("id")
        learnt = "\x1f".join(f"{id_}={score}" for id_, score in mine.select("id", "score").iter_rows())
    elif kind == "ngrams":
        learnt = "\x1f".join(references(recipe))
    return row_id(QUALITY_SCORERS.full_name, slot, recipe_hash, content_hash(learnt)), recipe_hash


def want_scorers(
    registry: Registry,
    recipe: Scorers,
    annotations: pl.DataFrame,
    documents: pl.LazyFrame,
    inputs: tuple[str, ...],
    log: Callable[[str], None],
) -> list[dict[str, Any]]:
    """The rows of the scorers that the recipe wants, in the ensemble's order; only missing ones are made."""
    rows = []
    for slot in SCORERS:
        id_, recipe_hash = identity(slot, recipe, annotations)
        if id_ not in registry:
            source = getattr(recipe, slot)
            log(f"{slot}: {'training' if source == 'embedded' else f'fetching {source}'}")
        make = functools.partial(_make, slot, recipe, annotations, documents)
        rows.append(registry.want(Identity(slot, id_, recipe_hash, inputs), make))
    return rows


def _make(slot: str, recipe: Scorers, annotations: pl.DataFrame, documents: pl.LazyFrame, scratch: Path) -> Made:
    source, folder = getattr(recipe, slot), scratch / slot
    if source != "embedded":
        return fetch_checkpoint(slot, source, recipe, folder).made(source)
    if slot == "reference":
        crawl = crawl_sample(documents, recipe.crawl_documents)
        return train_ngrams(references(recipe), crawl, recipe, folder).made(source)
    judged_here = annotations.filter((pl.col("annotator") == slot) & (pl.col("source") == "crawl")).sort("id")
    texts, scores = judged_here["text"].to_list(), judged_here["score"].to_list()
    return train_ridge(texts, scores, passages(recipe), recipe, folder).made(source)


def current(models: Reader) -> list[dict[str, Any]]:
    """The scorers in use, in the ensemble's order. Raises `ModelError` when one is missing."""
    return [newest(models, slot) for slot in SCORERS]


def described(models: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """What was measured of the scorers, as a Markdown table, and which versions they are, in words."""
    measured = [{k: float(v) for k, v in json.loads(m["metrics"]).items() if v is not None} for m in models]
    facts = dict(zip((m["name"] for m in models), measured, strict=True))
    return facts_table(facts), ", ".join(f"{m['name']} {m['version']} ({m['kind']}, {m['source']})" for m in models)


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
            "there are no cut points for these scorers and web.quality.thresholds: materialise web/quality_thresholds first"
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


def perplexity_model(recipe: Perplexity, scorers: Scorers) -> Callable[[Path], Made]:
    """What makes the version of models.perplexity that the recipe names. The id follows from name and files."""

    def make(scratch: Path) -> Made:
        made = make_perplexity(recipe, references(scorers) if recipe.model == "embedded" else [], scratch)
        return Made(
            made.folder,
            {"kind": made.kind, "ngrams": made.ngrams, "metrics": json.dumps(made.metrics, sort_keys=True)},
            id=lambda sha256: row_id(PERPLEXITY.full_name, made.name, sha256),
            name=made.name,
        )

    return make
