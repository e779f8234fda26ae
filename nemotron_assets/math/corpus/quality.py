"""Scores pages on mathematics from 0 to 5, by a crop from the middle of each page (Nemotron-CC-Math §2.4).

The scorer is a published checkpoint, or it is trained here: ridge regression on a sentence embedding, which learns to
predict the points that a rubric gives. The rubric counts features of texts that teach mathematics: formulas, words that
argue ("therefore"), the share of sentences, and the length. It stands in for FineMath's classifier, which learnt from
the judgements of a large model. The rubric does not know whether the mathematics is right.

Worker processes use this module: it does not load Dagster.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from nemotron_assets.math import clean, tex
from nemotron_assets.math.corpus import scorer_code
from nemotron_assets.math.corpus.tables import MATH_SCORERS, QUALITY
from nemotron_assets.models.registry import Identity, Made, Registry, by_id
from nemotron_assets.recipe.math.corpus import MathQuality
from nemotron_assets.scorers.kinds import Scorer, load
from nemotron_assets.scorers.published import fetch_checkpoint
from nemotron_assets.scorers.training import train_ridge
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject

if TYPE_CHECKING:
    from nemotron_assets.recipe.web.quality import Scorers
    from resources.lakehouse import Reader

#: What the embedded scorer learnt from, for the column `teacher`.
TEACHER = "rubric: density of formulas, words that argue or instruct, share of sentences, length"
#: Columns of `math.cleaned` that scoring reads.
READ = ("id", "text")
#: Name of the scorer in `models.math_scorers`.
_NAME = "math"

_REASONING = re.compile(
    r"(?i)\b(?:theorem|lemma|corollary|proposition|proof|prove[sdn]?|show that|suppose|assume|let|hence|thus|therefore|"
    r"since|because|implies|follows|if and only if|definition|define[sd]?|denote[sd]?|example|exercise|problem|"
    r"solution|solve[sd]?|answer|step|compute|calculate|evaluate|equation|formula|identity|substitut\w+|deriv\w+|simplif\w+)\b"
)
_WORD = re.compile(r"[^\W\d_]{2,}")


def crop(text: str, characters: int) -> str:
    """The middle of a text: at most `characters` on either side of its middle."""
    middle = len(text) // 2
    return text[max(0, middle - characters) : middle + characters]


def rubric(text: str) -> float:
    """The points, 0 to 5, that the rubric gives a (cropped) text. The embedded scorer learns to predict them."""
    words = len(_WORD.findall(text)) + 1
    formulas = sum(1 for _ in tex.find(text))
    density = min(1.0, formulas * 25 / (words + formulas))  # 1 if every 25th word or formula is a formula
    reasoning = min(1.0, len(_REASONING.findall(text)) * 25 / words)  # 1 if every 25th word argues
    length = min(1.0, words / 200)
    sentences = len(clean.prose(text)) / max(1, len(text))
    return 5 * (0.35 * density + 0.35 * reasoning + 0.2 * min(1.0, sentences / 0.7) + 0.1 * length)


# -- the scorer's versions ---------------------------------------------------------------------------------------------


def identity(recipe: MathQuality) -> tuple[str, str]:
    """(id, recipe hash) of the scorer that the recipe asks for. Only the recipe decides them, not the crawl: a score
    means the same in every snapshot until somebody raises the recipe's `version`."""
    values: dict[str, Any] = {"name": recipe.classifier, "version": recipe.version}
    if recipe.classifier == "embedded":
        names = ("embedding", "embedding_tokens", "crop_characters", "documents")
        values |= {"code": scorer_code()} | {name: getattr(recipe, name) for name in names}
    recipe_hash = content_hash(json.dumps(values, sort_keys=True))[:16]
    return row_id(MATH_SCORERS.full_name, recipe_hash), recipe_hash


def want_scorer(
    registry: Registry, recipe: MathQuality, cleaned: pl.LazyFrame, inputs: tuple[str, ...]
) -> dict[str, Any]:
    """The row of the scorer that the recipe asks for. The scorer is made if the lake does not have it: fetched, or
    trained on pages of `cleaned` (`math.cleaned`); `inputs` are the table versions that the row names."""
    id_, recipe_hash = identity(recipe)
    return registry.want(Identity(_NAME, id_, recipe_hash, inputs), functools.partial(_make, recipe, cleaned))


