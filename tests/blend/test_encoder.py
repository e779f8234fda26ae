"""The fast encoder gives the ids of the reference, and stops if it does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.blend.encoder import Encoder, EncoderError
from nemotron_assets.text import tokenizer as bpe


@pytest.fixture(scope="module", params=["gigatoken", "tokenizers"])
def encoder(request, vocabulary_folder):
    return Encoder(vocabulary_folder, request.param)


def test_real_pages(encoder, vocabulary, sample_texts):
    for text, ids in zip(sample_texts, encoder.encode(sample_texts), strict=True):
        assert ids.dtype == np.int32
        assert ids.tolist() == bpe.encode(vocabulary, text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.text(), st.text(alphabet="ab 01\n\r\t</s>é哈-=", max_size=60)), max_size=5))
def test_any_text(encoder, vocabulary, texts):
    assert [ids.tolist() for ids in encoder.encode(texts)] == [bpe.encode(vocabulary, text) for text in texts]


def test_spelled_specials(encoder, vocabulary):
    (ids,) = encoder.encode(["end</s><s> <SPECIAL_12>"])
    assert ids.min() >= 32
    assert bpe.decode(vocabulary, ids.tolist()) == "end</s><s> <SPECIAL_12>"


def test_a_difference_ends_the_run(vocabulary_folder, tmp_path, sample_texts):
    bpe.save(bpe.train([["abc abd"] * 9], 400, 32, 2), tmp_path, 512)
    watched = Encoder(vocabulary_folder, "gigatoken")
    watched.reference = bpe.load(tmp_path)
    with pytest.raises(EncoderError, match=r"blend\.encoder"):
        watched.encode(sample_texts[:2])
