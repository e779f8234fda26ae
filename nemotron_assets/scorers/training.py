"""Training of scorers on the user's machine: ridge regression on an embedding, logistic regression on word n-grams."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nemotron_assets.scorers import ScorerError
from nemotron_assets.scorers.embeddings import embedding, fetch_embedding
from nemotron_assets.scorers.kinds import EMBEDDING, SETTINGS, WEIGHTS, Ridge, Trained, hashed
from nemotron_assets.scorers.statistics import rank_correlation, wins

if TYPE_CHECKING:
    from nemotron_assets.recipe.web.quality import Scorers

_FOLDS = 5


def train_ridge(
    texts: Sequence[str], labels: Sequence[int], passages: Sequence[str], recipe: Scorers, folder: Path
) -> Trained:
    """Train ridge regression on an annotator's scores (0 to 5) of documents; leave-one-out error chooses the penalty.

    Metrics: `documents`, `alpha` (the penalty), `r2` and `rank_correlation` of predictions for left-out documents (five
    folds), and `passages_over_crawl`, the share of pairs in which a passage known to be good scores above a document.
    Raises `ScorerError` for fewer than ten documents, or if all have the same score.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    y = np.asarray(labels, float)
    if len(y) < 10 or np.ptp(y) == 0:
        said = f"all scored {y[0]:.0f}" if len(y) and np.ptp(y) == 0 else "too few"
        raise ScorerError(
            f"a scorer cannot learn from {len(y)} judged documents ({said}): raise web.quality.annotations.documents "
            "or temperature, name another llm.model, or name a published scorer in web.quality.scorers"
        )
    embed = embedding(fetch_embedding(recipe.embedding, folder / EMBEDDING), recipe.embedding_tokens)
    x, alphas = embed(texts).astype(np.float64), np.logspace(-2, 3, 11)
    model = RidgeCV(alphas).fit(x, y)
    left_out = cross_val_predict(RidgeCV(alphas), x, y, cv=KFold(_FOLDS, shuffle=True, random_state=0))
    _save(folder, {"tokens": recipe.embedding_tokens}, model.coef_, model.intercept_)
    scorer = Ridge(folder)
    metrics = {
        "documents": float(len(y)), "alpha": float(model.alpha_),
        "r2": float(1 - np.sum((y - left_out) ** 2) / np.sum((y - y.mean()) ** 2)),
        "rank_correlation": rank_correlation(y, left_out),
        "passages_over_crawl": wins(scorer.score(passages), scorer.score(texts)),
    }  # fmt: skip
    return Trained("ridge", folder, len(model.coef_) + 1, metrics)


def train_ngrams(references: Sequence[str], crawl: Sequence[str], recipe: Scorers, folder: Path) -> Trained:
    """Train logistic regression to tell reference texts from documents of the crawl; both classes have equal weight.

    Metrics: `references` and `crawl` (numbers of texts), `auc` on left-out texts (five folds). Raises `ScorerError` for
    fewer than ten texts of a class.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if min(len(references), len(crawl)) < 10:
        raise ScorerError(
            f"{len(references)} reference texts and {len(crawl)} documents are too few to tell them apart: see "
            "web.quality.scorers.references, or name a published scorer in web.quality.scorers.reference"
        )
    settings = {"ngrams": recipe.ngrams, "features_log2": recipe.features_log2, "characters": recipe.characters}
    x, y = hashed([*references, *crawl], **settings), np.repeat([1, 0], [len(references), len(crawl)])
    # The dual problem has one variable per text instead of one per n-gram, which is forty times faster here. Without an
    # intercept a text of unknown words scores 0.5, as in fastText. With one, any short text would count as reference.
    model = LogisticRegression(
        C=recipe.regularisation,
        class_weight="balanced",
        solver="liblinear",
        dual=True,
        fit_intercept=False,
        random_state=0,
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    left_out = cross_val_predict(model, x, y, cv=folds, method="predict_proba")[:, 1]
    model.fit(x, y)
    _save(folder, settings, model.coef_[0], 0.0)
    metrics = {
        "references": float(len(references)),
        "crawl": float(len(crawl)),
        "auc": float(roc_auc_score(y, left_out)),
    }
    return Trained("ngrams", folder, int(np.count_nonzero(model.coef_)) + 1, metrics)


def _save(folder: Path, settings: dict[str, Any], weights: np.ndarray, bias: float) -> None:
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).write_text(json.dumps(settings, sort_keys=True))
    save_file({"weights": np.ascontiguousarray(weights, np.float64), "bias": np.array([bias])}, folder / WEIGHTS)
