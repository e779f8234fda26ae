"""The suites of benchmarks: their task files, and how their items become tasks of lm-evaluation-harness.

A task file says how an item becomes a prompt. Its keys are those of the harness, and some of ours:
 - by: the column that the items are grouped by; worked examples are of the same group
 - metrics: metrics of the harness that are stored, for choices that are compared by their likelihood
 - until: texts at which an answer ends
 - grade: how a written answer is graded (see `grading`)
 - completes: whether the answer continues code that begins in the prompt
 - fenced: whether code stands in a block, although the model is not asked in a chat template
 - imports: lines that stand before the code of every answer
 - chat: what a chat model is asked; a suite without doc_to_text asks chat models alone

Worked examples are items of the benchmark NAME_dev if there is one, as for MMLU. Otherwise the last items of a group
are its worked examples, and are never scored.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from nemotron_assets.chat.conversation import Message, from_json, tools_from_json

TASKS = Path(__file__).with_name("tasks")
#: Suites whose items have the form of another one.
_FORMS = {
    "humaneval_plus": "humaneval", "mbpp_plus": "mbpp", "math_500": "math", "math_level_5": "math", "aime24": "math",
    "aime25": "math", "bfcl_non_live": "bfcl", "bfcl_live": "bfcl",
}  # fmt: skip
_COLUMNS = (
    "id", "item", "question", "choices", "answer_index", "answer", "final_answer", "entry_point", "tests", "subject",
    "language", "worked", "instructions", "starter",
)  # fmt: skip


class SuiteError(ValueError):
    """A suite cannot be asked. The message names the key of the recipe and what to do."""


@dataclass(frozen=True)
class Suite:
    """One task file. `file` has all its keys."""

    name: str
    file: Mapping[str, Any]

    @classmethod
    @functools.cache
    def named(cls, name: str) -> Suite:
        """The suite with this name."""
        return cls(name, yaml.safe_load((TASKS / f"{_FORMS.get(name, name)}.yaml").read_text("utf-8")))

    @property
    def grade(self) -> str | None:
        """How written answers are graded; None for choices that are compared by their likelihood."""
        return self.file.get("grade")

    def conversation(self, item: Mapping[str, Any]) -> tuple[str | tuple[Message, ...], list[dict[str, Any]]]:
        """What a chat model is asked: a text or the messages of the item, and the tools that it may call. Raises
        `SuiteError` for a suite that asks no chat models."""
        text = self.chat_text(item)
        messages = from_json(item["messages"]) if item["messages"] else text
        return messages, tools_from_json(item["tools"])

    def chat_text(self, item: Mapping[str, Any]) -> str:
        """The text that a chat model is asked. Raises `SuiteError` for a suite without such a text."""
        from jinja2.sandbox import SandboxedEnvironment

        if "chat" not in self.file:
            raise SuiteError(
                f"the suite {self.name} has no text for chats: name it in evaluate.tasks, not in evaluate.chat_tasks"
            )
        return SandboxedEnvironment(keep_trailing_newline=True).from_string(self.file["chat"]).render(**item)


@dataclass(frozen=True)
class Group:
    """Items of one suite that share their worked examples. `key` tells the groups of a suite apart ("" for one)."""

    suite: Suite
    key: str
    scored: pl.DataFrame
    examples: pl.DataFrame

    @property
    def task(self) -> str:
        """The name of the group as a task of the harness."""
        return f"{self.suite.name}/{self.key}" if self.key else self.suite.name

    def config(self) -> dict[str, Any]:
        """The task of the harness that asks these items. Raises `SuiteError` for a suite of chat models alone."""
        import datasets

        file, group = self.suite.file, self.key
        if "doc_to_text" not in file:
            raise SuiteError(
                f"the suite {self.suite.name} asks chat models alone: name it in evaluate.chat_tasks, not in "
                "evaluate.tasks"
            )
        documents = {
            name: datasets.Dataset.from_list(rows.select(_COLUMNS).to_dicts())
            for name, rows in (("test", self.scored), ("shots", self.examples))
        }
        own = {"by", "metrics", "until", "grade", "completes", "fenced", "imports", "chat", "description"}
        config = {key: value for key, value in file.items() if key not in own}
        config |= {
            "task": self.task,
            "test_split": "test",
            "fewshot_split": "shots",
            "fewshot_config": {"sampler": "first_n"},
            "num_fewshot": len(self.examples),
            "custom_dataset": lambda **_: documents,
            "metric_list": [{"metric": metric} for metric in file.get("metrics", ("bypass",))],
        }
        if description := file.get("description"):
            config["description"] = description.replace("group", repr(group))
        if "until" in file:
            config["generation_kwargs"] = {"until": list(file["until"]), "do_sample": False}
        return config


def groups(name: str, items: pl.DataFrame, shots: int, max_items: int | None) -> Iterator[Group]:
    """The items of a suite by group, with `shots` worked examples each, in the order of the file. Of every group the
    first `max_items` are scored, or all.

    Raises `SuiteError` for a suite without items, and where the worked examples leave no item, or are too few.
    """
    suite, own = Suite.named(name), items.filter(pl.col("benchmark") == name).sort("position")
    if own.is_empty():
        raise SuiteError(
            f"there are no items of {name}: bring the file {name}.jsonl into the folder that evaluate.benchmarks "
            "names, or leave the suite out of evaluate.tasks and evaluate.chat_tasks"
        )
    by = suite.file.get("by")
    keys = own[by].fill_null("").unique(maintain_order=True).to_list() if by else [""]
    for key in keys:
        group = own.filter(pl.col(by).fill_null("") == key) if by and key else own
        developed = items.filter(pl.col("benchmark") == f"{name}_dev").sort("position")
        if by and key:
            developed = developed.filter(pl.col(by) == key)
        scored, examples = split(group, developed, shots, max_items)
        yield Group(suite, key, scored, examples)


def split(
    items: pl.DataFrame, developed: pl.DataFrame, shots: int, max_items: int | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split the items of a group into (items to score, worked examples). The first of `developed` are the examples; if
    there are none, the last of the items.

    Raises `SuiteError` when no item is left to score, or `developed` has too few.
    """
    if not developed.is_empty():
        if len(developed) < shots:
            raise SuiteError(f"{shots} worked examples are wanted of {len(developed)}: lower evaluate.tasks.shots")
        return items.head(max_items or len(items)), developed.head(shots)
    if shots >= len(items):
        raise SuiteError(
            f"{shots} worked examples leave nothing to score of {len(items)} items: lower evaluate.tasks.shots or "
            "bring more items"
        )
    return items.head(len(items) - shots).head(max_items or len(items)), items.tail(shots)
