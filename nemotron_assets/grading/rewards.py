"""The reward of an answer: the verdicts of the verifiers that its prompt names, all of them programs.

    with Rewards(recipe.grading) as rewards:
        for reward in rewards.grade([(row_of_align_prompts, completion), ...]):
            print(reward.value, reward.by, reward.error)

An answer earns 1 if every verifier finds it right, and 0 if one of them finds it wrong. An answer that is too long, too
deep or too late for a verifier is wrong: a policy gains nothing by it. A verifier that itself fails has no verdict;
then the reward has no value, and the answer must not be trained on. Whatever a completion holds, it is only read: no
model judges it, and code in it runs in the sandbox alone.

Verifiers, with their arguments:
 - exact {}: the answer is the prompt's reference, but for white space around and between words, and well-formed (see
   format) without calls
 - math {}: the final answer equals the reference as mathematics
 - procedural {task, config, seed, index}: the scorer of the reasoning-gym item gives 1.0
 - code {language, code, cases}: the fenced code passes assertions (`code`) and cases ([[stdin, stdout], ...])
 - instruction {instructions}: IFEval's checkers (see `instructions`)
 - tools {...}: the calls lead to the state that the task wants (see nemotron_assets/office)
 - format {}: the thought is closed exactly once and opens no call, and nothing else is malformed
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.parsing import CALLS, Parsed, parse
from nemotron_assets.grading.verdict import Verdict

if TYPE_CHECKING:
    from nemotron_assets.recipe.grading import Grading

#: Outcomes, the one that decides last.
_DECIDES = ("right", "error", "wrong")
#: Answers that are graded together: one process or sandbox serves many of them.
_TOGETHER = 256


@dataclass(frozen=True)
class Reward:
    """`value` is 1 or 0, or None with the reason in `error`. `by` has the verdict of each verifier by its name."""

    value: float | None
    by: dict[str, Verdict] = field(default_factory=dict)
    error: str | None = None

    def as_json(self) -> str:
        """The verdicts as a table stores them: {"exact": {"outcome": "wrong", "detail": "..."}}."""
        said = {name: {"outcome": one.outcome, "detail": one.detail} for name, one in self.by.items()}
        return json.dumps(said, ensure_ascii=False)


@dataclass(frozen=True)
class _Asked:
    """A question to one verifier: the arguments that the prompt gives it, the prompt's reference, and the answer."""

    arguments: dict[str, Any]
    reference: str | None
    answer: Parsed