def _make(recipe: MathQuality, cleaned: pl.LazyFrame, scratch: Path) -> Made:
    """Fetch the checkpoint that the recipe names, or train the embedded scorer on the pages with the lowest content
    hashes."""
    folder = scratch / _NAME
    if recipe.classifier != "embedded":
        return fetch_checkpoint(_NAME, recipe.classifier, recipe, folder).made(
            recipe.classifier, teacher="as published"
        )
    sample = cleaned.select("id", "content_hash", "text").bottom_k(recipe.documents, by=["content_hash", "id"])
    texts = [crop(text, recipe.crop_characters) for text in sample.sort("content_hash", "id").collect()["text"]]
    return train_ridge(texts, [rubric(text) for text in texts], [], recipe, folder).made("embedded", teacher=TEACHER)


def stored_scorer(models: Reader, recipe: MathQuality) -> dict[str, Any]:
    """The row of `models.math_scorers` that the recipe asks for. Raises `ModelError` if the table does not have it."""
    return by_id(models, identity(recipe)[0])


# -- scoring -----------------------------------------------------------------------------------------------------------

#: (kind, folder) of a scorer, such as ("ridge", "/tmp/weights/edu_a").
Model = tuple[str, str]


def scoring_function(
    models: Sequence[dict[str, Any]], recipe: MathQuality, web: Scorers, weights: Callable[[str], Path]
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The function `score` with its scorers. `models` are the rows of the scorer of mathematics and of the scorer of
    educational value; `weights` gives the local folder of a model's uri."""
    model, edu = ((row["kind"], str(weights(row["uri"]))) for row in models)
    return functools.partial(score, model=model, edu=edu, recipe=recipe, web=web)


def score(pages: pl.DataFrame, model: Model, edu: Model, recipe: MathQuality, web: Scorers) -> pl.DataFrame:
    """Rows (id, score, edu_score) for pages (id, text), rounded to six decimals like the scores of web documents. The
    scorer of mathematics reads a crop of the text, the scorer of educational value the whole text."""
    texts = pages["text"].to_list()
    cropped = [crop(text, recipe.crop_characters) for text in texts]
    values = {"score": _loaded(model, recipe).score(cropped), "edu_score": _loaded(edu, web).score(texts)}
    return pages.select("id").with_columns(
        pl.Series(name, np.round(found, 6), dtype=pl.Float64) for name, found in values.items()
    )


@functools.lru_cache(maxsize=2)
def _loaded(model: Model, recipe: Any) -> Scorer:
    """A scorer, loaded once per process."""
    return load(model[0], Path(model[1]), recipe)


def quality_rows(
    scored: Iterable[pl.DataFrame], snapshot: str, model: str, reject: Callable[[Reject], None]
) -> pl.DataFrame:
    """Rows of `math.quality` (about 150 bytes each) for the frames (id, score, edu_score) in `scored`. A page whose
    score is NaN or infinite goes to `reject`. `model` is the id of the scorer of mathematics."""
    empty = pl.DataFrame(schema={"id": pl.String, "score": pl.Float64, "edu_score": pl.Float64})
    pages = pl.concat([empty, *scored])
    finite = pl.col("score").is_finite() & pl.col("edu_score").is_finite()
    for (page,) in pages.filter(~finite).select("id").iter_rows():
        reject(Reject(page, "score_not_finite", "a scorer gave NaN or infinity"))
    valid = pages.filter(finite)
    rounded = {f"{p}int_score": pl.col(f"{p}score").clip(0, 5).round().cast(pl.Int32) for p in ("", "edu_")}
    return valid.with_columns(
        id=pl.Series([row_id(QUALITY.full_name, page) for page in valid["id"]], dtype=pl.String),
        parents=pl.concat_list("id"),
        snapshot=pl.lit(snapshot),
        model_id=pl.lit(model),
        **rounded,
    ).select(QUALITY.column_names)
