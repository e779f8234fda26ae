"""Bits per byte equals a computation by hand, the result of the harness, and the known value of a uniform model."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.evaluate.bits_per_byte import measure, windows
from nemotron_assets.text import tokenizer as bpe

TEXTS = [
    "A planet rotates faster after a meteorite impact.",
    "x",
    "Größe, 日本語 and 123 eggs </s> for breakfast.\n\n" * 9,
    "Janet’s ducks lay 16 eggs per day. " * 20,
]


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 60), st.integers(2, 20), st.integers(0, 19))
def test_every_token_is_scored_once_with_enough_context(length, size, overlap):
    overlap = min(overlap, size - 1)
    ids = list(range(100, 100 + length))
    cut = list(windows(7, ids, size, overlap))
    assert [t for w in cut for t in w.targets[-w.scored :]] == ids
    for number, window in enumerate(cut):
        assert window.document == 7
        assert 1 <= window.scored <= len(window.inputs) <= size
        assert len(window.inputs) == len(window.targets)
        assert window.inputs[1:] == window.targets[:-1]
        if number:
            assert len(window.inputs) - window.scored == overlap
    assert cut[0].inputs[0] == bpe.EOS


def by_hand(model, vocabulary, texts) -> float:
    bits = size = 0.0
    for text in texts:
        ids = bpe.encode(vocabulary, text)
        with torch.inference_mode():
            logits = model(torch.tensor([[bpe.EOS, *ids]])).logits[0].double()
        for position, token in enumerate(ids):
            bits -= float(torch.log_softmax(logits[position], -1)[token]) / math.log(2)
        size += len(text.encode())
    return bits / size


@pytest.mark.parametrize("name", ["llama", "student"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_by_hand(request, vocabulary, name, batch_size):
    model = request.getfixturevalue(name)
    score = measure(model, vocabulary, TEXTS, size=2_048, overlap=0, batch_size=batch_size)
    assert score.value == pytest.approx(by_hand(model, vocabulary, TEXTS), rel=1e-5)
    assert (score.task, score.metric, score.samples, score.shots) == ("held_out_documents", "bits_per_byte", 4, 0)


@pytest.mark.parametrize("name", ["llama", "student"])
def test_windows_by_hand(request, vocabulary, name):
    model = request.getfixturevalue(name)
    ids = bpe.encode(vocabulary, TEXTS[2])
    size, overlap, bits = 64, 16, 0.0
    assert len(ids) > 3 * size
    text = [bpe.EOS, *ids]
    for position in range(1, len(text)):  # position 0 is EOS, which is not scored
        done = 0 if position <= size else size + (position - size - 1) // (size - overlap) * (size - overlap)
        start = max(0, done - overlap)
        with torch.inference_mode():
            logits = model(torch.tensor([text[start:position]])).logits[0, -1].double()
        bits -= float(torch.log_softmax(logits, -1)[text[position]]) / math.log(2)
    score = measure(model, vocabulary, [TEXTS[2]], size, overlap, batch_size=4)
    assert score.value == pytest.approx(bits / len(TEXTS[2].encode()), rel=1e-5)


def test_equals_the_harness(llama, vocabulary, vocabulary_folder):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoTokenizer

    texts = [text.replace("</s>", "") for text in TEXTS]  # the harness encodes "</s>" in a text as the special token
    harness = HFLM(
        pretrained=llama,
        tokenizer=AutoTokenizer.from_pretrained(vocabulary_folder),
        prefix_token_id=bpe.EOS,
        max_length=2_048,
        batch_size=2,
    )
    requests = [Instance("loglikelihood_rolling", {}, (text,), k) for k, text in enumerate(texts)]
    nats = sum(harness.loglikelihood_rolling(requests, disable_tqdm=True))
    score = measure(llama, vocabulary, texts, size=2_048, overlap=0, batch_size=4)
    assert score.value == pytest.approx(-nats / math.log(2) / sum(len(t.encode()) for t in texts), rel=1e-5)


def test_uniform_model(llama, vocabulary):
    import copy

    uniform = copy.deepcopy(llama)
    torch.nn.init.zeros_(uniform.get_output_embeddings().weight)
    score = measure(uniform, vocabulary, TEXTS, size=64, overlap=16, batch_size=2)
    tokens = sum(len(bpe.encode(vocabulary, text)) for text in TEXTS)
    assert score.value == pytest.approx(10 * tokens / sum(len(t.encode()) for t in TEXTS), rel=1e-6)
    assert score.value == pytest.approx(score.random_baseline, rel=1e-6)


def test_standard_error(llama, vocabulary):
    alike = measure(llama, vocabulary, [TEXTS[0]] * 5, size=64, overlap=16, batch_size=2)
    assert alike.stderr == pytest.approx(0, abs=1e-6)
    assert measure(llama, vocabulary, TEXTS, size=64, overlap=16, batch_size=2).stderr > 0
    assert measure(llama, vocabulary, TEXTS[:1], size=64, overlap=16, batch_size=2).stderr is None


def test_nothing_to_measure(llama, vocabulary):
    with pytest.raises(ValueError, match="held_out_documents: no text is held out"):
        measure(llama, vocabulary, [], size=64, overlap=0, batch_size=2)


def test_simple_models_of_the_same_bytes(llama, vocabulary):
    import gzip
    from collections import Counter

    score = measure(llama, vocabulary, TEXTS, size=64, overlap=16, batch_size=2)
    pooled = "".join(TEXTS).encode()
    counts = Counter(pooled)
    entropy = -sum(n / len(pooled) * math.log2(n / len(pooled)) for n in counts.values())
    assert score.unigram == pytest.approx(entropy, rel=1e-9)
    assert score.gzip == pytest.approx(8 * len(gzip.compress(pooled, 9)) / len(pooled), rel=1e-9)
    even = measure(llama, vocabulary, ["abcd" * 64], size=512, overlap=0, batch_size=1)
    assert even.unigram == 2.0 and even.gzip < 1.0
