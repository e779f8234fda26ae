"""Fixtures: the test vocabulary as transformers loads it, with the chat template in its folder."""

import pytest


@pytest.fixture(scope="session")
def auto(vocabulary_folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(vocabulary_folder)
