"""The scorers of the quality ensemble: trained here, or published checkpoints; all of them give texts numbers.

- `ridge`: ridge regression on a sentence embedding, fit on an annotator's scores; 0 to 5.
- `ngrams`: logistic regression on hashed word n-grams, reference text against the crawl; a probability.
- `classifier`: a Hugging Face sequence classifier with one output (an encoder with a regression head), 0 to 5.
- `fasttext`: a fastText classifier with a label `__label__hq`; its probability.

A scorer is a folder: weights as safetensors and settings as JSON, or the checkpoint as it was published. Nothing in it
is executed when it is loaded. Worker processes use this module, so it does not import Dagster.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import polars as pl

from nemotron_assets.recipe.quality import Scorers
from nemotron_assets.web.quality.ensemble import LANGUAGE, rank_correlation, wins

if TYPE_CHECKING:
    import pyarrow as pa

    from nemotron_assets.table import Reject
    from resources.compute import Compute
    from resources.gpu import Gpu

#: Raise it when training changes, so that embedded scorers are trained again.
CODE = "1"

LABEL = "__label__hq"  # of mlfoundations/fasttext-oh-eli5
FASTTEXT = "model.bin"
SETTINGS, WEIGHTS, EMBEDDING = "scorer.json", "weights.safetensors", "embedding"
_STATIC, _VOCABULARY = "static.safetensors", "tokenizer.json"
_FOLDS = 5
_SEEDS = Path(__file__).resolve().parents[2] / "sample" / "seeds"


class ScorerError(RuntimeError):
    """A scorer that cannot be trained, found or used; the message says why and what to do."""


class Scorer(Protocol):
    """Gives texts numbers."""

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """One float64 per text."""


@dataclass(frozen=True)
class Trained:
    """A scorer in a folder, and what is known of it. Metrics may be NaN."""

    kind: str
    folder: Path
    parameters: int | None
    metrics: dict[str, float]


# -- embeddings --------------------------------------------------------------------------------------------------------


class StaticEmbedding:
    """Mean of the vectors of a text's tokens, of length one: no network runs (1,200 texts/s/core, wordllama)."""

    def __init__(self, folder: Path, tokens: int) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        (table,) = load_file(folder / _STATIC).values()
        self._vectors = table.astype(np.float32)
        self._tokenizer = Tokenizer.from_file(str(folder / _VOCABULARY))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(tokens)
        self._characters = 16 * tokens  # of a long text, the tokenizer would read the rest for nothing

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, width) float32; the zero vector for a text without tokens."""
        cropped = [text[: self._characters] for text in texts]
        vectors = np.zeros((len(texts), self._vectors.shape[1]), np.float32)
        for row, encoded in enumerate(self._tokenizer.encode_batch(cropped, add_special_tokens=False)):
            if encoded.ids:
                vectors[row] = self._vectors[encoded.ids].mean(axis=0)
        return _normalised(vectors)


class SentenceEmbedding:
    """A sentence-transformers model: an encoder whose states are averaged, or whose first state is taken."""

    def __init__(self, folder: Path, tokens: int, batch: int = 64) -> None:
        from transformers import AutoModel

        pooling = folder / "1_Pooling" / "config.json"
        self._first = pooling.is_file() and json.loads(pooling.read_text()).get("pooling_mode_cls_token", False)
        self._run = _Encoder(folder, AutoModel, tokens, batch)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, width) float32."""

        def pooled(output: Any, mask: Any) -> Any:
            states = output.last_hidden_state.float()
            if self._first:
                return states[:, 0]
            mask = mask.unsqueeze(-1)
            return (states * mask).sum(1) / mask.sum(1).clamp(min=1)

        return _normalised(self._run(texts, pooled))


def embedding(folder: Path, tokens: int) -> StaticEmbedding | SentenceEmbedding:
    """The embedding in a folder made by `fetch_embedding`."""
    return StaticEmbedding(folder, tokens) if (folder / _STATIC).is_file() else SentenceEmbedding(folder, tokens)


