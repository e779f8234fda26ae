"""A small GRPO training whose reward is easy to learn, also as a process that kills itself. Argument: JSON of `run`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import polars as pl

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.rollouts.transformers_engine import TransformersEngine
from nemotron_assets.training.reinforcement import worker
from nemotron_assets.training.reinforcement.grading import Graded
from resources.lakehouse import Lakehouse

RUN = Grpo(
    steps=5, prompts_per_step=4, group=4, micro_batch=8, prompts={"verifiable": 1.0}, max_prompt_tokens=60,
    max_tokens=4, held_out_prompts=3, most_errors=0.2, most_disagreement=1e-3, peak_lr=3e-3, precision="fp32",
    recompute=False, checkpoint_every=2, both_ways=True,
)  # fmt: skip
GENERATIONS_OF_RUN = RUN.steps * RUN.rollouts_per_step + 2 * RUN.held_out_prompts


class Parity:
    """The reward is 1 if the first token is even. An answer whose second token `fails` divides gets an error."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails

    def grade(self, pairs):
        return [self._grade(rollout.tokens) for _, rollout in pairs]

    def _grade(self, tokens):
        if self.fails and len(tokens) > 1 and tokens[1] % self.fails == 0:
            return Graded(None, "{}", "the verifier has died")
        return Graded(float(tokens[0] % 2 == 0), json.dumps({"parity": {"outcome": "right"}}))


def lake_with_prompts(root: Path) -> Lakehouse:
    """A lake with six prompts to train on and three that are held out."""
    lake = Lakehouse(root=str(root), free_disk_mb=0)
    rows = [
        {
            "id": f"prompt-{number}", "parents": [], "sources": [], "part": "own", "kind": "verifiable",
            "domain": "suite", "split": "train" if number < 6 else "held_out",
            "messages": json.dumps([{"role": "user", "content": "abcdefghi"[number] * (number + 1)}]), "tools": None,
            "verifiers": json.dumps([{"name": "exact", "arguments": {}}]), "reference": "x", "origin_hash": "",
        }
        for number in range(9)
    ]  # fmt: skip
    lake.append(PROMPTS, pl.DataFrame(rows, schema=PROMPTS.empty().schema), run_id="")
    return lake


def config(lake: Lakehouse, policy: Path, folder: Path, **changes) -> dict:
    """The configuration of the training, as `training._grpo` makes it."""
    return {
        "stage": "ifeval_rl", "name": "small", "model_id": "model", "rollouts_table": "align.rollouts",
        "section": "align.reinforcement.ifeval_rl",
        "start": {"folder": str(policy)}, "training": RUN.model_copy(update=changes).model_dump(),
        "folder": str(folder), "prompts_version": lake.read(PROMPTS).version,
        "rollouts": {"engine": "transformers", "batch": 8, "dtype": "float32"}, "grader": {}, "llm": {},
        "lake": {"root": lake.root, "free_disk_mb": 0},
    }  # fmt: skip


def run(config: dict, calls: Path, die_at: int = 0, fails: int = 0) -> tuple[dict, list[dict]]:
    """Train; returns the result and the emitted rows. Every sampled answer is a line of `calls`. The process kills
    itself when it has sampled `die_at` answers."""
    rows: list[dict] = []

    @contextlib.contextmanager
    def grader(*_):
        yield Parity(fails)

    answer = TransformersEngine._answer

    def logged(engine, row, seconds):
        with calls.open("a") as file:
            file.write(row.key + "\n")
        if die_at and len(calls.read_text().splitlines()) >= die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer(engine, row, seconds)

    before = worker.grader
    worker.grader, TransformersEngine._answer = grader, logged
    try:
        return worker.train_grpo(config, rows.extend), rows
    finally:
        worker.grader, TransformersEngine._answer = before, answer


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    given = json.loads(sys.argv[1])
    run(given["config"], Path(given["calls"]), given["die_at"])
