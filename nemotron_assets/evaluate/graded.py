"""Grades written answers to benchmark items: mathematics, choices, code in the sandbox, instructions.

A thought is taken off before an answer is graded. An answer whose thought was never closed is wrong, whatever stands in
it: the model has not answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.results.result import ItemResult
from nemotron_assets.evaluate.suites import Suite, SuiteError

if TYPE_CHECKING:
    from nemotron_assets.grading.rewards import Reward, Rewards

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BOXED = re.compile(r"\\boxed\s*\{\s*(?:\\text(?:bf)?\s*\{)?\s*\(?([A-Z])\)?(?![A-Za-z])")
_STATED = re.compile(r"answer\s+is:?\s*\**\(?([A-Z])\)?(?![A-Za-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Written:
    """What a model wrote to an item. `chat`: it was asked in its chat template, `thinking`: and was to think."""

    suite: Suite
    item: Mapping[str, Any]
    text: str
    run: int = 0
    shots: int = 0
    chat: bool = False
    thinking: bool = False

    def answer(self) -> str | None:
        """The text that is graded, None if the thought was not closed."""
        from nemotron_assets.chat.parsing import CLOSE, parse

        if not self.chat:
            return self.text
        if self.thinking and CLOSE not in self.text:
            return None
        return parse(self.text, self.thinking).content

    def result(self, score: float) -> ItemResult:
        """The result with this score."""
        suffix = ("_thinking" if self.thinking else "_chat") if self.chat else ""
        return ItemResult(
            task=f"{self.suite.name}{suffix}",
            item=self.item["id"],
            metric="right",
            score=score,
            guessing=1 / len(self.item["choices"]) if self.item["choices"] else 0.0,
            shots=self.shots,
            run=self.run,
            answer=self.text,
        )


class Graded:
    """Grades answers with the verifiers of `rewards`. `log` is told which answers have no verdict."""

    def __init__(self, rewards: Rewards, log: Callable[[str], None]) -> None:
        self._rewards, self._log = rewards, log

    def results(self, written: Sequence[Written]) -> Iterator[ItemResult]:
        """The results of answers, in order. An answer whose grader fails has no result: it is neither right nor wrong.

        Raises `SuiteError` if no answer to a suite has a verdict, as code without a sandbox.
        """
        given = [(one, answer) for one in written if (answer := one.answer()) is not None]
        asked = [(place, *row) for place, (one, answer) in enumerate(given) if (row := _row(one, answer))]
        rewards = self._rewards.grade([(row, answer) for _, row, answer in asked])
        by_place = {place: reward for (place, _, _), reward in zip(asked, rewards, strict=True)}
        self._complain(given, by_place)
        scores = {
            id(one): by_place[place].value if place in by_place else _chosen(one, answer)
            for place, (one, answer) in enumerate(given)
        }
        for one in written:
            if (score := scores.get(id(one), 0.0)) is not None:
                yield one.result(score)

    def _complain(self, given: Sequence[tuple[Written, str]], rewards: Mapping[int, Reward]) -> None:
        failed: dict[str, list[str]] = {}
        for place, reward in rewards.items():
            if reward.value is None:
                failed.setdefault(given[place][0].suite.name, []).append(reward.error or "no reason")
        for name, reasons in failed.items():
            if len(reasons) == sum(given[place][0].suite.name == name for place in rewards):
                raise SuiteError(f"no answer to {name} could be graded: {reasons[0]}")
            self._log(f"{len(reasons)} answers to {name} have no verdict and are left out: {reasons[0]}")


def _row(one: Written, answer: str) -> tuple[dict[str, Any], str] | None:
    """A row as `Rewards` takes it, and the answer in the form that the verifier reads. None for choices."""
    item = one.item
    if one.suite.grade == "choice":
        return None
    if one.suite.grade == "math":
        return _asks("math", {}, item["final_answer"] or item["answer"]), answer
    if one.suite.grade == "instructions":
        return _asks("instruction", {"instructions": json.loads(item["instructions"])}), answer
    return _asks("code", {"language": "Python", "code": tests_of(item)}), program(one, answer)


def _asks(name: str, arguments: dict[str, Any], reference: str | None = None) -> dict[str, Any]:
    verifiers = json.dumps([{"name": name, "arguments": arguments}])
    return {"verifiers": verifiers, "reference": reference, "messages": "[]", "thinking": False}


def tests_of(item: Mapping[str, Any]) -> str:
    """The tests of a programming task. Those of HumanEval are a function that is given the function to test."""
    tests = "\n".join(item["tests"]).replace("\r", "")
    return f"{tests}\n\ncheck({item['entry_point']})\n" if item["entry_point"] else tests


def program(one: Written, answer: str) -> str:
    """The program of an answer, as a block of code. An answer without a chat template is code itself, and may continue
    the code of its prompt. The lines of the prompt before its function (imports, helpers) belong to every answer."""
    from nemotron_assets.generation.code_blocks import extract_code

    question = one.item["question"]
    if not one.chat:
        code = question + answer if one.suite.file.get("completes") else answer
    elif (found := extract_code(answer, "Python")) is None:
        return answer
    else:
        code = _before(question, one.item["entry_point"]) + found
    return f"```python\n{code}\n```"


def _before(question: str, entry_point: str | None) -> str:
    place = question.find(f"def {entry_point}(") if entry_point else -1
    return question[:place] if place > 0 else ""


def _chosen(one: Written, answer: str) -> float:
    """1 if an answer states the letter of the right choice, else 0: the last letter in a box or after "answer is"."""
    found = _BOXED.findall(answer) or _STATED.findall(answer)
    return float(bool(found) and found[-1].upper() == LETTERS[one.item["answer_index"]])
