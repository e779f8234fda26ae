"""Reads pairs of answers from align.preferences, for the reward model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nemotron_assets.recipe.align.reinforcement import RewardTraining
from nemotron_assets.training.preference.columns import PREFERENCE

if TYPE_CHECKING:
    import polars as pl

    from resources.lakehouse import Reader

SPLITS = ("train", "held_out")
_ANSWERS = ("chosen", "rejected")


def usable(rows: pl.LazyFrame, max_tokens: int) -> pl.LazyFrame:
    """The pairs of the kind preference whose prompt and answers have at most `max_tokens` tokens."""
    import polars as pl

    prompt = pl.col("prompt_tokens").list.len()
    short = [prompt + pl.col(f"{name}_tokens").list.len() <= max_tokens for name in _ANSWERS]
    return rows.filter(pl.col("kind") == PREFERENCE, *short)


def count_pairs(preferences: Reader, max_tokens: int) -> int:
    """The number of pairs to train on."""
    import polars as pl

    found = usable(preferences.scan(), max_tokens).filter(pl.col("split") == "train").select(pl.len())
    return found.collect(engine="streaming").item()


def steps_of(pairs: int, run: RewardTraining) -> int:
    """The optimizer steps of a training on so many pairs."""
    return max(1, math.ceil(pairs * run.epochs / run.batch_pairs))


def read_pairs(preferences: Reader, max_tokens: int) -> dict[str, dict[str, list[list[int]]]]:
    """{split: {chosen_ids, rejected_ids}}: the tokens of prompt and answer together, in the order of the pairs' ids."""
    import polars as pl

    columns = ("id", "kind", "split", "prompt_tokens", *(f"{name}_tokens" for name in _ANSWERS))
    # The pairs of all rounds: the recipe bounds the prompts of a round, and training reads every pair.
    rows = usable(preferences.scan().select(columns), max_tokens).collect().sort("id")
    return {split: _tokens(rows.filter(pl.col("split") == split)) for split in SPLITS}


def _tokens(rows: pl.DataFrame) -> dict[str, list[list[int]]]:
    import polars as pl

    both = pl.col("prompt_tokens")
    return {
        f"{name}_ids": rows.select(both.list.concat(pl.col(f"{name}_tokens"))).to_series().to_list()
        for name in _ANSWERS
    }
