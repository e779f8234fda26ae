"""Rows of the post-training: prompts, rollouts of a reinforcement learning, and answers to items of the suite."""

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
    """Add two prompts with the answer "k t", rollouts of both splits, and a right and a wrong answer to the suite."""
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
             "split": split, "model_id": row_id("models.base", 1), "step": number, "prompt": prompt, "reward": reward,
             "completion": completion, "engine": "transformers", "finish_reason": "stop", "length": len(completion),
             "kl": 0.25, "generation_id": rows["llm.generations"][number]["id"]}
        )  # fmt: skip
    for number, answer in enumerate(("k t", "t k")):
        item = row_id("align.suite_items", number)
        rows["align.suite_items"].append(
            {"id": item, "task": "copy", "split": "held_out", "question": "copy: k t", "answer": "k t"}
        )
        rows["evaluate.suite_answers"].append(
            {"id": row_id("evaluate.suite_answers", number), "parents": [item], "item": item, "task": "copy",
             "model": "tiny-hybrid", "model_id": row_id("models.base", 1), "model_version": "1", "stage": "base",
             "answer": answer, "right": number == 0, "output_tokens": 4, "finish_reason": "stop",
             "generation_id": rows["llm.generations"][number]["id"]}
        )  # fmt: skip
