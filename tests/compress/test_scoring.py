"""Scores of held-out answers are those of writing them greedily."""

import numpy as np
import pytest
import torch

from nemotron_assets.compress.scoring import score
from nemotron_assets.model.nemotron_h import attach, empty_model, fresh_weights, model_config
from nemotron_assets.training.stream import PackedSequence


@pytest.fixture(scope="module")
def model(small):
    config = model_config(small, 64, 128)
    made = empty_model(config).to_empty(device="cpu").eval()
    made.load_state_dict(dict(fresh_weights(dict(made.named_parameters()), config, seed=1)))
    return attach(made)


def answer(prompt: list[int], said: list[int]) -> PackedSequence:
    trained = np.array([False] * len(prompt) + [True] * len(said))
    return PackedSequence(np.array([*prompt, *said], np.int32), (len(prompt) + len(said),), trained)


def greedy(model, prompt: list[int], length: int) -> list[int]:
    said: list[int] = []
    for _ in range(length):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *said]]), use_cache=False).logits[0, -1]
        said.append(int(logits.argmax()))
    return said


def test_an_answer_is_right_when_greedy_decoding_gives_it(model):
    """Three answers that the model writes itself, one with a wrong token in the middle, in batches of any size."""
    numbers = np.random.default_rng(0)
    prompts = [numbers.integers(0, 64, length).tolist() for length in (5, 9, 14, 20)]
    said = [greedy(model, prompt, 4) for prompt in prompts]
    said[2][1] = (said[2][1] + 1) % 64
    answers = [answer(prompt, own) for prompt, own in zip(prompts, said, strict=True)]
    found = score(model, answers)
    assert found.right == 0.75 and found.items == 4
    losses = []
    for prompt, own in zip(prompts, said, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *own]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(own), reduction="none"))
    assert found.loss == pytest.approx(float(torch.cat(losses).mean()), rel=1e-4)
    apart = score(model, answers, batch_tokens=1)
    assert apart.right == found.right and apart.loss == pytest.approx(found.loss, rel=1e-5)
