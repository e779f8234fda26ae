"""The published schedule: warm-up over 8B tokens, decay from 16.4T to 20T tokens, down to 1% of 4.5e-4."""

import itertools

import pytest

from nemotron_assets.recipe import load_recipe
from nemotron_assets.training.schedule import SHAPES, decay_start, learning_rate, total_steps, warmup_end

NANO2 = load_recipe("nano2").train.base
T = 10**12


def test_published_checkpoints():
    assert warmup_end(NANO2) == 8 * 10**9
    assert decay_start(NANO2) == 16_400 * 10**9
    assert total_steps(NANO2, 8192) == 3_317_128
    assert learning_rate(NANO2, 4 * 10**9) == pytest.approx(2.25e-4)
    for tokens in (8 * 10**9, 10 * T, 16_400 * 10**9):
        assert learning_rate(NANO2, tokens) == 4.5e-4
    assert learning_rate(NANO2, 20 * T) == pytest.approx(4.5e-6)
    assert learning_rate(NANO2, 21 * T) == pytest.approx(4.5e-6)


def test_published_batches_and_phases():
    """736 sequences of 8,192 tokens; phases at 12T and 18T tokens; the decay begins in phase 2."""
    recipe = load_recipe("nano2")
    batch = recipe.train.base.batch_sequences * recipe.blend.sequence_length
    assert batch == 6_029_312
    starts = list(itertools.accumulate([phase.share for phase in recipe.blend.phases.values()], initial=0.0))[:-1]
    assert [round(start * recipe.train.base.tokens) for start in starts] == [0, 12 * T, 18 * T]
    assert starts[1] * recipe.train.base.tokens < decay_start(recipe.train.base) < starts[2] * recipe.train.base.tokens
    long, length = recipe.train.long_context, recipe.blend.long_context.sequence_length
    assert total_steps(long, length) == long.tokens // (12 * length) == 3_004


@pytest.mark.parametrize("shape", SHAPES)
def test_decay_falls_without_jumps(shape):
    recipe = NANO2.model_copy(update={"decay_shape": shape})
    rates = [learning_rate(recipe, 16_400 * 10**9 + i * 36 * 10**8) for i in range(1001)]
    assert rates[0] == 4.5e-4 and rates[-1] == pytest.approx(4.5e-6)
    assert all(a > b for a, b in itertools.pairwise(rates))
    assert max(a - b for a, b in itertools.pairwise(rates)) < 0.05 * 4.5e-4


def test_without_warmup_or_decay():
    flat = NANO2.model_copy(update={"warmup_share": 0.0, "decay_share": 0.0})
    assert learning_rate(flat, 1) == learning_rate(flat, 20 * T) == 4.5e-4
    assert learning_rate(flat, 21 * T) == 4.5e-4, "the only step of a training whose batch has more than its tokens"
