"""Grades written answers to benchmark items: mathematics, choices, texts, code in the sandbox, instructions, calls.

A thought is taken off before an answer is graded. An answer whose thought was never closed is wrong, whatever stands in
it: the model has not answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate import stated
from nemotron_assets.evaluate.results.result import ItemResult
from nemotron_assets.evaluate.suites import Suite, SuiteError

if TYPE_CHECKING:
    from nemotron_assets.grading.rewards import Reward, Rewards

_FUTURE = re.compile(r"^from __future__ import .*$", re.MULTILINE)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Calls the function of an answer with each input, a JSON value per line, and compares what it gives (LiveCodeBench).
_CALLING = """\
import json
_call = Solution().{name} if "Solution" in globals() else {name}
for _input, _output in json.loads({cases!r}):
    _said = _call(*map(json.loads, _input.split("\\n")))
    assert (list(_said) if isinstance(_said, tuple) else _said) == json.loads(_output)
"""


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

    def results(self, score: float, share: float) -> Iterator[ItemResult]:
        """The results with this score. Of a prompt with instructions, the `share` of them that were followed is a
        result too, with the number of instructions as its weight."""
        yield self._result("right", score)
        if self.suite.grade == "instructions":
            yield self._result("instructions", share, float(len(json.loads(self.item["instructions"]))))

    def _result(self, metric: str, score: float, weight: float = 1.0) -> ItemResult:
        suffix = ("_thinking" if self.thinking else "_chat") if self.chat else ""
        return ItemResult(
            task=f"{self.suite.name}{suffix}",
            item=self.item["id"],
            metric=metric,
            score=score,
            guessing=1 / len(self.item["choices"]) if self.item["choices"] else 0.0,
            weight=weight,
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
        asked = [(place, row) for place, (one, answer) in enumerate(given) for row in _rows(one, answer)]
        rewards: dict[int, list[Reward]] = {}
        for (place, _), reward in zip(asked, self._rewards.grade([row for _, row in asked]), strict=True):
            rewards.setdefault(place, []).append(reward)
        self._complain(given, rewards)
        scores = {id(one): _score(one, answer, rewards.get(place)) for place, (one, answer) in enumerate(given)}
        for one in written:
            if (score := scores.get(id(one), (0.0, 0.0))) is not None:
                yield from one.results(*score)

    def _complain(self, given: Sequence[tuple[Written, str]], rewards: Mapping[int, Sequence[Reward]]) -> None:
        failed: dict[str, list[str]] = {}
        for place, own in rewards.items():
            suite = given[place][0].suite
            if suite.grade != "short" and (without := [one for one in own if one.value is None]):
                failed.setdefault(suite.name, []).append(without[0].error or "no reason")
        for name, reasons in failed.items():
            if len(reasons) == sum(given[place][0].suite.name == name for place in rewards):
                raise SuiteError(f"no answer to {name} could be graded: {reasons[0]}")
            self._log(f"{len(reasons)} answers to {name} have no verdict and are left out: {reasons[0]}")


def _score(one: Written, answer: str, rewards: Sequence[Reward] | None) -> tuple[float, float] | None:
    """Whether an answer is right, and the share of its verifiers that say so; None if one of them has no verdict. A
    short text that is not the right one and cannot be compared as mathematics is wrong."""
    if one.suite.grade == "choice":
        score = float(stated.letter(answer) == LETTERS[one.item["answer_index"]])
    elif one.suite.grade == "calls":
        score = _called(one)
    elif one.suite.grade == "short":
        said = stated.short(answer)
        score = float(said is not None and stated.same(said, one.item["final_answer"]))
        score = max([score, *(reward.value or 0.0 for reward in rewards or ())])
    else:
        values = [reward.value for reward in rewards or ()]
        return None if not values or None in values else (min(values), sum(values) / len(values))
    return score, score


def _called(one: Written) -> float:
    """1 if the calls of an answer are right, else 0. A list of calls that is not well-formed stays text, and is
    wrong."""
    from nemotron_assets.chat.parsing import CALLS, parse
    from nemotron_assets.grading.calls import wrong_calls

    said = parse(one.text, one.thinking)
    if CALLS in said.content:
        return 0.0
    wanted, tools = json.loads(one.item["calls"]), json.loads(one.item["tools"])
    return float(wrong_calls(said.tool_calls, wanted, tools) is None)


def _rows(one: Written, answer: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Rows as `Rewards` takes them, each with the answer in the form that its verifier reads: one for every
    instruction of a prompt, none for what needs no verifier."""
    item, grade = one.item, one.suite.grade
    if grade == "math":
        yield _asks("math", {}, item["final_answer"] or item["answer"]), answer
    elif grade == "instructions":
        for instruction in json.loads(item["instructions"]):
            yield _asks("instruction", {"instructions": [instruction]}), answer
    elif grade == "code":
        yield _asks("code", {"language": "Python", **tests_of(item)}), program(one, answer)
    elif grade == "short" and (said := stated.short(answer)) and re.search(r"[\d\\]", item["final_answer"]):
        yield _asks("math", {}, item["final_answer"]), f"\\boxed{{{said}}}"


def _asks(name: str, arguments: dict[str, Any], reference: str | None = None) -> dict[str, Any]:
    verifiers = json.dumps([{"name": name, "arguments": arguments}])
    return {"verifiers": verifiers, "reference": reference, "messages": "[]", "thinking": False}


def tests_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """The tests of a programming task, as the verifier of code takes them. Those of HumanEval are a function that is
    given the function to test. Cases with the name of a function are calls of it, all others inputs of the program."""
    cases, name = [json.loads(case) for case in item["cases"] or ()], item["entry_point"]
    if cases and name:
        return {"code": _CALLING.format(name=name, cases=json.dumps(cases))}
    if cases:
        return {"cases": cases}
    tests = "\n".join(item["tests"]).replace("\r", "")
    return {"code": f"{tests}\n\ncheck({name})\n" if name else tests}


def program(one: Written, answer: str) -> str:
    """The program of an answer, as a block of code. An answer without a chat template is code itself, and may continue
    the code of its prompt; then the lines of the prompt before its function (imports, helpers) belong to every answer.
    """
    from nemotron_assets.generation.code_blocks import extract_code

    question, file = one.item["question"], one.suite.file
    completes, imports = file.get("completes"), file.get("imports", "")
    if not one.chat and not file.get("fenced"):
        code = question + answer if completes else answer
    elif (found := extract_code(answer, "Python")) is None:
        return answer
    else:
        code = (_before(question, one.item["entry_point"]) if completes else "") + found
    future = "".join(f"{line}\n" for line in _FUTURE.findall(code))  # has to stand before all other imports
    return f"```python\n{future}{imports}{_FUTURE.sub('', code)}\n```"


def _before(question: str, entry_point: str | None) -> str:
    place = question.find(f"def {entry_point}(") if entry_point else -1
    return question[:place] if place > 0 else ""
