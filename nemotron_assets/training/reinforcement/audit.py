"""Audits of stored rollouts: sampler against trainer, and held-out rewards before and after a training."""

from __future__ import annotations

import polars as pl

from nemotron_assets.grading.paired import Paired, paired


def disagreement(rollouts: pl.LazyFrame, model_id: str) -> dict[str, float]:
    """How much the trainer's log-probabilities of sampled tokens differ from the sampler's, in nats: mean and largest
    difference over the tokens of a training that were not forced, and the number of these tokens."""
    columns = ["sampler_logprobs", "trainer_logprobs", "forced"]
    own = (pl.col("model_id") == model_id) & (pl.col("split") == "train")
    tokens = rollouts.filter(own).select(columns).explode(columns).filter(~pl.col("forced"))
    found = (pl.col("sampler_logprobs") - pl.col("trainer_logprobs")).abs()
    sums = tokens.select(mean=found.mean(), largest=found.max(), tokens=pl.len()).collect(engine="streaming")
    row = sums.row(0, named=True)
    return {"mean": row["mean"] or 0.0, "largest": row["largest"] or 0.0, "tokens": row["tokens"]}


def held_out(rollouts: pl.LazyFrame, model_id: str) -> Paired | None:
    """Rewards of the held-out prompts after the training against those before it, prompt by prompt; None if no prompt
    has a reward at both times."""
    own = (pl.col("model_id") == model_id) & (pl.col("split") == "held_out") & pl.col("reward").is_not_null()
    prompts = rollouts.filter(own).group_by("step", prompt=pl.col("parents").list.first())
    rows = prompts.agg(pl.col("reward").mean()).collect()  # a prompt may have several answers
    after = rows["step"].max()
    if not after:
        return None
    times = (rows.filter(pl.col("step") == step).select("prompt", "reward") for step in (0, after))
    both = next(times).join(next(times), on="prompt", suffix="_after").sort("prompt")
    return paired(both["reward"].to_list(), both["reward_after"].to_list()) if both.height else None
