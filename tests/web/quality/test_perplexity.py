"""The n-gram model: its probabilities sum to one and equal those of the textbook's formulas; good text beats noise."""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.web.heuristics import Perplexity
from nemotron_assets.scorers.references import references
from nemotron_assets.web.quality import ngrams
from nemotron_assets.web.quality import perplexity as models
from nemotron_assets.web.quality.ngrams import START, PerplexityError, train
from nemotron_assets.web.quality.perplexity import CharacterModel, KenLm, make

RECIPE = Perplexity(model="embedded")
SMALL = [
    "the cat sat on the mat",
    "A dog sat on the log, 1999",
    "the end",
    "cats and dogs and cats\n\nand mats",
    "mmm mm m",
]


@pytest.fixture(scope="module")
def good_texts():
    return references(load_recipe("laptop").web.quality.scorers)


class Textbook:
    """Interpolated modified Kneser-Ney by its definition (Chen & Goodman 1998), with dictionaries."""

    def __init__(self, texts: list[list[int]], order: int, symbols: int) -> None:
        self.order, self.symbols = order, symbols
        sequences = [[START, *text] for text in texts]
        every = {
            n: Counter(tuple(s[i : i + n]) for s in sequences for i in range(len(s) - n + 1))
            for n in range(1, order + 1)
        }
        del every[1][(START,)]
        self.counts: dict[int, Counter] = {order: every[order]}
        for n in range(1, order):
            before = defaultdict(set)
            for gram in every[n + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[n] = Counter({g: len(before[g]) if g[0] != START else c for g, c in every[n].items()})
        self.discounts = {n: ngrams._discounts(np.array(list(c.values()))) for n, c in self.counts.items()}

    def probability(self, context: tuple[int, ...], symbol: int) -> float:
        n = len(context) + 1
        shorter = self.probability(context[1:], symbol) if context else 1 / self.symbols
        following = {g: c for g, c in self.counts[n].items() if g[:-1] == context}
        if not following:
            return shorter
        total = sum(following.values())
        discount = self.discounts[n]
        withheld = sum(discount[min(c, 3) - 1] for c in following.values())
        count = following.get((*context, symbol), 0)
        own = (count - discount[min(count, 3) - 1]) / total if count else 0.0
        return own + withheld / total * shorter

    def log_likelihood(self, text: list[int]) -> float:
        sequence = [START, *text]
        return sum(
            math.log(self.probability(tuple(sequence[max(0, i - self.order + 1) : i]), sequence[i]))
            for i in range(1, len(sequence))
        )


def symbols_of(model: CharacterModel, text: str) -> list[int]:
    return model._symbols[ngrams.code_points(text)].tolist()


@pytest.mark.parametrize("order", [2, 3, 5])
def test_probabilities_are_those_of_the_textbook(order):
    model = CharacterModel(train(SMALL, order, min_count=2), 4.0)
    textbook = Textbook([symbols_of(model, t) for t in SMALL], order, len(model._model.alphabet) + 1)
    for text in [*SMALL, "the dog", "zzz \u00e9\u00e9", "m", "sat cat mat oat", "0 0 0"]:
        log, count = model.log_likelihood(text)
        assert log == pytest.approx(textbook.log_likelihood(symbols_of(model, text)), rel=1e-5), text
        assert count == len(symbols_of(model, text))


def test_probabilities_sum_to_one(good_texts):
    """After any context, known or not, all symbols together have probability one."""
    model = CharacterModel(train(good_texts[:40], 5, min_count=3), 4.0)
    tables = (model._model.order, model._slots, model._places, model._model.log_probability, model._model.log_backoff)

    def log(symbols: list[int]) -> float:
        return models._log_likelihood(np.array(symbols, np.uint8), *tables)

    for context in ("", "th", "The quick brown", "qzqzqz", "\u4e2d\u4e2d", "a\u4e2d"):
        before = symbols_of(model, context)
        every = range(ngrams.UNKNOWN, ngrams.FIRST + len(model._model.alphabet))
        assert sum(math.exp(log([*before, s]) - log(before)) for s in every) == pytest.approx(1.0, abs=1e-4)


def test_what_counts_as_the_same():
    model = CharacterModel(train(SMALL, 3, 1), 4.0)
    assert model.log_likelihood(" The\n\nCAT\t1 ") == model.log_likelihood("the cat 7")
    assert model.perplexity("") is None
    assert model.perplexity(" \n") is None
    for point in range(sys.maxunicode + 1):  # also code points above CASED
        if ngrams._normalised_code_points()[point] == point:
            continue
        character = chr(point)
        assert ngrams.normalise(character) == chr(ngrams._normalised_code_points()[point])
    same = [c for c in map(chr, range(ngrams.CASED, sys.maxunicode + 1)) if ngrams.normalise(c) != c]
    assert same == []
    assert unicodedata.unidata_version >= "14"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_has_a_finite_perplexity(text):
    model = CharacterModel(train(SMALL, 4, 2), 4.0)
    found = model.perplexity(text)
    assert (found is None) == (not text.split())
    assert found is None or 1 <= found < math.inf


def test_good_text_is_below_the_published_cut_and_noise_above(good_texts, tmp_path):
    made = make(RECIPE, good_texts, tmp_path)
    assert made.metrics["held_out_perplexity"] < 2_000 < made.metrics["held_out_words_shuffled"] * 4
    assert made.metrics["held_out_perplexity"] < made.metrics["held_out_words_shuffled"]
    model = models.load(made.folder, 4.0)
    rng = np.random.default_rng(0)
    _, held_out = models.split_texts(good_texts, RECIPE)
    for text in held_out:
        if len(text) > 200:
            assert model.perplexity(text) < 20_000
            assert model.perplexity("".join(rng.permutation(list(text)))) > 100_000
    assert model.perplexity("Ã¤Ã¶Ã¼ÃŸ â€œÂ§â€ " * 40) > 100_000


def test_a_model_is_the_same_after_saving_and_whatever_the_order_of_the_texts(good_texts, tmp_path):
    first = make(RECIPE, good_texts, tmp_path / "a")
    second = make(RECIPE, good_texts[::-1], tmp_path / "b")
    files = [sorted(p.read_bytes() for p in made.folder.iterdir()) for made in (first, second)]
    assert files[0] == files[1]
    assert first.metrics == second.metrics
    fresh = CharacterModel(train(models.split_texts(good_texts, RECIPE)[0], RECIPE.order, RECIPE.min_count), 4.0)
    stored = CharacterModel.load(first.folder, 4.0)
    for text in good_texts[:20]:
        assert fresh.perplexity(text) == stored.perplexity(text)


def test_limits_are_kept(good_texts):
    training, held_out = models.split_texts(good_texts * 30, RECIPE.model_copy(update={"max_megabytes": 1}))
    assert len(training) + len(held_out) == len(set(good_texts))
    many = [f"{n} {text}" for n in range(30) for text in good_texts]
    training, held_out = models.split_texts(many, RECIPE.model_copy(update={"max_megabytes": 1}))
    assert sum(len(t.encode()) for t in training) < 1_100_000
    assert 0.05 < len(held_out) / len(many) < 0.15


def test_what_is_missing_is_said(tmp_path):
    with pytest.raises(PerplexityError, match=r"quality\.scorers\.references"):
        train([" "], 3, 1)
    with pytest.raises(PerplexityError, match="give 'embedded', a folder, or owner"):
        make(Perplexity(model="wikipedia"), [], tmp_path)


def test_kenlm_that_is_not_installed_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kenlm", None)
    with pytest.raises(PerplexityError, match=r"pip install --no-deps kenlm==0\.3\.0"):
        KenLm(tmp_path)


def test_download_from_hugging_face_asks_for_two_files(tmp_path, monkeypatch):
    asked = {}

    def snapshot_download(repository, allow_patterns, local_dir):
        asked.update(repository=repository, files=allow_patterns)
        (local_dir / "wikipedia").mkdir(parents=True)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    folder = models._fetch("edugp/kenlm/wikipedia")
    assert folder.name == "wikipedia"
    assert folder.is_dir()
    assert asked == {
        "repository": "edugp/kenlm",
        "files": ["wikipedia/en.arpa.bin", "wikipedia/en.sp.model"],
    }


def arpa(model: ngrams.NGrams) -> str:
    """The model in the ARPA format of KenLM, with symbols written as numbers."""
    lines, ten = ["\\data\\"], math.log(10)
    by_length = defaultdict(list)
    for key, log, weight in zip(model.keys.tolist(), model.log_probability, model.log_backoff, strict=True):
        n = key >> 56
        names = [(key >> 8 * k) & 0xFF for k in reversed(range(n))]
        words = ["<s>" if s == START else f"s{s}" for s in names]
        by_length[n].append(f"{max(log / ten, -99):.7f}\t{' '.join(words)}\t{weight / ten:.7f}")
    by_length[1] += ["-99\t</s>", "-99\t<unk>"]
    lines += [f"ngram {n}={len(rows)}" for n, rows in sorted(by_length.items())]
    for n, rows in sorted(by_length.items()):
        last = n == model.order
        lines += ["", f"\\{n}-grams:", *(row.rpartition("\t")[0] if last else row for row in rows)]
    return "\n".join([*lines, "", "\\end\\", ""])


def test_kenlm_reads_the_same_probabilities(good_texts, tmp_path):
    """KenLM, where it is installed, gives every text the same likelihood as CharacterModel."""
    kenlm = pytest.importorskip("kenlm")
    trained = train(good_texts[:60], 5, 3)
    (tmp_path / "model.arpa").write_text(arpa(trained))
    other, ours = kenlm.Model(str(tmp_path / "model.arpa")), CharacterModel(trained, 4.0)
    for text in [*good_texts[60:90], "zzz qqq", "\u4e2d"]:
        words = " ".join(f"s{s}" for s in symbols_of(ours, text))
        assert other.score(words, bos=True, eos=False) * math.log(10) == pytest.approx(
            ours.log_likelihood(text)[0], rel=1e-4
        )


def test_a_kenlm_model_judges_texts(good_texts, tmp_path):
    """The published kind: KenLM over SentencePiece pieces, made small here; needs the package kenlm."""
    kenlm = pytest.importorskip("kenlm")
    sentencepiece = pytest.importorskip("sentencepiece")
    (tmp_path / "text.txt").write_text("\n".join(good_texts))
    sentencepiece.SentencePieceTrainer.train(
        input=str(tmp_path / "text.txt"), model_prefix=str(tmp_path / "en.sp"), vocab_size=400, minloglevel=2
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "en.sp.model"))
    counts = Counter(p for text in good_texts for p in pieces.encode(text, out_type=str))
    total = sum(counts.values()) + 1
    rows = [f"{math.log10(c / total):.6f}\t{p}" for p, c in counts.items() if p != "<unk>"]
    unigrams = [f"{math.log10(1 / total):.6f}\t<unk>", "-99\t<s>", f"{math.log10(1 / total):.6f}\t</s>", *rows]
    bigram = "-1\t<s> </s>"  # KenLM refuses a model without bigrams
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", "ngram 2=1", "", "\\1-grams:", *unigrams, "", "\\2-grams:", bigram]
    text = "\n".join([*lines, "", "\\end\\", ""])
    (tmp_path / "en.arpa.bin").write_text(text)  # KenLM reads its text format as well
    made = make(Perplexity(model=str(tmp_path)), [], tmp_path / "scratch")
    assert (made.kind, made.ngrams, made.folder) == ("kenlm", None, tmp_path)
    model = models.load(tmp_path, 4.0)
    sentence = "The value of 12 is \u201cunique\u201d."
    score = kenlm.Model(str(tmp_path / "en.arpa.bin")).score(
        " ".join(pieces.encode('The value of 00 is "unique".', out_type=str))
    )
    count = len(pieces.encode('The value of 00 is "unique".')) + 1
    assert model.perplexity(sentence) == pytest.approx(10 ** (-score / count))
    assert model.perplexity(" \n") is None
    assert model.perplexity("\u4e2d\u6587\u5b57\u7b26" * 20) > model.perplexity(good_texts[0])


def test_settings_are_plain_json(good_texts, tmp_path):
    made = make(RECIPE, good_texts, tmp_path)
    assert sorted(p.name for p in made.folder.iterdir()) == ["model.json", "ngrams.safetensors"]
    assert json.loads((made.folder / "model.json").read_text())["order"] == RECIPE.order
