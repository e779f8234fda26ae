"""Rows of a table of rollouts: in a file of the training, so that no kill of a process loses them, and in the lake."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.table.ids import content_hash, row_id

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.chat.budget.tags import Tags
    from nemotron_assets.table.schema import Table
    from nemotron_assets.training.reinforcement.trainer import Sampled
    from resources.lakehouse import Lakehouse

Append = Callable[[list[dict[str, Any]]], None]


class RolloutFile:
    """The rollouts of one training on disk: a line per step and split. `reached` is the last step of the checkpoint
    that the training goes on from; lines of later steps are dropped, because these steps are done again."""

    def __init__(self, path: Path, reached: int) -> None:
        self._path, self._known = path, set()
        lines = [line for line in self._lines() if line["step"] <= reached]
        temporary = path.with_suffix(".partial")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in lines))
        temporary.rename(path)
        self._known = {(line["step"], line["split"]) for line in lines}

    def add(self, step: int, split: str, rows: list[dict[str, Any]]) -> bool:
        """Store the rows of a step; False if they are stored already."""
        if (step, split) in self._known:
            return False
        self._known.add((step, split))
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, "split": split, "rows": rows}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return True

    def rows(self) -> Iterator[list[dict[str, Any]]]:
        """All rows, step by step."""
        return (line["rows"] for line in self._lines())

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self._path.exists():
            with self._path.open() as file:
                for line in file:
                    if line.endswith("\n"):  # a killed process may have left half a line
                        yield json.loads(line)


def rollout_rows(
    sampled: Sampled,
    columns: dict[str, list],
    *,
    table: str,
    stage: str,
    model_id: str,
    step: int,
    split: str,
    tags: Tags,
) -> list[dict[str, Any]]:
    """Rows of the table of rollouts with the full name `table`, without run_id. `columns` has values of
    trainer_logprobs, kl and advantage by rollout."""
    rows = []
    for number, (prompt, rollout, graded) in enumerate(
        zip(sampled.prompts, sampled.rollouts, sampled.graded, strict=True)
    ):
        ask = rollout.ask
        rows.append({
            "id": row_id(table, model_id, step, split, *ask.parents, rollout.generation_id, ask.sample),
            "parents": list(ask.parents), "stage": stage, "model_id": model_id, "step": step, "split": split,
            "prompt": prompt.text, "sample": ask.sample, "completion": rollout.text, "tokens": rollout.tokens,
            "sampler_logprobs": rollout.logprobs, "trainer_logprobs": None, "forced": rollout.forced,
            "rewards": graded.said, "reward": graded.value, "error": graded.error, "advantage": None, "kl": None,
            "length": len(rollout.tokens), "thought_tokens": thought_tokens(tags, prompt.ids, rollout.tokens),
            "engine": rollout.engine, "finish_reason": rollout.finish_reason, "generation_id": rollout.generation_id,
            **{name: values[number] for name, values in columns.items()},
        })  # fmt: skip
    return rows


def thought_tokens(tags: Tags, prompt: tuple[int, ...], tokens: list[int]) -> int:
    """The tokens of an answer that are inside its thought."""
    from nemotron_assets.chat.budget.automaton import Budget, Thought

    thought = Thought(tags, Budget(None, 0), prompt)
    for token in tokens:
        thought.feed(token)
    return thought.tokens


def appender(lake: Lakehouse, table: Table, model_id: str, run_id: str, others: Append) -> Append:
    """A function that stores rollouts in `table`, and gives rows of other tables to `others`. A resumed training
    sends rollouts of steps before its checkpoint again: they are left out. It does the later steps again: their
    rollouts replace those of the first time, because the model learned from the new ones."""
    import polars as pl

    def own() -> pl.LazyFrame:
        return lake.read(table).scan().filter(pl.col("model_id") == model_id)

    stored = _steps(own()) if lake.read(table).exists else {}

    def append(rows: list[dict[str, Any]]) -> None:
        rollouts = [row | {"run_id": run_id} for row in rows if "sampler_logprobs" in row]
        frame = pl.DataFrame(rollouts, schema=table.empty().schema)
        for (step, split), learned in _steps(frame.lazy()).items():
            new = frame.filter(step=step, split=split)
            if (step, split) not in stored:
                lake.append(table, new, run_id=run_id)
            elif stored[step, split] != learned:
                old = own().filter(step=step, split=split).select("id").collect()
                lake.replace(table, new, {"id": old["id"].to_list()}, run_id=run_id)
            stored[step, split] = learned
        if rest := [row for row in rows if "sampler_logprobs" not in row]:
            others(rest)

    return append


def _steps(rollouts: pl.LazyFrame) -> dict[tuple[int, str], str]:
    """{(step, split): a hash of the rollouts and of what the model learned from them}."""
    import polars as pl

    learned = ("reward", "error", "advantage", "kl", pl.col("trainer_logprobs").list.sum())
    # Short values of the rollouts of one training: the recipe says how many prompts and answers a step has.
    found = rollouts.select("step", "split", "id", *learned).sort("step", "split", "id").collect(engine="streaming")
    return {
        key: content_hash(repr(rows.rows()).encode())
        for key, rows in found.partition_by("step", "split", as_dict=True).items()
    }