class Rewards:
    """Grades completions with the verifiers that their prompts name. Use it as a context manager, in one thread; the
    processes of verifiers start when they are needed first."""

    def __init__(self, limits: Grading) -> None:
        self._limits = limits
        self._graders: dict[str, Any] = {}
        self._stack = contextlib.ExitStack()
        self._verifiers: dict[str, Callable[[Sequence[_Asked]], Iterable[Verdict]]] = {
            "exact": lambda asked: map(_exact, asked),
            "format": lambda asked: map(_format, asked),
            "math": self._math,
            "procedural": self._procedural,
            "code": self._code,
            "instruction": self._instruction,
            "tools": self._tools,
        }

    def __enter__(self) -> Rewards:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._graders.clear()
        self._stack.close()

    def grade(self, pairs: Iterable[tuple[Mapping[str, Any], str]]) -> Iterator[Reward]:
        """The rewards of pairs of (row of align.prompts, completion), in their order. A completion is what the model
        wrote after its prompt. A row may say in `thinking` whether the prompt asked for a thought; without it, the
        switches in its messages decide. It may say in `finished` that the completion was cut at its most tokens
        (false): then it is wrong, unread, because a policy that earns by cut answers learns to end none. Never raises
        because of a completion or a row."""
        waiting = iter(pairs)
        while batch := list(islice(waiting, _TOGETHER)):
            found: list[dict[str, Verdict]] = [{} for _ in batch]
            asked: dict[str, list[tuple[int, _Asked]]] = {}
            for place, (row, completion) in enumerate(batch):
                if not row.get("finished", True):
                    found[place]["end"] = Verdict("wrong", "end", "the answer was cut before its end")
                    continue
                try:
                    self._ask(place, row, completion, asked)
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    found[place]["prompt"] = Verdict("error", "prompt", f"the prompt cannot be read: {error!r:.300}")
            for name, questions in asked.items():
                verdicts = self._verdicts(name, [question for _, question in questions])
                for (place, _), verdict in zip(questions, verdicts, strict=True):
                    before = found[place].get(name, verdict)  # a prompt may name a verifier twice
                    found[place][name] = max(before, verdict, key=lambda one: _DECIDES.index(one.outcome))
            yield from map(_reward, found)

    def _ask(
        self, place: int, row: Mapping[str, Any], completion: str, asked: dict[str, list[tuple[int, _Asked]]]
    ) -> None:
        named = [(one["name"], one["arguments"]) for one in json.loads(row["verifiers"])]
        thinking = row.get("thinking")
        answer = parse(completion, thinks(json.loads(row["messages"])) if thinking is None else thinking)
        if not named:
            raise ValueError("it names no verifier")
        for name, arguments in named:
            asked.setdefault(name, []).append((place, _Asked(arguments, row["reference"], answer)))

    def _verdicts(self, name: str, asked: Sequence[_Asked]) -> list[Verdict]:
        """The verdicts of one verifier. An answer that is longer than the recipe allows is wrong, unread."""
        longest = self._limits.max_characters
        if (verifier := self._verifiers.get(name)) is None:
            return [
                Verdict("error", name, f"no verifier is called {name!r:.60}: use {', '.join(self._verifiers)}")
            ] * len(asked)
        short = [question for question in asked if len(question.answer.content) <= longest]
        try:
            given = iter(list(verifier(short)))
        except Exception as error:
            given = iter([Verdict("error", name, f"the verifier failed: {error!r:.400}")] * len(short))
        return [
            next(given)
            if len(question.answer.content) <= longest
            else Verdict("wrong", name, f"{len(question.answer.content):,} characters, {longest:,} allowed")
            for question in asked
        ]

    def _grader(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._graders:
            self._graders[name] = self._stack.enter_context(make())
        return self._graders[name]

    def _math(self, asked: Sequence[_Asked]) -> Iterable[Verdict]:
        from nemotron_assets.grading import maths

        grader = self._grader("math", lambda: maths.grader(self._limits, undecided="wrong"))
        return grader.grade([(one.answer.content, one.reference or "") for one in asked])

    def _procedural(self, asked: Sequence[_Asked]) -> Iterable[Verdict]:
        from nemotron_assets.grading.procedural import Item, ProceduralGrader

        grader = self._grader("procedural", lambda: ProceduralGrader(self._limits, undecided="wrong"))
        return grader.grade([(one.answer.content, Item(**one.arguments)) for one in asked])

    def _instruction(self, asked: Sequence[_Asked]) -> Iterable[Verdict]:
        from nemotron_assets.grading import instructions

        grader = self._grader("instruction", lambda: instructions.grader(self._limits, undecided="wrong"))
        return grader.grade([(one.answer.content, one.arguments["instructions"]) for one in asked])

    def _code(self, asked: Sequence[_Asked]) -> list[Verdict]:
        from nemotron_assets.grading.code import BY, Case, CodeGrader, CodeTests

        found: list[Verdict | None] = [None] * len(asked)
        by_language: dict[str, list[tuple[int, str, CodeTests]]] = {}
        for place, one in enumerate(asked):
            language, given = one.arguments.get("language", "Python"), one.arguments
            if (code := _code_of(one.answer.content, language)) is None:
                found[place] = Verdict("wrong", BY, f"the answer has no fenced {language} code")
                continue
            tests = CodeTests(given.get("code", ""), tuple(Case(*case) for case in given.get("cases", ())))
            by_language.setdefault(language, []).append((place, code, tests))
        for language, programs in by_language.items():
            grader = self._grader(
                f"code {language}", lambda language=language: CodeGrader(self._limits.code, language, late="wrong")
            )
            verdicts = grader.grade([(code, tests) for _, code, tests in programs])
            for (place, *_), verdict in zip(programs, verdicts, strict=True):
                found[place] = verdict
        return [verdict for verdict in found if verdict is not None]

    def _tools(self, asked: Sequence[_Asked]) -> Iterable[Verdict]:
        from nemotron_assets.office.verifying import judge

        for one in asked:
            outcome, detail = judge(one.arguments, one.answer.tool_calls, one.answer.problems)
            yield Verdict(outcome, "tools", detail)


def thinks(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the model is to think: the last /think or /no_think in a system's or user's text decides, as in the chat
    template; without either the model thinks."""
    said = "\n".join(one["content"] or "" for one in messages if one["role"] in ("system", "user"))
    said = said.replace("</think>", "")
    return said.rfind("/think") >= said.rfind("/no_think")


def _exact(asked: _Asked) -> Verdict:
    if asked.reference is None or not asked.reference.strip():
        return Verdict("error", "exact", "the prompt has no reference")
    if not (well_formed := _format(asked)).right:
        return Verdict("wrong", "exact", well_formed.detail)
    if asked.answer.tool_calls:
        return Verdict("wrong", "exact", "the answer calls tools")
    said = " ".join(asked.answer.content.split())
    if said == " ".join(asked.reference.split()):
        return Verdict("right", "exact")
    return Verdict("wrong", "exact", f"{said[:80]!r} is not {asked.reference[:80]!r}")


def _format(asked: _Asked) -> Verdict:
    if asked.answer.problems:
        return Verdict("wrong", "format", "; ".join(asked.answer.problems)[:300])
    if CALLS in (asked.answer.reasoning or ""):
        return Verdict("wrong", "format", f"{CALLS} stands in the thought")
    return Verdict("right", "format")


def _code_of(answer: str, language: str) -> str | None:
    from nemotron_assets.generation.code_blocks import FENCES, extract_code

    return extract_code(answer, language) if language in FENCES else None


def _reward(by: dict[str, Verdict]) -> Reward:
    """One wrong verdict decides, whatever else failed; without it, one error leaves the answer without a reward."""
    outcomes = {verdict.outcome for verdict in by.values()}
    if "wrong" in outcomes:
        return Reward(0.0, by)
    if "error" in outcomes:
        said = (f"{name}: {one.detail}" for name, one in by.items() if one.outcome == "error")
        return Reward(None, by, "; ".join(said)[:500])
    return Reward(1.0, by)
