"""Fixtures: a small model whose tokens are letters, and a lake."""

import pytest

from nemotron_assets.chat.budget.tags import Tags
from resources.lakehouse import Lakehouse
from tests.chat.budget.conftest import letters
from tests.small_model import one_thread, small

__all__ = ["letters", "one_thread", "small"]


@pytest.fixture(scope="session")
def model(small):
    """A freshly initialised model with a token for every letter."""
    from nemotron_assets.model.nemotron_h import empty_model, fresh_weights, model_config

    config = model_config(small, 128, 256, {"pad": 4, "bos": 1, "eos": 2})
    model = empty_model(config).to_empty(device="cpu").eval()
    model.load_state_dict(dict(fresh_weights(dict(model.named_parameters()), config, seed=1)))
    return model


class Decoder:
    """The part of a tokenizer that the engine uses."""

    def __init__(self, tags: Tags) -> None:
        self._texts = tags.texts

    def decode(self, ids, skip_special_tokens=False):
        return "".join(self._texts[token] if token < len(self._texts) else "?" for token in ids)


@pytest.fixture(scope="session")
def tags(letters) -> Tags:
    return Tags.of(letters)


@pytest.fixture(scope="session")
def decoder(tags) -> Decoder:
    return Decoder(tags)


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
