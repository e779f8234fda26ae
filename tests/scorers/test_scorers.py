"""Trained scorers, and tiny checkpoints of the published kinds in their real formats with their real loaders."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from nemotron_assets.recipe import load_recipe
from nemotron_assets.scorers import ScorerError, embeddings, kinds, published, references, running, training
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Table
from nemotron_assets.web.quality import scoring
from resources.compute import Compute

RECIPE = load_recipe("laptop").web.quality.scorers.model_copy(update={"features_log2": 12})
GOOD = [f"Rain number {n} forms when water vapour cools around dust and gathers into drops." for n in range(30)]
BAD = [f"Click here now! Best price {n}, buy cheap, free shipping, subscribe, menu, login." for n in range(30)]


# -- trained scorers ---------------------------------------------------------------------------------------------------


def test_static_embedding_is_the_mean_of_the_tokens_vectors(tmp_path):
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = embeddings.fetch_embedding("wordllama", tmp_path / "embedding")
    table = next(iter(load_file(folder / "static.safetensors").values()))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    embed = embeddings.embedding(folder, 8)
    texts = [GOOD[0], "", "Émile 漢字 \x00 " + "x" * 5_000, "word"]
    vectors = embed(texts)
    assert vectors.shape == (4, table.shape[1]) and not vectors[1].any()
    for text, vector in zip(texts, vectors, strict=True):
        if text:
            ids = tokenizer.encode(text, add_special_tokens=False).ids[:8]
            mean = table[ids].astype(np.float64).mean(axis=0)
            assert np.allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)
    assert np.array_equal(embed(texts[::-1])[::-1], vectors)  # rows are independent of each other


def test_ridge_learns_the_scores_of_an_annotator(tmp_path):
    marks = [5] * len(GOOD) + [0] * len(BAD)
    made = training.train_ridge([*GOOD, *BAD], marks, GOOD, RECIPE, tmp_path / "ridge")
    assert made.kind == "ridge" and made.metrics["r2"] > 0.8 and made.metrics["rank_correlation"] > 0.8
    scorer = kinds.load("ridge", made.folder, RECIPE)
    high, low = scorer.score(["Water vapour cools and forms drops of rain."]), scorer.score(["Buy cheap now, login!"])
    assert 0 <= low[0] < high[0] <= 5
    assert scorer.score([]).shape == (0,)


def test_ridge_predictions_are_scikit_learns(tmp_path):
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(3)
    marks = rng.integers(0, 6, 60)
    made = training.train_ridge([*GOOD, *BAD], marks, GOOD, RECIPE, tmp_path / "ridge")
    embed = embeddings.embedding(made.folder / "embedding", RECIPE.embedding_tokens)
    model = Ridge(made.metrics["alpha"]).fit(embed([*GOOD, *BAD]).astype(float), marks)
    expected = np.clip(model.predict(embed(GOOD).astype(float)), 0, 5)
    assert np.allclose(kinds.load("ridge", made.folder, RECIPE).score(GOOD), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "marks", "said"), [(GOOD, [3] * 30, "all scored 3"), (GOOD[:9], range(9), "too few")]
)
def test_ridge_says_why_it_cannot_learn(tmp_path, texts, marks, said):
    with pytest.raises(ScorerError, match=f"{said}.*web.quality.annotations"):
        training.train_ridge(texts, list(marks), GOOD, RECIPE, tmp_path / "ridge")


def test_ngrams_tell_reference_from_crawl(tmp_path):
    from sklearn.linear_model import LogisticRegression

    made = training.train_ngrams(GOOD, BAD, RECIPE, tmp_path / "ngrams")
    assert made.kind == "ngrams" and made.metrics["auc"] > 0.95
    scorer = kinds.load("ngrams", made.folder, RECIPE)
    found = scorer.score([*GOOD, *BAD, ""])
    assert (found[:30] > 0.5).all() and (found[30:60] < 0.5).all() and found[60] == 0.5
    x = kinds.hashed([*GOOD, *BAD], ngrams=2, features_log2=12, characters=10_000)
    model = LogisticRegression(
        C=RECIPE.regularisation,
        class_weight="balanced",
        solver="liblinear",
        dual=True,
        fit_intercept=False,
        random_state=0,
    ).fit(x, [1] * 30 + [0] * 30)
    assert np.allclose(found[:60], model.predict_proba(x)[:, 1], atol=1e-6)
    with pytest.raises(ScorerError, match="3 reference texts and 30 documents"):
        training.train_ngrams(GOOD[:3], BAD, RECIPE, tmp_path / "few")


def test_training_twice_gives_the_same_files(tmp_path):
    made = [training.train_ngrams(GOOD, BAD, RECIPE, tmp_path / str(n)).folder for n in range(2)]
    made += [
        training.train_ridge([*GOOD, *BAD], [4, 1] * 30, GOOD, RECIPE, tmp_path / f"r{n}").folder for n in range(2)
    ]
    for first, second in (made[:2], made[2:]):
        files = {p.relative_to(first): p.read_bytes() for p in first.rglob("*") if p.is_file()}
        assert files == {p.relative_to(second): p.read_bytes() for p in second.rglob("*") if p.is_file()}
        assert {p.suffix for p in files} <= {".json", ".safetensors"}


def test_references_of_the_sample_and_of_a_file(tmp_path):
    sample = references.references(RECIPE)
    assert len(sample) == 60 + 160 and all(sample)
    assert min(len(text.split()) for text in references.passages(RECIPE)) >= 100
    file = tmp_path / "good.jsonl"
    file.write_text(json.dumps({"text": "one"}) + "\n" + json.dumps({"question": "Why?", "answer": "So."}) + "\n")
    own = RECIPE.model_copy(update={"references": str(file)})
    assert references.references(own) == ["one", "Why?\nSo."]
    assert references.references(own.model_copy(update={"max_references": 1})) == ["one"]
    file.write_text('{"title": "no text"}\n')
    with pytest.raises(ScorerError, match="line 1 has neither text nor question"):
        references.references(own)
    with pytest.raises(ScorerError, match="nowhere is neither"):
        references.references(RECIPE.model_copy(update={"references": "nowhere"}))


# -- published checkpoints ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    """A tiny, untrained sequence classifier with the architecture of the published ones (BERT, one output)."""
    return _bert(tmp_path_factory.mktemp("bert"), outputs=1)


def _bert(folder: Path, outputs: int) -> Path:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *["rain", "forms", "when", "water", "vapour", "cools", "click", "buy"],
    ]
    (folder / "vocab.txt").write_text("\n".join(words))
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        num_labels=outputs,
        problem_type="regression",
    )
    model = BertForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=5.0)
    torch.nn.init.constant_(model.classifier.bias, 2.5)
    model.save_pretrained(folder)
    return folder


def test_classifier_scores_as_its_model_does(bert, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    recipe = RECIPE.model_copy(update={"edu_a": str(bert), "classifier_batch": 2})
    made = published.fetch_checkpoint("edu_a", str(bert), recipe, tmp_path / "classifier")
    assert made.kind == "classifier" and made.parameters > 1_000
    assert not list(made.folder.rglob("*.bin"))
    texts = ["rain forms", "click buy click", "", "water " * 500, "when vapour cools water forms rain"]
    found = kinds.load("classifier", made.folder, recipe).score(texts)
    tokenizer = AutoTokenizer.from_pretrained(bert)
    model = AutoModelForSequenceClassification.from_pretrained(bert).eval()
    for text, score in zip(texts, found, strict=True):
        with torch.inference_mode():
            logit = model(**tokenizer(text, truncation=True, max_length=32, return_tensors="pt")).logits.item()
        assert score == pytest.approx(min(5.0, max(0.0, logit)), abs=1e-4)
    assert len(set(found)) > 2


def test_classifier_of_another_kind_is_refused(tmp_path):
    (tmp_path / "two").mkdir()
    two = _bert(tmp_path / "two", outputs=2)
    with pytest.raises(ScorerError, match="2 outputs"):
        published.fetch_checkpoint("edu_b", str(two), RECIPE, tmp_path / "classifier")


def test_weights_that_could_run_code_are_not_read(bert, tmp_path):
    import shutil

    folder = tmp_path / "pickled"
    shutil.copytree(bert, folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        kinds.load("classifier", folder, RECIPE)


@pytest.mark.parametrize("first", [True, False])
def test_sentence_embedding_pools_as_its_folder_says(bert, tmp_path, first):
    import shutil

    import torch
    from transformers import AutoModel, AutoTokenizer

    source = tmp_path / "sentence"
    shutil.copytree(bert, source)
    (source / "1_Pooling").mkdir()
    (source / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": first}))
    embed = embeddings.embedding(embeddings.fetch_embedding(str(source), tmp_path / "embedding"), 16)
    texts = ["rain forms when water cools", "buy", "vapour " * 40]
    found = embed(texts)
    tokenizer, model = AutoTokenizer.from_pretrained(bert), AutoModel.from_pretrained(bert).eval()
    for text, vector in zip(texts, found, strict=True):
        with torch.inference_mode():
            states = model(**tokenizer(text, truncation=True, max_length=16, return_tensors="pt")).last_hidden_state[0]
        expected = (states[0] if first else states.mean(0)).numpy()
        assert np.allclose(vector, expected / np.linalg.norm(expected), atol=1e-4)


def write_fasttext(path: Path, words: dict[str, tuple[float, float]], labels: dict[str, tuple[float, float]]) -> None:
    """A supervised fastText model of width 2 in the library's own binary format (version 12, softmax, no n-grams)."""
    integers = [2, 5, 5, 1, 5, 1, 3, 3, 0, 0, 0, 100]  # dim ... wordNgrams=1, loss=softmax, model=sup, bucket=0 ...
    data = struct.pack("<2i", 793712314, 12) + struct.pack("<12i", *integers) + struct.pack("<d", 1e-4)
    data += struct.pack("<3i2q", len(words) + len(labels), len(words), len(labels), 1_000, -1)
    for kind, names in ((0, words), (1, labels)):
        for count, name in enumerate(names):
            data += name.encode() + b"\0" + struct.pack("<qb", 100 - count, kind)
    for rows in (words, labels):
        data += struct.pack("<?2q", False, len(rows), 2)
        data += b"".join(struct.pack("<2f", *vector) for vector in rows.values())
    path.write_bytes(data)


