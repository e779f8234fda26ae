"""Reasoned solutions of programming tasks, and what is checked of each: its form, its syntax, its tests."""

from __future__ import annotations

import itertools
import re
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl

from nemotron_assets.generation.answers import line_pattern
from nemotron_assets.generation.code_blocks import FENCES, extract_code, has_fence, normalised, syntax_problem
from nemotron_assets.generation.code_grammar import small_grammar
from nemotron_assets.recipe.sft.instructions import CodeSft
from nemotron_assets.sft.answers import Fault, Thought
from nemotron_assets.sft.choosing import Lowest
from nemotron_assets.sft.instructions.tables import CODE_SFT
from nemotron_assets.sft.rows import Maker, Origin, of_seeds
from nemotron_assets.sft.solving import Question, Sample, reasoned_pattern, request, solved
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.sft.voting import Outcome
from resources.generations import Request

if TYPE_CHECKING:
    from nemotron_assets.generation.several import Writers
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.grading.code import CodeGrader
    from nemotron_assets.grading.verdict import Verdict
    from resources.lakehouse import Reader

_SYSTEM = "You are an experienced programmer."
_SOLVE = """\
Solve the task below in {language}. First think about it in words between <think> and </think>: write no code there. \
Then explain the solution in a sentence, and give the complete code between a line "```{fence}" and a line "```".

Task:
{task}"""

#: A line of reasoning that is code and not prose: a definition, an import, a statement with its end.
_CODE_LINE = re.compile(
    r"^\s*(?:(?:async )?def \w+\(|class \w+[\w(), ]*[:{]\s*$|import \w[\w.]*\s*;?$|from [\w.]+ import \w|#include\b|"
    r"(?:public|private|static) \w+|(?:function|func|fn) \w+\s*\(|(?:const|let|var) \w+\s*=|return\b[^.]*;?\s*$|"
    r"(?:for|while|if|elif|else)\b.*[:{]\s*$|\w+(?:\[\w+\])? [-+*/]?= .*[\w)\]];?\s*$|.*[;{]\s*$|\s*\}\s*$)"
)


class ProgramGrader(Protocol):
    """Runs pairs of (code, its tests in Python)."""

    def __call__(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Verdict]: ...


@dataclass(frozen=True)
class Task:
    """What a programming task has beside its text."""

    source: str
    language: str
    tests: tuple[str, ...] = ()


def from_seeds(seeds: list[dict[str, Any]], recipe: CodeSft) -> Iterator[Question]:
    """Tasks of seeds, in Python, with their tests."""
    for seed in seeds:
        if seed["question"] and len(seed["question"]) <= recipe.max_task_characters:
            more = Task(seed["seed_set"], "Python", tuple(seed["tests"]))
            yield Question(seed["id"], of_seeds(seed), seed["question"], more=more)


def from_problems(rows: Iterable[dict[str, Any]], recipe: CodeSft) -> Iterator[Question]:
    """Problems of `code.qa`, which have no tests. They are in English; the row's language is a programming language."""
    for row in rows:
        if len(row["problem"]) <= recipe.max_task_characters:
            origin = Origin((row["id"],), ("code.qa",), row["origin_hash"])
            yield Question(row["id"], origin, row["problem"], more=Task("code.qa", row["language"]))


def problems_to_solve(qa: pl.LazyFrame, recipe: CodeSft) -> Lowest:
    """The problems of `code.qa` that are solved: those with the lowest ids, of the recipe's languages."""
    wanted = qa.filter(pl.col("language").is_in(list(recipe.languages)))
    return Lowest(wanted.select("id", "problem", "language", "origin_hash"), recipe.max_problems, ("id",))


def with_tests(grader: CodeGrader) -> ProgramGrader:
    """The grader of codes with assertions."""
    from nemotron_assets.grading.code import CodeTests

    return lambda pairs: grader.grade((code, CodeTests(tests)) for code, tests in pairs)


def not_parsing(rows: Reader) -> int:
    """The number of rows of `sft.code_sft` whose code is not that of their answer, or does not parse."""
    wrong, columns = 0, ("programming_language", "answer", "code", "reasoning")
    for batch in rows.batches(columns, 256):
        for row in batch.to_pylist():
            language = row["programming_language"]
            found = extract_code(row["answer"], language) != row["code"] or syntax_problem(row["code"], language)
            wrong += bool(found or code_in_reasoning(row["reasoning"] or ""))
    return wrong


def code_in_reasoning(reasoning: str) -> str:
    """The first piece of code in a text that should be prose; "" if there is none. A name in backticks is not code."""
    if "```" in reasoning or has_fence(reasoning):
        return "```"
    return next((line.strip() for line in reasoning.split("\n") if _CODE_LINE.match(line)), "")


