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
from itertools import islice
from types import TracebackType
from typing import Any

from nemotron_assets.grading import gym
from nemotron_assets.grading.process import BoundedProcess, Failure
from nemotron_assets.grading.verdict import Undecided, Verdict
from nemotron_assets.recipe.grading import Grading

#: How the reason begins for which a task with this config is disqualified if it makes no items.
NO_ITEM = "it cannot make an item"

_PROBED = 2  # items of a task that junk answers are tried on
_COMPARED = 12  # items of a task that are made in two processes
_TOGETHER = 64  # items that the process is asked for at a time


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
    """An item with its question, the task's own answer, and what the task's scorer says about this answer."""

    item: Item
    question: str
    answer: str
    verdict: Verdict


@dataclass(frozen=True)
class NoItem:
    """An item that the task cannot make. `reason` says why."""

    item: Item
    reason: str


class ProceduralGrader:
    """Makes items and grades answers to them, in one bounded process. `undecided` is the outcome of an answer that
    takes too much time or memory, or at which the scorer raises. Use it as a context manager, in one thread:

    with ProceduralGrader(recipe.grading) as grader:
        made = list(grader.make(Item("gcd", "{}", 7, index) for index in range(10)))
        verdicts = list(grader.grade((one.answer, one.item) for one in made))
    """

    def __init__(self, limits: Grading, undecided: Undecided = "error") -> None:
        self._limits, self._undecided = limits, undecided
        self._disqualified: dict[tuple[str, str], str] = {}
        self._process, self._other = (BoundedProcess(gym.load, gym.reply, limits) for _ in range(2))

    def __enter__(self) -> ProceduralGrader:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the processes. They start again when they are needed."""
        self._process.close()
        self._other.close()

    def make(self, items: Iterable[Item]) -> Iterator[MadeItem | NoItem]:
        """The questions and answers of items, in order."""
        return self._make(items, self._process)

    def _make(self, items: Iterable[Item], process: BoundedProcess) -> Iterator[MadeItem | NoItem]:
        waiting = iter(items)
        while batch := list(islice(waiting, _TOGETHER)):
            (replies,) = process.map([{"make": [asdict(item) for item in batch]}])
            if isinstance(replies, Failure):  # the process was lost at one of them
                replies = process.map({"make": [asdict(item)]} for item in batch)
                replies = [reply if isinstance(reply, Failure) else reply[0] for reply in replies]
            yield from map(_made, batch, replies)

    def grade(self, pairs: Iterable[tuple[str, Item]]) -> Iterator[Verdict]:
        """The verdicts about pairs of (answer, item), in their order and as they come."""
        waiting = iter(pairs)
        while batch := list(islice(waiting, _TOGETHER)):
            refused = [self._refused(answer, item) for answer, item in batch]
            asked = (
                {"judge": asdict(item), "answer": answer}
                for (answer, item), reason in zip(batch, refused, strict=True)
                if not reason
            )
            replies = self._process.map(list(asked))
            for (_, item), reason in zip(batch, refused, strict=True):
                yield (
                    Verdict("error", item.task, reason)
                    if reason
                    else _verdict(next(replies), item.task, self._undecided)
                )

    def _refused(self, answer: str, item: Item) -> str:
        """Why an answer is not graded; "" if it is."""
        if reason := self.disqualified(item.task, item.config):
            return f"the task {item.task} is disqualified: {reason}"
        if len(answer) > (longest := self._limits.max_characters):
            return f"{len(answer):,} characters, {longest:,} allowed (grading.max_characters)"
        return ""

    def disqualified(self, task: str, config: str = "{}") -> str:
        """Why a task with this config is disqualified; "" if it is not. The answer is found once."""
        if (task, config) not in self._disqualified:
            self._disqualified[task, config] = self._probe(task, config)
        return self._disqualified[task, config]

    def varies(self, task: str, config: str = "{}") -> str:
        """How the items of a task differ between two processes; "" if they are the same. Some tasks depend on the order
        of a set, which Python changes from process to process."""
        items = [Item(task, config, gym.PROBE_SEED, index) for index in range(_COMPARED)]
        pairs = zip(self.make(items), self._make(items, self._other), strict=True)
        if different := [one.item.index for one, other in pairs if one != other]:
            self._disqualified[task, config] = f"another process makes other items: {different}"
            return self._disqualified[task, config]
        return ""

    def faults(self) -> dict[str, str]:
        """The reasons of the disqualified tasks that were looked at: {task with its config: reason}."""
        return {f"{task} {config}": reason for (task, config), reason in self._disqualified.items() if reason}

    def _probe(self, task: str, config: str) -> str:
        made = list(self.make(Item(task, config, gym.PROBE_SEED, index) for index in range(_PROBED)))
        for one in made:
            if isinstance(one, NoItem):
                return f"{NO_ITEM}: {one.reason}"
            if not one.verdict.right:
                return f"the scorer finds the task's own answer {one.answer[:40]!r} {_said(one.verdict)}"
        tried = [(junk, one.item) for one in made for junk in gym.JUNK if junk != one.answer.strip()]
        tried += [(f"{one.answer} or nothing of the kind", one.item) for one in made]
        first, second = made[0].answer, made[1].answer
        if first != second:
            tried += [(answer, made[0].item) for answer in (f"{second} or {first}", f"{first} or {second}")]
        replies = self._process.map([{"judge": asdict(item), "answer": junk} for junk, item in tried])
        for (junk, _), reply in zip(tried, replies, strict=True):
            if (verdict := _verdict(reply, task)).outcome != "wrong":
                return f"the scorer finds {junk[:40]!r} {_said(verdict)}"
        return ""


def _made(item: Item, reply: Any | Failure) -> MadeItem | NoItem:
    if isinstance(reply, Failure):
        return NoItem(item, reply.reason)
    if "error" in reply:
        return NoItem(item, reply["error"])
    return MadeItem(item, reply["question"], reply["answer"], _verdict(reply["judgement"], item.task))


def _verdict(reply: Any | Failure, task: str, undecided: Undecided = "error") -> Verdict:
    if isinstance(reply, Failure):
        return Verdict(undecided if reply.by_question else "error", task, reply.reason)
    outcome, detail = reply
    return Verdict(outcome, task, detail)


def _said(verdict: Verdict) -> str:
    return f"{verdict.outcome} ({verdict.detail})" if verdict.detail else verdict.outcome
