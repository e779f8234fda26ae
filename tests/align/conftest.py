"""Fixtures of the tests of the post-training: a small model, and a folder of it with a tokenizer."""

import pytest

from tests.model import exported
from tests.small_model import one_thread, small, student


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory):
    """A model of the laptop's shape with random weights, as it lies in the lake."""
    folder = tmp_path_factory.mktemp("policy") / "model"
    exported.write(folder)
    return folder


__all__ = ["one_thread", "policy_folder", "small", "student"]
