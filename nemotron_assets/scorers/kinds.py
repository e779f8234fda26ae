"""The kinds of scorers. A scorer is a folder: weights as safetensors and settings as JSON, or a published checkpoint.

- `ridge`: ridge regression on a sentence embedding, trained on an annotator's scores; gives 0 to 5.
- `ngrams`: logistic regression on hashed word n-grams, trained to tell reference text from the crawl; gives the
  probability of reference text.
- `classifier`: a Hugging Face sequence classifier with one output (an encoder with a regression head); gives 0 to 5.
- `fasttext`: a fastText classifier with a label `__label__hq`; gives the probability of this label.

Loading a folder executes no code from it. Worker processes import this module, so it does not import Dagster.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nemotron_assets.scorers import ScorerError
from nemotron_assets.scorers.embeddings import Encoder, embedding

if TYPE_CHECKING:
    from nemotron_assets.models.registry import Made
    from nemotron_assets.recipe.web.quality import Scorers

LABEL = "__label__hq"  # the label of good texts in mlfoundations/fasttext-oh-eli5
FASTTEXT = "model.bin"
SETTINGS, WEIGHTS, EMBEDDING = "scorer.json", "weights.safetensors", "embedding"


class Scorer(Protocol):
    """A model that gives each text a number."""

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """One float64 per text."""


@dataclass(frozen=True)
class Trained:
    """A scorer in a folder, with its kind, number of parameters and training metrics. A metric may be NaN."""

    kind: str
    folder: Path
    parameters: int | None
    metrics: dict[str, float]

    def made(self, source: str, **columns: Any) -> Made:
        """The scorer as a model for the registry, with values for the columns `SCORER` of tables of scorers."""
        from nemotron_assets.models.registry import Made

        measured = {key: None if math.isnan(value) else round(value, 6) for key, value in self.metrics.items()}
        own = {"kind": self.kind, "source": source, "parameters": self.parameters}
        return Made(self.folder, {**own, "metrics": json.dumps(measured, sort_keys=True), **columns})


class Ridge:
    """Ridge regression on an embedding; scores are clipped to 0..5."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        settings, weights = json.loads((folder / SETTINGS).read_text()), load_file(folder / WEIGHTS)
        self.embed = embedding(folder / EMBEDDING, settings["tokens"])
        self._weights, self._bias = weights["weights"], float(weights["bias"][0])

    def score(self, texts: Sequence[str]) -> np.ndarray:
        # Each row is summed by itself. A matrix product would round differently for different numbers of rows, and
        # equal texts must get equal scores.
        return np.clip((self.embed(texts) * self._weights).sum(axis=1) + self._bias, 0.0, 5.0)


class Ngrams:
    """Logistic regression on hashed word n-grams; the score is the probability that the text is reference text."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        self._settings, weights = json.loads((folder / SETTINGS).read_text()), load_file(folder / WEIGHTS)
        self._weights, self._bias = weights["weights"], float(weights["bias"][0])

    def score(self, texts: Sequence[str]) -> np.ndarray:
        if not len(texts):
            return np.zeros(0)
        logits = np.asarray(hashed(texts, **self._settings) @ self._weights).ravel() + self._bias
        return 1.0 / (1.0 + np.exp(-logits))


class Classifier:
    """A published sequence classifier with one output; scores are clipped to 0..5, as its model card says."""

    def __init__(self, folder: Path, tokens: int, batch: int) -> None:
        from transformers import AutoModelForSequenceClassification

        self._run = Encoder(folder, AutoModelForSequenceClassification, tokens, batch)
        if (outputs := self._run.model.config.num_labels) != 1:
            raise ScorerError(
                f"{folder} has {outputs} outputs, but web.quality.scorers needs a classifier with one output (a "
                "regression head): name another model there"
            )

    def score(self, texts: Sequence[str]) -> np.ndarray:
        logits = self._run(texts, lambda output, mask: output.logits)[:, 0]
        return np.clip(logits.astype(np.float64), 0.0, 5.0)


class FastText:
    """A fastText classifier; the score is the probability of the label `__label__hq` for the text as one line."""

    def __init__(self, folder: Path) -> None:
        import fasttext

        self._model = fasttext.load_model(str(folder / FASTTEXT))

    def score(self, texts: Sequence[str]) -> np.ndarray:
        scores = np.zeros(len(texts))
        for row, text in enumerate(texts):
            labels, probabilities = self._model.predict(text.replace("\n", " "), k=-1)
            if labels and LABEL not in labels:
                raise ScorerError(
                    f"the fastText model has no label {LABEL!r}, only {', '.join(labels[:10])}: name another model in "
                    "web.quality.scorers.reference"
                )
            # There are no labels if the model knows no word of the text. Float32 may add up to a little more than 1.
            if labels:
                scores[row] = min(1.0, float(probabilities[labels.index(LABEL)]))
        return scores


def load(kind: str, folder: Path, recipe: Scorers) -> Scorer:
    """The scorer in a folder. Raises `ScorerError` for an unknown kind."""
    match kind:
        case "ridge":
            return Ridge(folder)
        case "ngrams":
            return Ngrams(folder)
        case "classifier":
            return Classifier(folder, recipe.classifier_tokens, recipe.classifier_batch)
        case "fasttext":
            return FastText(folder)
    raise ScorerError(f"{folder} has a scorer of kind {kind!r}; known kinds are ridge, ngrams, classifier and fasttext")


def hashed(texts: Sequence[str], *, ngrams: int, features_log2: int, characters: int) -> Any:
    """Counts of hashed word n-grams as a sparse matrix [texts, 2^features_log2], each row scaled to length one.

    n-grams have 1 to `ngrams` words. A word is a run of two or more word characters, in lower case. Only the first
    `characters` characters of a text are read.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(ngram_range=(1, ngrams), n_features=2**features_log2, dtype=np.float32)
    return vectorizer.transform([text[:characters] for text in texts])
