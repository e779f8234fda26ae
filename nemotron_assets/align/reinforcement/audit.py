"""An audit of stored rollouts: their rewards are given again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.chat.template import asks_for_thought
from nemotron_assets.rollouts.policy import STOP

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Lakehouse

#: Rollouts that a check grades again.
SAMPLE = 256


def regraded(rows: Iterable[Mapping[str, Any]], recipe: Recipe) -> Iterator[tuple[Mapping[str, Any], float | None]]:
    """Grade stored rollouts again with the verifiers of their prompts, without generating anything. `rows` have the
    columns of align.rollouts, and messages, verifiers and reference of their prompts. Yields (row, reward)."""
    from nemotron_assets.grading.rewards import Rewards

    rows = list(rows)
    with Rewards(recipe.grading) as rewards:
        found = rewards.grade((_asked(row), row["completion"]) for row in rows)
        yield from zip(rows, (reward.value for reward in found), strict=True)


def _asked(row: Mapping[str, Any]) -> dict[str, Any]:
    return row | {"thinking": asks_for_thought(row["prompt"]), "finished": row["finish_reason"] == STOP}


def with_prompts(lake: Lakehouse, stage: str, most: int | None = None) -> list[dict[str, Any]]:
    """Rollouts of a stage's newest model whose prompts the lake still has, with what verifiers need of the prompts: the
    `most` with the first ids, or all. Earlier models may have been graded by other rules."""
    from nemotron_assets.align.conversations.tables import PROMPTS
    from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, RLHF, ROLLOUTS
    from nemotron_assets.models.registry import newest

    models = {table.name: lake.read(table) for table in (IFEVAL_RL, RLHF)}[stage]
    reader = lake.read(ROLLOUTS)
    if not reader.exists or not models.exists:
        return []
    own = reader.scan().filter(pl.col("model_id") == newest(models)["id"])
    own = own.select("id", "prompt", "completion", "finish_reason", "reward", prompt_id=pl.col("parents").list.first())
    prompts = lake.read(PROMPTS).scan().select("id", "messages", "verifiers", "reference")
    own = own.join(prompts, left_on="prompt_id", right_on="id")
    own = own.sort("id") if most is None else own.bottom_k(most, by="id").sort("id")
    return own.collect(engine="streaming").to_dicts()


def regrade(lake: Lakehouse, recipe: Recipe, stage: str = "ifeval_rl", most: int | None = None) -> dict[str, Any]:
    """Grade the stored rollouts of a stage again. Returns the numbers of rollouts and of those whose reward differs
    from the stored one, and examples of these as JSON."""
    different, count = [], 0
    for row, reward in regraded(with_prompts(lake, stage, most), recipe):
        count += 1
        if reward != row["reward"]:
            different.append({"id": row["id"], "stored": row["reward"], "again": reward})
    return {"rollouts": count, "different": len(different), "examples": json.dumps(different[:5])}
