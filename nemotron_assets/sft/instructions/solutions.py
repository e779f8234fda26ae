"""Solutions of problems of mathematics, and what decides about each: a known answer, or the vote of all samples."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nemotron_assets.generation.answers import line_pattern
from nemotron_assets.recipe.sft.instructions import MathSft
from nemotron_assets.sft.answers import Fault, Thought
from nemotron_assets.sft.instructions import problems
from nemotron_assets.sft.instructions.tables import MATH_SFT
from nemotron_assets.sft.options import key
from nemotron_assets.sft.rows import Maker
from nemotron_assets.sft.solving import Question, Sample, reasoned_pattern, request, solved
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.sft.voting import Outcome, majority
from nemotron_assets.table.ids import content_hash
from resources.generations import Request

if TYPE_CHECKING:
    from nemotron_assets.generation.several import Writers
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.grading.verdict import Verdict

_SOLVE = """\
Solve the problem below. First think step by step between <think> and </think>. Then write the solution, and end it \
with the final answer in a box: "The answer is \\boxed{{…}}." Use exactly one box.

Problem:
{problem}"""

_BOX = re.compile(r"\\boxed\s*\{")


class Grader(Protocol):
    """Compares pairs of (an answer, the known answer)."""

    def grade(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Verdict]: ...


def boxed(answer: str) -> str | None:
    """The content of the only box of an answer; None without a box, with several, or if its braces do not close."""
    found = list(_BOX.finditer(answer))
    if len(found) != 1:
        return None
    depth, start = 1, found[0].end()
    for at in range(start, len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[at], 0) if answer[at - 1] != "\\" else 0
        if not depth:
            return answer[start:at].strip() or None
    return None


class SolutionWriter:
    """Writes the rows of `sft.math_sft` with the recipe's models. `grader` compares answers with known ones."""

    def __init__(self, recipe: MathSft, writers: Writers, grader: Grader, tally: Tally) -> None:
        self._recipe, self._writers, self._grader, self._tally = recipe, writers, grader, tally

    def rows(self, seeds: list[dict[str, Any]], pages: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Rows for the problems of seeds, and for problems that each model writes about the pages."""
        size = self._recipe.batch_questions
        for _, writer in self._writers.each(self._recipe.generators):
            seen: set[str] = set()
            known, left = problems.from_seeds(seeds, self._recipe), iter(pages)
            while batch := list(itertools.islice(known, size)):
                yield from self._tally.counted(self._batch(_once(batch, seen), writer))
            while some := list(itertools.islice(left, size)):
                batch = _once(problems.from_pages(some, self._recipe, writer, self._tally), seen)
                yield from self._tally.counted(self._batch(batch, writer))

    def _batch(self, batch: list[Question], writer: Writer) -> Iterator[dict[str, Any]]:
        limits, vote = self._recipe.solving, self._recipe.vote
        maker = Maker(MATH_SFT, "MATH", "stem-sft", writer.name, writer.count)
        found = list(solved(batch, writer, limits, vote.samples, self._request, self._understand, self._tally))
        verdicts = self._grader.grade(
            (sample.answer, question.truth)
            for question, samples in found
            if question.truth is not None
            for sample in samples
            if sample.key is not None
        )
        for question, samples in found:
            yield from self._of_problem(question, samples, verdicts, maker)

    def _request(self, question: Question, number: int) -> Request:
        limits = self._recipe.solving
        answer = rf"The answer is \\boxed\{{[-(\\0-9A-Za-z][^{{}}\n…]{{0,{self._recipe.max_answer - 1}}}\}}\."
        text = rf"({line_pattern(2, limits.max_line)}\n){{0,{limits.max_lines}}}" if limits.max_lines > 8 else ""
        task = _SOLVE.format(problem=question.text)
        grammar = reasoned_pattern(limits, text + answer)
        return request("math_solution", task, limits, grammar, sample=number, parents=question.origin.parents)

    def _understand(self, question: Question, number: int, said: Thought) -> tuple[str, Hashable, str] | Fault:
        final = boxed(said.answer)
        if final is None or "\n" in final or len(final) > self._recipe.max_answer or not any(map(str.isalnum, final)):
            return Fault("unparsable", f"not one box with a final answer: {said.answer[-200:]!r}")
        return said.answer, key(final), question.text

    def _of_problem(
        self, question: Question, samples: Sequence[Sample], verdicts: Iterator[Verdict], maker: Maker
    ) -> Iterator[dict[str, Any]]:
        """The rows of one problem: one per sample that can be used and repeats no sample before it."""
        groups = self._groups(samples) if question.truth is None else []
        vote = majority(groups, self._recipe.vote.min_share)
        source, *written = (question.more,) if isinstance(question.more, str) else question.more
        seen: set[tuple[str, str]] = set()
        for number, sample in enumerate(samples):
            if sample.key is None:
                continue
            if question.truth is not None:
                outcome = _graded(next(verdicts))
            elif vote.winner is None or number in vote.members:
                outcome = vote.outcome
            else:
                outcome = Outcome("failed", None, f"{vote.outcome.by} have another answer")
            if (sample.reasoning, sample.answer) in seen:
                self._tally.refuse(sample.completion, Fault("duplicate", "an earlier sample is the same"), question.id)
                continue
            seen.add((sample.reasoning, sample.answer))
            yield maker.row(
                (question.id, maker.generator, number),
                question.origin,
                prompt="math_solution",
                question=question.text,
                answer=sample.answer,
                reasoning=sample.reasoning,
                outcome=outcome,
                generation_ids=[*written, sample.completion.id],
                problem_id=question.id,
                problem_source=source,
                final_answer=boxed(sample.answer),
                known_answer=question.truth,
                sample=number,
            )

    def _groups(self, samples: Sequence[Sample]) -> list[Hashable | None]:
        """For every sample, the first of the answers that equal its own: "0.5" and "1/2" are one group."""
        first: dict[Hashable, Hashable] = {}
        answers = {sample.key: boxed(sample.answer) for sample in samples if sample.key is not None}
        for name, answer in answers.items():
            known = list(dict.fromkeys(first.values()))
            verdicts = self._grader.grade((f"\\boxed{{{answer}}}", answers[other]) for other in known)
            same = [other for other, verdict in zip(known, list(verdicts), strict=True) if verdict.right]
            first[name] = same[0] if same else name
        return [first.get(sample.key) for sample in samples]


def _graded(verdict: Verdict) -> Outcome:
    """The outcome of a comparison. A grader that fails says nothing about the answer, so the row is unverified."""
    if verdict.right:
        return Outcome("verified", verdict.by)
    if verdict.outcome == "wrong":
        return Outcome("failed", None, f"{verdict.by}: {verdict.detail or 'it is not the known answer'}")
    return Outcome("unverified", None, f"{verdict.by} gave no verdict: {verdict.detail}")


def _once(questions: Iterable[Question], seen: set[str]) -> list[Question]:
    """The problems whose hash is not in `seen`. The hashes of these are added to it."""
    kept = []
    for question in questions:
        if (name := content_hash(key(question.text))) not in seen:
            seen.add(name)
            kept.append(question)
    return kept
