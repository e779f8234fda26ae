"""Tokenizers: single letters, the tags as tokens of their own, and byte-level BPE; and a small model."""

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from nemotron_assets.chat.budget.tags import TAGS, Tags
from nemotron_assets.text.tokenizer import load, special_tokens
from tests.small_model import one_thread, small, student

__all__ = ["one_thread", "small", "student"]


def _letters(*more: str) -> Tokenizer:
    names = [*special_tokens(16), *more]
    vocabulary = {text: number for number, text in enumerate([*names, *(chr(code) for code in range(32, 127)), "\n"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(names)
    return tokenizer


@pytest.fixture(scope="session")
def letters() -> Tokenizer:
    return _letters()


@pytest.fixture(scope="session")
def whole_tags() -> Tokenizer:
    """Every tag is one token."""
    return _letters(*TAGS)


@pytest.fixture(scope="session")
def bpe(vocabulary_folder) -> Tokenizer:
    tokenizer = load(vocabulary_folder)
    tokenizer.encode_special_tokens = False  # prompts of these tests have the special tokens of turns
    return tokenizer


@pytest.fixture(params=["letters", "whole_tags", "bpe"])
def tokenizer(request) -> Tokenizer:
    return request.getfixturevalue(request.param)


@pytest.fixture
def tags(tokenizer) -> Tags:
    return Tags.of(tokenizer)
