"""Bits per byte by position equal a computation by hand, and tell a model that uses a long context from another one."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import polars as pl
import pytest
import torch

from nemotron_assets.evaluate.by_position import compared, measure_by_position, stretches
from nemotron_assets.evaluate.tables import BITS_BY_POSITION
from nemotron_assets.text import tokenizer as bpe

TEXTS = ["Größe, 日本語 and 123 eggs for breakfast.\n\n" * 9, "Janet’s ducks lay 16 eggs per day. " * 8]


def test_stretches_double_up_to_the_longest():
    assert stretches(512, 8_192) == [(0, 512), (512, 1_024), (1_024, 2_048), (2_048, 4_096), (4_096, 8_192)]
    assert stretches(512, 3_000) == [(0, 512), (512, 1_024), (1_024, 2_048), (2_048, 3_000)]
    assert stretches(512, 512) == [(0, 512)]


@pytest.mark.parametrize("name", ["llama", "student"])
def test_by_hand(request, vocabulary, name):
    model = request.getfixturevalue(name)
    found = measure_by_position(model, vocabulary, TEXTS, shortest=32, longest=150)
    bits, sizes, tokens, documents = ([0.0] * 4, [0] * 4, [0] * 4, [0] * 4)
    for text in TEXTS:
        ids = bpe.encode(vocabulary, text)[:150]
        with torch.inference_mode():
            logits = model(torch.tensor([[bpe.EOS, *ids]])).logits[0].double()
        for place, token in enumerate(ids):
            number = sum(place >= end for end in (32, 64, 128))
            bits[number] -= float(torch.log_softmax(logits[place], -1)[token]) / math.log(2)
            documents[number] += place in (0, 32, 64, 128)
            tokens[number] += 1
            # As many bytes as the text grows by, when the tokens so far are joined byte by byte.
            sizes[number] += len(vocabulary.id_to_token(token))
    assert [(s.first, s.last) for s in found] == [(0, 32), (32, 64), (64, 128), (128, 150)]
    assert [s.bits_per_byte for s in found] == pytest.approx(
        [b / s for b, s in zip(bits, sizes, strict=True)], rel=1e-4
    )
    assert [(s.tokens, s.bytes, s.documents) for s in found] == list(zip(tokens, sizes, documents, strict=True))


def test_the_bytes_of_the_tokens_are_those_of_the_text(llama, vocabulary):
    found = measure_by_position(llama, vocabulary, TEXTS[:1], shortest=5, longest=10_000)
    assert sum(stretch.bytes for stretch in found) == len(TEXTS[0].encode())
    assert {stretch.stderr for stretch in found} == {None}, "one document"


def test_a_document_that_is_no_longer_than_the_first_stretch_is_left_out(llama, vocabulary):
    sizes = [len(bpe.encode(vocabulary, text)) for text in TEXTS]
    found = measure_by_position(llama, vocabulary, [*TEXTS, "short"], min(sizes), max(sizes))
    assert [s.documents for s in found] == [1, 1]
    assert not measure_by_position(llama, vocabulary, ["short"], 64, 128)


def measured(model: str, length: int, minute: int, *bits: float, size: int = 100) -> list[dict]:
    """Rows of one model for the stretches 0-8, 8-16, 16-32."""
    at = datetime(2026, 1, 1, 0, minute, tzinfo=UTC)
    edges = [(0, 8), (8, 16), (16, 32)]
    return [
        {"model": model, "model_id": f"{model} {minute}", "first_token": first, "last_token": last, "at": at,
         "trained_length": length, "bits_per_byte": value, "bytes": size, "documents": 3}
        for (first, last), value in zip(edges, bits, strict=True)
    ]  # fmt: skip


def test_the_newest_versions_are_shown(tmp_path):
    from nemotron_assets.evaluate.by_position import plot
    from resources.lakehouse import Lakehouse
    from tests.sql.lake import frame

    lake = Lakehouse(root=str(tmp_path), free_disk_mb=0)
    rows = [
        *measured("base", 8, 1, 9.0, 9.0, 9.0),
        *measured("base", 8, 3, 2.0, 2.0, 2.0),
        *measured("long", 32, 4, 1, 1, 1),
    ]
    lake.write(BITS_BY_POSITION, frame(BITS_BY_POSITION, [row | {"id": str(n)} for n, row in enumerate(rows)]))
    shown = plot(lake.read(BITS_BY_POSITION))
    assert (
        shown["models"] == "base, long" and "data:image/png" in shown["bits_per_byte"].value and shown["documents"] == 3
    )


def comparison(*rows: list[dict]) -> dict | None:
    schema = {name: dtype for name, dtype in BITS_BY_POSITION.empty().schema.items() if name in rows[0][0]}
    return compared(pl.DataFrame([row for model in rows for row in model], schema), "base 3", "long 4")


def test_a_longer_context_is_compared_within_and_beyond_the_shorter_one():
    base, older = measured("base", 8, 3, 2.0, 2.0, 2.0), measured("base", 8, 1, 9.0, 9.0, 9.0)
    long = measured("long", 32, 4, 2.01, 1.8, 1.6)
    assert comparison(older, base, long) == {"within": pytest.approx(1.005), "beyond": pytest.approx(0.85)}
    assert comparison(base) is None, "there is nothing to compare with"
    assert comparison(base, measured("long", 32, 4, 1.0, 1.0, 1.0, size=99)) is None, "other documents"
