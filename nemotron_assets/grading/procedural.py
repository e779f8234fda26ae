"""Items of reasoning-gym tasks, and their scorers behind a strict wrapper.

Many scorers give part of a score to any sentence, some give all of it to junk, and some raise errors. Here only a score
of exactly 1.0 is right. A task is disqualified if its scorer raises an error, finds junk right, or does not find the
task's own answer right; `ProceduralGrader` tries that before it grades an answer to the task.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from nemotron_assets.grading import gym
from nemotron_assets.grading.process import BoundedProcess, Failure
from nemotron_assets.grading.verdict import Verdict
from nemotron_assets.recipe.grading import Grading

#: Items of a task that junk answers are tried on.
_PROBED = 2


def generator_name() -> str:
    """The program that makes the items, with its version: reasoning-gym 0.1.25."""
    return f"reasoning-gym {importlib.metadata.version('reasoning-gym')}"


@dataclass(frozen=True)
class Item:
    """Where an item comes from, which is all that is needed to make it again: the task, its config (JSON object with
    sorted keys), the seed, and the index."""

    task: str
    config: str
    seed: int
    index: int

    @staticmethod
    def config_of(values: Mapping[str, Any]) -> str:
        return json.dumps(dict(values), sort_keys=True)


@dataclass(frozen=True)
class MadeItem:
    """An item with its question and its own answer."""

    item: Item
    question: str
    answer: str


class ProceduralGrader:
    """Makes items and grades answers to them, in one bounded process. Use it as a context manager, in one thread:

    with ProceduralGrader(recipe.grading) as grader:
        made = list(grader.make(Item("gcd", "{}", 7, index) for index in range(10)))
        verdicts = list(grader.grade((one.answer, one.item) for one in made))
    """

    def __init__(self, limits: Grading) -> None:
        self._limits = limits
        self._disqualified: dict[tuple[str, str], str] = {}
        self._process = BoundedProcess(gym.load, gym.reply, limits)

    def __enter__(self) -> ProceduralGrader:
        self._process.__enter__()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.close()

    def make(self, items: Iterable[Item]) -> Iterator[MadeItem | Failure]:
        """The questions and answers of items, in order; a `Failure` for an item that the task cannot make."""
        kept = list(items)
        for item, reply in zip(kept, self._process.map({"item": asdict(item)} for item in kept), strict=True):
            yield reply if isinstance(reply, Failure) else MadeItem(item, **reply)

    def grade(self, pairs: Iterable[tuple[str, Item]]) -> Iterator[Verdict]:
        """The verdicts about pairs of (answer, item), in their order and as they come."""
        for answer, item in pairs:
            if reason := self.disqualified(item.task, item.config):
                yield Verdict("error", item.task, f"the task {item.task} is disqualified: {reason}")
            elif len(answer) > self._limits.max_characters:
                longest = f"{self._limits.max_characters:,} allowed (grading.max_characters)"
                yield Verdict("error", item.task, f"{len(answer):,} characters, {longest}")
            else:
                (reply,) = self._process.map([{"item": asdict(item), "answer": answer}])
                yield _verdict(reply, item.task)

    def disqualified(self, task: str, config: str = "{}") -> str:
        """Why a task with this config is disqualified; "" if it is not. The answer is found once."""
        if (task, config) not in self._disqualified:
            self._disqualified[task, config] = self._probe(task, config)
        return self._disqualified[task, config]

    def _probe(self, task: str, config: str) -> str:
        items = [Item(task, config, gym.PROBE_SEED, index) for index in range(_PROBED)]
        answers: list[tuple[str, Item]] = []
        for made in self.make(items):
            if isinstance(made, Failure):
                return f"it cannot make an item: {made.reason}"
            answers.append((made.answer, made.item))
        tried = [(junk, item) for answer, item in answers for junk in gym.JUNK if junk != answer.strip()]
        if answers[0][0] != answers[1][0]:
            tried.append((f"{answers[1][0]} or {answers[0][0]}", items[0]))
        asked = [{"item": asdict(item), "answer": answer} for answer, item in answers + tried]
        for number, reply in enumerate(self._process.map(asked)):
            verdict = _verdict(reply, task)
            answer = (answers + tried)[number][0]
            if verdict.outcome == "error":
                return f"the scorer fails on {answer[:40]!r}: {verdict.detail}"
            if verdict.right != (number < len(answers)):
                return f"the scorer finds {answer[:40]!r} {verdict.outcome}"
        return ""


def _verdict(reply: Any | Failure, task: str) -> Verdict:
    if isinstance(reply, Failure):
        return Verdict("error", task, reply.reason)
    outcome, detail = reply
    return Verdict(outcome, task, detail)