WORDS = {"rain": (1.0, 0.0), "water": (0.5, 0.0), "vapour": (2.0, 0.5), "click": (-1.0, 1.0)}
LABELS = {"__label__cc": (0.0, 1.0), "__label__hq": (2.0, 0.0)}


def test_fasttext_gives_the_probability_of_its_label(tmp_path):
    file = tmp_path / "eli5.bin"
    write_fasttext(file, WORDS, LABELS)
    made = published.fetch_checkpoint("reference", str(file), RECIPE, tmp_path / "fasttext")
    assert made.kind == "fasttext"
    texts = ["rain", "click", "rain vapour click", "rain\nvapour", "click unknown"]
    found = kinds.load("fasttext", made.folder, RECIPE).score(texts)
    for text, score in zip(texts, found, strict=True):
        hidden = np.mean([WORDS[word] for word in text.split() if word in WORDS], axis=0)
        logits = np.array([np.dot(hidden, vector) for vector in LABELS.values()])
        assert score == pytest.approx(np.exp(logits[1]) / np.exp(logits).sum(), abs=1e-4)
    assert found[0] > 0.8 > 0.2 > found[1]
    assert kinds.load("fasttext", made.folder, RECIPE).score(["", "unknown words"]).tolist() == [0, 0]


def test_fasttext_without_the_label_is_refused(tmp_path):
    write_fasttext(tmp_path / "other.bin", WORDS, {"__label__en": (1.0, 0.0), "__label__de": (0.0, 1.0)})
    with pytest.raises(ScorerError, match="no label '__label__hq'"):
        published.fetch_checkpoint("reference", str(tmp_path / "other.bin"), RECIPE, tmp_path / "fasttext")
    with pytest.raises(ScorerError, match="neither 'embedded', nor a file"):
        published.fetch_checkpoint("reference", "owner/repository", RECIPE, tmp_path / "nothing")