def fetch_embedding(name: str, target: Path) -> Path:
    """Copy the embedding the recipe names to `target`: wordllama's vectors from its package, else a model."""
    from resources import pretrained

    if name != "wordllama":
        shutil.copytree(pretrained.fetch(name, target)[1], target, ignore=_no_caches)
        return target
    spec = importlib.util.find_spec("wordllama")
    if spec is None or not spec.origin:
        raise ScorerError(
            "the embedding 'wordllama' is missing: install the package wordllama (requirements/), or name a folder or "
            "a Hugging Face model in quality.scorers.embedding"
        )
    source = Path(spec.origin).parent  # the package itself is not imported: it needs more than its files
    target.mkdir(parents=True)
    shutil.copyfile(source / "weights" / "l2_supercat_256.safetensors", target / _STATIC)
    shutil.copyfile(source / "tokenizers" / "l2_supercat_tokenizer_config.json", target / _VOCABULARY)
    return target


class _Encoder:
    """Runs a transformer over texts in batches of similar length, on the accelerator if there is one."""

    def __init__(self, folder: Path, kind: Any, tokens: int, batch: int) -> None:
        import torch
        from transformers import AutoTokenizer

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True).to(self._device).eval()
        most = getattr(self.model.config, "max_position_embeddings", None) or tokens
        self._tokens, self._batch = min(tokens, most), batch

    def __call__(self, texts: Sequence[str], read: Callable[[Any, Any], Any]) -> np.ndarray:
        import torch

        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        parts = []
        with torch.inference_mode():
            for start in range(0, len(order), self._batch):
                batch = [texts[i][: 16 * self._tokens] for i in order[start : start + self._batch]]
                inputs = self.tokenizer(
                    batch, padding="longest", truncation=True, max_length=self._tokens, return_tensors="pt"
                ).to(self._device)
                parts.append(read(self.model(**inputs), inputs["attention_mask"]).float().cpu().numpy())
        if not parts:
            return np.zeros((0, 1), np.float32)
        made = np.concatenate(parts)
        result = np.empty_like(made)
        result[order] = made
        return result


