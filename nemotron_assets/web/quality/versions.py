"""Which version of the scorers and of the perplexity model is wanted, and how a missing version is made.

The id of a version follows from the recipe and from what the model learns from. More documents of the crawl do not
change it, so that a score means the same in every snapshot until another version is asked for.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.models.registry import Identity, Made, Registry, newest
from nemotron_assets.recipe.web.heuristics import Perplexity
from nemotron_assets.recipe.web.quality import Scorers
from nemotron_assets.scorers import TRAINING_CODE
from nemotron_assets.scorers.published import fetch_checkpoint
from nemotron_assets.scorers.references import passages, references
from nemotron_assets.scorers.training import train_ngrams, train_ridge
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.web.quality.annotate import ANNOTATORS
from nemotron_assets.web.quality.ensemble import SCORERS
from nemotron_assets.web.quality.perplexity import make as make_perplexity
from nemotron_assets.web.quality.report import facts_table
from nemotron_assets.web.quality.scoring import crawl_sample
from nemotron_assets.web.quality.tables import PERPLEXITY, QUALITY_SCORERS

if TYPE_CHECKING:
    from resources.lakehouse import Reader

# The recipe values that decide the weights of each kind of scorer. Other values only say how the scorer is used.
_DECIDES = {
    "ridge": ("embedding", "embedding_tokens", "version"),
    "ngrams": (
        "max_references", "crawl_documents", "ngrams", "features_log2", "regularisation", "characters", "version",
    ),
    "checkpoint": ("version",),
}  # fmt: skip


def identity(slot: str, recipe: Scorers, annotations: pl.DataFrame) -> tuple[str, str]:
    """(id, recipe hash) of the scorer that the recipe wants in a slot of the ensemble (edu_a, edu_b or reference).

    The id of a scorer that is trained here also depends on its training data: the annotations, or the reference texts.
    """
    name = getattr(recipe, slot)
    kind = "checkpoint" if name != "embedded" else "ridge" if slot in ANNOTATORS else "ngrams"
    values = {"code": TRAINING_CODE, "slot": slot, "name": name} | {key: getattr(recipe, key) for key in _DECIDES[kind]}
    recipe_hash = content_hash(json.dumps(values, sort_keys=True))[:16]
    training_data = ""
    if kind == "ridge":
        scores = annotations.filter(pl.col("annotator") == slot).sort("id").select("id", "score")
        training_data = "\x1f".join(f"{id_}={score}" for id_, score in scores.iter_rows())
    elif kind == "ngrams":
        training_data = "\x1f".join(references(recipe))
    return row_id(QUALITY_SCORERS.full_name, slot, recipe_hash, content_hash(training_data)), recipe_hash


def want_scorers(
    registry: Registry,
    recipe: Scorers,
    annotations: pl.DataFrame,
    documents: pl.LazyFrame,
    inputs: tuple[str, ...],
    log: Callable[[str], None],
) -> list[dict[str, Any]]:
    """The rows of the three scorers that the recipe wants, in the ensemble's order. Only missing versions are made.

    `annotations` and `documents` are what they are trained on, `inputs` the versions of these two tables.
    """
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
    annotated = annotations.filter((pl.col("annotator") == slot) & (pl.col("source") == "crawl")).sort("id")
    texts, scores = annotated["text"].to_list(), annotated["score"].to_list()
    return train_ridge(texts, scores, passages(recipe), recipe, folder).made(source)


def scorers_in_use(models: Reader) -> list[dict[str, Any]]:
    """The rows of the three scorers in use, in the ensemble's order. Raises `ModelError` when one is missing."""
    return [newest(models, slot) for slot in SCORERS]


def describe_scorers(models: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """(a Markdown table of the scorers' metrics, their versions in words)."""
    metrics = [{k: float(v) for k, v in json.loads(m["metrics"]).items() if v is not None} for m in models]
    by_scorer = dict(zip((m["name"] for m in models), metrics, strict=True))
    return facts_table(by_scorer), ", ".join(f"{m['name']} {m['version']} ({m['kind']}, {m['source']})" for m in models)


def ensemble_hash(models: Sequence[dict[str, Any]]) -> str:
    """A hash that names three scorers. Scores may be compared if they have the same hash."""
    return content_hash("\x1f".join(model["id"] for model in models))


def perplexity_model(recipe: Perplexity, scorers: Scorers) -> Callable[[Path], Made]:
    """A function that makes the version of `models.perplexity` that the recipe names. The version's id follows from the
    model's name and files."""

    def make(scratch: Path) -> Made:
        made = make_perplexity(recipe, references(scorers) if recipe.model == "embedded" else [], scratch)
        return Made(
            made.folder,
            {"kind": made.kind, "ngrams": made.ngrams, "metrics": json.dumps(made.metrics, sort_keys=True)},
            id=lambda sha256: row_id(PERPLEXITY.full_name, made.name, sha256),
            name=made.name,
        )

    return make