# -- scoring documents -------------------------------------------------------------------------------------------------


def test_documents_are_scored_by_all_three(tmp_path):
    file = tmp_path / "eli5.bin"
    write_fasttext(file, WORDS, LABELS)
    ridge = training.train_ridge([*GOOD, *BAD], [5] * 30 + [0] * 30, GOOD, RECIPE, tmp_path / "ridge").folder
    fasttext = published.fetch_checkpoint("reference", str(file), RECIPE, tmp_path / "fasttext").folder
    chosen = (("edu_a", "ridge", str(ridge)), ("edu_b", "ridge", str(ridge)), ("reference", "fasttext", str(fasttext)))
    documents = pl.DataFrame({"id": ["a", "b"], "snapshot": "S", "language": "en", "text": ["rain", "click für"]})
    rows = scoring.score(documents, chosen, RECIPE)
    assert rows.columns == ["id", "snapshot", "bytes", "edu_a_score", "edu_b_score", "reference_score"]
    assert rows["bytes"].to_list() == [4, 10] and rows["edu_a_score"].equals(rows["edu_b_score"], check_names=False)
    one_by_one = pl.concat([scoring.score(documents[i : i + 1], chosen, RECIPE) for i in range(2)])
    assert one_by_one.equals(rows)


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ScorerError, match="of kind 'bayes'"):
        kinds.load("bayes", tmp_path, RECIPE)


# -- scoring a table ---------------------------------------------------------------------------------------------------


def doubled(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("id", score=pl.col("n") * 2)


class Device:
    """A stand-in for the accelerator that records what is done with it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    @contextlib.contextmanager
    def lock(self, log):
        self.done.append("held")
        yield
        self.done.append("free")

    def release(self) -> None:
        self.done.append("empty")


@pytest.mark.parametrize("accelerated", [True, False])
def test_an_accelerator_is_held_and_emptied_while_a_table_is_scored(accelerated):
    device, compute = Device(), Compute(workers=1)
    batches = [b for n in (1, 2) for b in pl.DataFrame({"id": ["a", "b"], "n": [n, 10 * n]}).to_arrow().to_batches()]
    table, how = Table("web", "scores", "", (ID,)), (device, compute, pytest.fail, lambda message: None)
    try:
        with running.scored([*batches, batches[0][:0]], doubled, table, accelerated, *how) as scored:
            first = next(scored)
            assert device.done == (["held", "empty"] if accelerated else [])
            assert pl.concat([first, *scored])["score"].to_list() == [2, 20, 4, 40]
    finally:
        compute.close()
    assert device.done == (["held", "empty", "free"] if accelerated else [])
