"""Rows of the post-training: prompts, and rollouts of a reinforcement learning."""

from __future__ import annotations

import json
from typing import Any

from nemotron_assets.table.ids import row_id

#: Completions of the prompts, and the stored rewards. The last reward is not what the verifier says.
ROLLOUTS = (
    ("x<think>\n", "a step\n</think>\n\nk  t", 1.0),
    ("x<think></think>", "k t\n", 1.0),
    ("x<think></think>", "k", 0.0),
    ("x<think>\n", "k t, but no thought was closed", 0.0),
    ("x<think></think>", "k", 1.0),
)


def add_align(rows: dict[str, list[dict[str, Any]]]) -> None:
    """Add two prompts with the answer "k t", and rollouts of both splits."""
    exact = json.dumps([{"name": "exact", "arguments": {}}])
    for split in ("train", "held_out"):
        rows["align.prompts"].append(
            {
                "id": row_id("prompt", split),
                "kind": "verifiable",
                "split": split,
                "verifiers": exact,
                "reference": "k t",
            }
        )
    for number, (prompt, completion, reward) in enumerate(ROLLOUTS):
        split = "held_out" if number == 0 else "train"
        rows["align.rollouts"].append(
            {"id": row_id("rollout", number), "parents": [row_id("prompt", split)], "stage": "ifeval_rl",
             "split": split, "model_id": row_id("policy"), "step": number, "prompt": prompt, "reward": reward,
             "completion": completion, "engine": "transformers", "finish_reason": "stop", "length": len(completion),
             "kl": 0.25}
        )  # fmt: skip
