"""The Warmup-Stable-Decay schedule: the learning rate as a function of the tokens seen (Nemotron Nano 2 §2.5).

At 20T tokens the published shares mean: the warm-up ends after 8B tokens, the rate stays at 4.5e-4 until 16.4T, and
then decays to 4.5e-6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron_assets.recipe.train import TrainingRun

#: The share of the way from the minimum up to the peak that is left when a share x of the decay has passed: 1 at x = 0
#: and 0 at x = 1.
SHAPES = {
    "linear": lambda x: 1 - x,
    "cosine": lambda x: (1 + math.cos(math.pi * x)) / 2,
    "minus_sqrt": lambda x: 1 - math.sqrt(x),
}


def warmup_end(recipe: TrainingRun) -> int:
    """The number of tokens seen when the learning rate reaches its peak."""
    return round(recipe.tokens * recipe.warmup_share)


def decay_start(recipe: TrainingRun) -> int:
    """The number of tokens seen when the learning rate begins to fall."""
    return round(recipe.tokens * (1 - recipe.decay_share))


def learning_rate(recipe: TrainingRun, tokens: int) -> float:
    """The learning rate of the step after which `tokens` tokens have been seen."""
    lowest = recipe.peak_lr * recipe.min_lr_ratio
    if tokens < warmup_end(recipe):
        return recipe.peak_lr * tokens / warmup_end(recipe)
    if tokens <= decay_start(recipe) or decay_start(recipe) == recipe.tokens:  # one step may have more than all tokens
        return recipe.peak_lr
    passed = min(1.0, (tokens - decay_start(recipe)) / (recipe.tokens - decay_start(recipe)))
    return lowest + (recipe.peak_lr - lowest) * SHAPES[recipe.decay_shape](passed)


def total_steps(recipe: TrainingRun, sequence_length: int) -> int:
    """The number of optimizer steps that the recipe's tokens are enough for, at least one."""
    return max(1, recipe.tokens // (recipe.batch_sequences * sequence_length))
