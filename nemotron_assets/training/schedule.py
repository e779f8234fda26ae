"""Warmup-Stable-Decay: the learning rate as a function of the tokens seen (Nemotron Nano 2 §2.5).

At 20T tokens the published shares mean: warmed up after 8B, stable at 4.5e-4, decaying from 16.4T to 4.5e-6.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron_assets.recipe.train import TrainingRun

#: How much of the way from the peak to the minimum is left when a share x of the decay has passed.
SHAPES = {
    "linear": lambda x: 1 - x,
    "cosine": lambda x: (1 + math.cos(math.pi * x)) / 2,
    "minus_sqrt": lambda x: 1 - math.sqrt(x),
}


def warmup_end(recipe: TrainingRun) -> int:
    """Tokens seen when the learning rate reaches its peak."""
    return round(recipe.tokens * recipe.warmup_share)


def decay_start(recipe: TrainingRun) -> int:
    """Tokens seen when the learning rate begins to fall."""
    return round(recipe.tokens * (1 - recipe.decay_share))


def learning_rate(recipe: TrainingRun, tokens: int) -> float:
    """The learning rate of the step that ends with `tokens` tokens seen."""
    lowest = recipe.peak_lr * recipe.min_lr_ratio
    if tokens < warmup_end(recipe):
        return recipe.peak_lr * tokens / warmup_end(recipe)
    if tokens <= decay_start(recipe):
        return recipe.peak_lr
    passed = min(1.0, (tokens - decay_start(recipe)) / (recipe.tokens - decay_start(recipe)))
    return lowest + (recipe.peak_lr - lowest) * SHAPES[recipe.decay_shape](passed)


def total_steps(recipe: TrainingRun, sequence_length: int) -> int:
    """Optimizer steps that fit the horizon, at least one."""
    return max(1, recipe.tokens // (recipe.batch_sequences * sequence_length))