def _normalised(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


# -- scorers -----------------------------------------------------------------------------------------------------------


class Ridge:
    """Ridge regression on an embedding, clipped to 0..5."""

    def __init__(self, folder: Path) -> None:
        from safetensors.numpy import load_file

        settings, weights = json.loads((folder / SETTINGS).read_text()), load_file(folder / WEIGHTS)
        self.embed = embedding(folder / EMBEDDING, settings["tokens"])
        self._weights, self._bias = weights["weights"], float(weights["bias"][0])

    def score(self, texts: Sequence[str]) -> np.ndarray:
        # Row by row: a matrix product rounds differently with the number of rows, and equal texts need equal scores.
        return np.clip((self.embed(texts) * self._weights).sum(axis=1) + self._bias, 0.0, 5.0)


class Ngrams:
    """Logistic regression on hashed word n-grams: the probability of being reference text."""

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
    """A published sequence classifier with one output, clipped to 0..5 as its card says."""

    def __init__(self, folder: Path, tokens: int, batch: int) -> None:
        from transformers import AutoModelForSequenceClassification

        self._run = _Encoder(folder, AutoModelForSequenceClassification, tokens, batch)
        if (outputs := self._run.model.config.num_labels) != 1:
            raise ScorerError(
                f"{folder} has {outputs} outputs: quality.scorers needs a classifier with one, a regression head"
            )

    def score(self, texts: Sequence[str]) -> np.ndarray:
        logits = self._run(texts, lambda output, mask: output.logits)[:, 0]
        return np.clip(logits.astype(np.float64), 0.0, 5.0)


class FastText:
    """A fastText classifier; a text's probability of the label `__label__hq`, of the text as one line."""

    def __init__(self, folder: Path) -> None:
        import fasttext

        self._model = fasttext.load_model(str(folder / FASTTEXT))

    def score(self, texts: Sequence[str]) -> np.ndarray:
        scores = np.zeros(len(texts))
        for row, text in enumerate(texts):
            labels, probabilities = self._model.predict(text.replace("\n", " "), k=-1)
            if labels and LABEL not in labels:
                raise ScorerError(f"the fastText model has no label {LABEL!r}, only {', '.join(labels[:10])}")
            if labels:  # none: no word of the text is known; and float32 may add up to a little more than 1
                scores[row] = min(1.0, float(probabilities[labels.index(LABEL)]))
        return scores


def load(kind: str, folder: Path, recipe: Scorers) -> Scorer:
    """The scorer in a folder. Raises `ScorerError` for a kind there is not."""
    match kind:
        case "ridge":
            return Ridge(folder)
        case "ngrams":
            return Ngrams(folder)
        case "classifier":
            return Classifier(folder, recipe.classifier_tokens, recipe.classifier_batch)
        case "fasttext":
            return FastText(folder)
    raise ScorerError(f"no scorer is of kind {kind!r}")


def hashed(texts: Sequence[str], *, ngrams: int, features_log2: int, characters: int) -> Any:
    """Counts of hashed word n-grams, each text's of length one: a (texts, 2^features_log2) sparse matrix.

    A word is a run of two or more word characters, in lower case.
    """
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(ngram_range=(1, ngrams), n_features=2**features_log2, dtype=np.float32)
    return vectorizer.transform([text[:characters] for text in texts])


# -- training and fetching ---------------------------------------------------------------------------------------------


def train_ridge(
    texts: Sequence[str], labels: Sequence[int], passages: Sequence[str], recipe: Scorers, folder: Path
) -> Trained:
    """Fit an annotator's scores (0 to 5) of documents; the penalty is chosen by leave-one-out error.

    Metrics: `r2` and `rank_correlation` of predictions for documents left out (five folds), and `passages_over_crawl`,
    how often a passage known to be good scores above a document. Raises `ScorerError` for fewer than ten documents, or
    when all have the same label.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    y = np.asarray(labels, float)
    if len(y) < 10 or np.ptp(y) == 0:
        said = f"all scored {y[0]:.0f}" if len(y) and np.ptp(y) == 0 else "too few"
        raise ScorerError(
            f"nothing can be learned from {len(y)} judged documents ({said}): raise quality.annotations.documents or "
            "temperature, name another llm.model, or name a published scorer in quality.scorers"
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
    """Tell reference text from documents of the crawl; both classes weigh the same.

    Metrics: `auc` of texts left out (five folds). Raises `ScorerError` for fewer than ten texts of either.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if min(len(references), len(crawl)) < 10:
        raise ScorerError(
            f"{len(references)} reference texts and {len(crawl)} documents are too few to tell them apart: see "
            "quality.scorers.references, or name a published scorer in quality.scorers.reference"
        )
    settings = {"ngrams": recipe.ngrams, "features_log2": recipe.features_log2, "characters": recipe.characters}
    x, y = hashed([*references, *crawl], **settings), np.repeat([1, 0], [len(references), len(crawl)])
    # The dual problem has one variable per text instead of one per n-gram: forty times faster here. Without a constant
    # a text of unknown words scores 0.5, as in fastText; with one, short texts of any kind would count as reference.
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


def fetch_checkpoint(slot: str, name: str, recipe: Scorers, folder: Path) -> Trained:
    """Copy a published scorer to `folder` and try it on a text. Raises `ScorerError` when it does not fit its slot."""
    from resources import pretrained

    if slot == "reference":
        folder.mkdir(parents=True)
        shutil.copyfile(_fasttext_file(name), folder / FASTTEXT)
        made = Trained("fasttext", folder, None, {})
    else:
        shutil.copytree(pretrained.fetch(name, folder)[1], folder, ignore=_no_caches)
        made = Trained("classifier", folder, pretrained.parameters(folder), {})
    (score,) = load(made.kind, folder, recipe).score(["Plants turn light, water and air into sugar."])
    if not np.isfinite(score):
        raise ScorerError(f"{name} scores a plain sentence {score}: its weights are damaged or of another architecture")
    return made


def references(recipe: Scorers) -> list[str]:
    """The good texts: `text`, or `question` and `answer`, of every line of the JSONL files."""
    folder = _SEEDS if recipe.references == "sample" else Path(recipe.references)
    files = sorted(folder.glob("*.jsonl")) if folder.is_dir() else [folder]
    texts = []
    for file in files:
        if not file.is_file():
            raise ScorerError(f"quality.scorers.references: {file} is neither a JSONL file nor a folder of them")
        with file.open() as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = json.loads(line)
                    texts.append(row.get("text") or f"{row['question']}\n{row['answer']}")
                except (ValueError, KeyError, AttributeError) as error:
                    raise ScorerError(
                        f"{file} line {number} has neither text nor question and answer: {type(error).__name__} {error}"
                    ) from None
                if len(texts) == recipe.max_references:
                    return texts
    return texts


def passages(recipe: Scorers) -> list[str]:
    """The references that are passages: the longest ones of the sample; those with most words come first."""
    return sorted((text for text in references(recipe) if len(text.split()) >= 100), key=lambda t: (-len(t), t))


def crawl_sample(documents: pl.LazyFrame, most: int) -> list[str]:
    """Texts of the English documents with the highest content hashes: others than the annotated ones."""
    english = documents.filter(pl.col("language") == LANGUAGE)
    return english.top_k(most, by=["content_hash", "id"]).sort("id").select("text").collect()["text"].to_list()


def _save(folder: Path, settings: dict[str, Any], weights: np.ndarray, bias: float) -> None:
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).write_text(json.dumps(settings, sort_keys=True))
    save_file({"weights": np.ascontiguousarray(weights, np.float64), "bias": np.array([bias])}, folder / WEIGHTS)