class ProgramWriter:
    """Writes the rows of `sft.code_sft` with the recipe's models. `grade` runs codes with their tests."""

    def __init__(self, recipe: CodeSft, writers: Writers, grade: ProgramGrader, tally: Tally) -> None:
        self._recipe, self._writers, self._grade, self._tally = recipe, writers, grade, tally

    def rows(self, seeds: list[dict[str, Any]], problems: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Rows for the tasks of seeds and of `code.qa`."""
        for _, writer in self._writers.each(self._recipe.generators):
            tasks = itertools.chain(from_seeds(seeds, self._recipe), from_problems(problems, self._recipe))
            while batch := list(itertools.islice(tasks, self._recipe.batch_questions)):
                yield from self._tally.counted(self._batch(batch, writer))

    def _batch(self, batch: list[Question], writer: Writer) -> Iterator[dict[str, Any]]:
        maker = Maker(CODE_SFT, "Code", "code-sft", writer.name, writer.count)
        limits, number = self._recipe.solving, self._recipe.samples
        kept = []
        for question, samples in solved(batch, writer, limits, number, self._request, _understand, self._tally):
            kept += [(question, at, sample) for at, sample in self._different(question, samples)]
        tested = ((sample.asked, "\n".join(question.more.tests)) for question, _, sample in kept if question.more.tests)
        verdicts = self._grade(tested)
        for question, at, sample in kept:
            verdict = next(verdicts) if question.more.tests else None
            yield self._row(question, at, sample, _outcome(verdict), maker)

    def _different(self, question: Question, samples: list[Sample]) -> Iterator[tuple[int, Sample]]:
        """The usable samples of a task whose code differs from that of all before, apart from comments and layout."""
        seen: set[Hashable] = set()
        for number, sample in enumerate(samples):
            if sample.key is None:
                continue
            if sample.key in seen:
                self._tally.refuse(
                    sample.completion, Fault("duplicate", "an earlier sample has the same code"), question.id
                )
                continue
            seen.add(sample.key)
            yield number, sample

    def _request(self, question: Question, number: int) -> Request:
        language, limits = question.more.language, self._recipe.solving
        fence, line = FENCES[language][0], line_pattern(8, limits.max_line, "<")
        code = rf"([^`\n][^\n]*\n|\n){{1,{self._recipe.max_code_lines}}}"
        words = None
        if self._recipe.grammar == "small":
            # A weak model begins its thoughts with code, and repeats "return" as a name if it may not return at once.
            code = f"{small_grammar(language, self._recipe.max_code_lines, fewest=0)}\n"
            words = line = rf"[A-Z][^\n(){{}}=;:`<]{{8,{limits.max_line}}}"
        task = _SOLVE.format(language=language, fence=fence, task=question.text)
        escaped = fence.replace("+", r"\+")
        grammar = reasoned_pattern(limits, f"{line}\n\n```{escaped}\n{code}```", words)
        return request(
            "code_solution", task, limits, grammar, sample=number, parents=question.origin.parents, system=_SYSTEM
        )

    @staticmethod
    def _row(question: Question, number: int, sample: Sample, outcome: Outcome, maker: Maker) -> dict[str, Any]:
        return maker.row(
            (question.id, maker.generator, number),
            question.origin,
            prompt="code_solution",
            question=question.text,
            answer=sample.answer,
            reasoning=sample.reasoning,
            outcome=outcome,
            generation_ids=[sample.completion.id],
            task_source=question.more.source,
            programming_language=question.more.language,
            code=sample.asked,
            tests=list(question.more.tests),
            sample=number,
        )


def _understand(question: Question, number: int, said: Thought) -> tuple[str, Hashable, str] | Fault:
    """The answer, what makes its code equal to another one, and the code."""
    language = question.more.language
    if found := code_in_reasoning(said.reasoning):
        return Fault("code_in_reasoning", f"{found[:200]!r}")
    code = extract_code(said.answer, language)
    if code is None:
        return Fault("no_code", f"no closed block of {language} in {said.answer[:200]!r}")
    if why := syntax_problem(code, language):
        return Fault("syntax_error", f"{why}: {code[:200]!r}")
    return said.answer, normalised(code, language), code


def _outcome(verdict: Verdict | None) -> Outcome:
    if verdict is None:
        return Outcome("unverified", None, "the task has no tests")
    if verdict.right:
        return Outcome("verified", verdict.by)
    if verdict.outcome == "wrong":
        return Outcome("failed", None, f"{verdict.by}: {verdict.detail or 'the code does not pass its tests'}")
    return Outcome("unverified", None, f"{verdict.by} gave no verdict: {verdict.detail}")