def _fasttext_file(name: str) -> Path:
    if Path(name).is_file():
        return Path(name)
    from huggingface_hub import hf_hub_download

    owner, _, rest = name.partition("/")
    repository, _, file = rest.partition("/")
    if not file.endswith((".bin", ".ftz")):
        raise ScorerError(
            f"quality.scorers.reference {name!r} is neither 'embedded', nor a file, nor owner/repository/file.bin"
        )
    try:
        return Path(hf_hub_download(f"{owner}/{repository}", file))
    except Exception as error:
        raise ScorerError(f"quality.scorers.reference {name!r} could not be downloaded: {error}") from error


def _no_caches(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith(".") or name == "manifest.json"]


# -- scoring documents -------------------------------------------------------------------------------------------------

#: (slot, kind, folder) of the three scorers, hashable.
Chosen = tuple[tuple[str, str, str], ...]

READ = ("id", "snapshot", "language", "text")


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


@contextlib.contextmanager
def scored(
    batches: Iterable[pa.RecordBatch],
    score: Callable[[pl.DataFrame], pl.DataFrame],
    *,
    accelerated: bool,
    gpu: Gpu,
    compute: Compute,
    reject: Callable[[Reject], None],
    stage: str,
    log: Callable[[str], None],
) -> Iterator[Iterator[pl.DataFrame]]:
    """The scores of batches: of this process, which has the accelerator to itself meanwhile, or of every core."""
    if not accelerated:
        yield compute.map(batches, score, reject=reject, stage=stage)
        return
    with gpu.lock(log):
        gpu.release()  # a language model this process keeps leaves no room beside it
        yield (score(pl.from_arrow(batch)) for batch in batches if batch.num_rows)
