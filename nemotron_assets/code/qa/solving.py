"""Makes problems with solutions out of snippets: asks the model twice, checks the code, and tries again.

A snippet is tried until a solution is accepted or the recipe's number of attempts is used up. Every attempt asks for
another problem, with another sample number. A snippet becomes one row of `code.qa`, or one quarantined row with the
cause of the last attempt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.code.decontamination import Items
from nemotron_assets.code.qa.prompts import problem_request, solution_request, template
from nemotron_assets.code.qa.tables import QA
from nemotron_assets.generation import code_blocks
from nemotron_assets.generation.answers import cut_sentence, ends_abruptly
from nemotron_assets.generation.asking import Tally, cut_off
from nemotron_assets.generation.degenerate import echo, loop
from nemotron_assets.grading.execution import NO_EXECUTION, Execution, Executor
from nemotron_assets.recipe.code.qa import CodeQa
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from resources.generations import Completion

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

#: Columns of `code.snippets` that are read.
READ = ("id", "language", "snippet", "content_hash", "origin_hash")
#: Why an attempt fails. The cause of the last attempt is the cause of the rejected snippet.
CAUSES = ("too_long", "truncated", "unparsable", "degenerate", "no_code", "syntax_error", "too_short", "duplicate",
          "contaminated", "fails_to_run")  # fmt: skip

_Snippet = dict[str, Any]


@dataclass(frozen=True)
class Attempt:
    """A problem and its solution. `cause` is "" if the solution is accepted; `solution` is None if the problem was
    rejected, so that its solution was not asked for."""

    problem: Completion
    solution: Completion | None
    cause: str = ""
    detail: str = ""
    code: str = ""
    execution: Execution = NO_EXECUTION


@dataclass
class Seen:
    """The accepted samples: hashes of their texts, and of their codes without comments and layout."""

    texts: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)

    def add(self, text: str, code: str) -> str:
        """Add a sample. Returns why it is a duplicate, or "" if it is new; a duplicate is not added."""
        text_hash, code_hash = content_hash(text), content_hash(code)
        if text_hash in self.texts:
            return "another sample has the same text"
        if code_hash in self.codes:
            return "another sample has the same code, apart from comments and layout"
        self.texts.add(text_hash)
        self.codes.add(code_hash)
        return ""


def text_of(problem: str, solution: str) -> str:
    """A problem and its solution as one text: prose and fenced code (Nano 2 §2.2.2)."""
    return f"{problem}\n\n{solution}"


def judge_problem(problem: Completion, recipe: CodeQa) -> Attempt | None:
    """A failed attempt if the solution of this problem should not be asked for, else None."""
    if why := cut_off(problem, recipe.max_problem_tokens):
        return Attempt(problem, None, "truncated", f"the problem: {why}")
    if "```" in problem.text or code_blocks.has_fence(problem.text):
        return Attempt(problem, None, "unparsable", f"the problem contains code: {problem.text[:200]!r}")
    if (length := len(problem.text.strip())) < recipe.min_problem_characters:
        needed = recipe.min_problem_characters
        return Attempt(problem, None, "too_short", f"the problem has {length} characters of at least {needed}")
    if problem_is_cut(problem.text, recipe):
        return Attempt(
            problem, None, "truncated", f"the problem: the grammar's limit cut it off: {problem.text[-80:]!r}"
        )
    if what := echo(problem.text, template()) or loop(problem.text):
        return Attempt(problem, None, "degenerate", f"the problem: {what}")
    return None


def problem_is_cut(problem: str, recipe: CodeQa) -> bool:
    """Whether the grammar's limit ended a line of a problem."""
    longest, problem = recipe.max_problem_line, problem.strip()
    if recipe.max_problem_lines == 1:
        return cut_sentence(problem, longest)
    return any(ends_abruptly(line, longest) for line in problem.split("\n"))


def explanation_is_cut(solution: str, recipe: CodeQa) -> bool:
    """Whether the grammar's limit ended a line of text before or after the code of a solution."""
    longest, text = recipe.max_explanation_line, re.sub(r"(?s)```.*?```", "", solution)
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    if recipe.grammar == "small":
        return any(cut_sentence(line, longest, ".:") for line in lines)
    return any(ends_abruptly(line, longest) for line in lines)


def judge_solution(language: str, problem: Completion, solution: Completion, recipe: CodeQa, items: Items) -> Attempt:
    """The attempt with the code of the solution, or with the cause why it failed. Duplicates are found later."""
    if why := cut_off(solution, recipe.max_solution_tokens):
        return Attempt(problem, solution, "truncated", why)
    if explanation_is_cut(solution.text, recipe):
        return Attempt(problem, solution, "truncated", f"the grammar's limit cut a line off: {solution.text[:200]!r}")
    code = code_blocks.extract_code(solution.text.strip(), language)  # stripped like the text of the row
    if code is None:
        return Attempt(problem, solution, "no_code", f"no closed block of {language} in {solution.text[:200]!r}")
    if len(code) < recipe.min_code_characters:
        needed = recipe.min_code_characters
        return Attempt(problem, solution, "too_short", f"the code has {len(code)} characters of at least {needed}")
    if why := code_blocks.syntax_problem(code, language):
        return Attempt(problem, solution, "syntax_error", f"{why}: {code[:200]!r}")
    if item := items.find(text_of(problem.text.strip(), solution.text.strip())):
        return Attempt(problem, solution, "contaminated", item)
    return Attempt(problem, solution, code=code)


@dataclass
class QuestionWriter:
    """Writes the rows of `code.qa` of one language. `tally` counts what became of the attempts."""

    language: str
    writer: Writer
    recipe: CodeQa
    items: Items
    executor: Executor
    tally: Tally = field(default_factory=Tally)
    _seen: Seen = field(default_factory=Seen)

    def rows(self, snippets: pl.LazyFrame, reject: Callable[[Reject], None]) -> Iterator[dict[str, Any]]:
        """Rows of `code.qa` for the snippets (columns `READ`) of the language. `reject` gets the snippets that give no
        row.

        The snippets are sorted by their hashes. Therefore every run keeps the same one of two equal samples.
        """
        chosen = snippets.filter(pl.col("language") == self.language).select(READ).sort("content_hash", "id")
        size = self.recipe.batch_snippets
        for frame in chosen.collect_batches(chunk_size=size, maintain_order=True, engine="streaming"):
            yield from self._batch(list(frame.iter_rows(named=True)), reject)

    def _batch(self, snippets: list[_Snippet], reject: Callable[[Reject], None]) -> Iterator[dict[str, Any]]:
        waiting = list(self._short_enough(snippets, reject))
        for number in range(self.recipe.attempts):
            failed = []
            for snippet, attempt in zip(waiting, self._attempts(waiting, number), strict=True):
                self.tally.answers([answer for answer in (attempt.problem, attempt.solution) if answer])
                attempt = self._without_duplicates(attempt)
                if not attempt.cause:
                    yield self._row(snippet, attempt, number)
                    continue
                self.tally.rejected[attempt.cause] += 1
                failed.append(snippet)
                if number + 1 == self.recipe.attempts:
                    detail = f"{self.language}, attempt {number + 1}: {attempt.detail}"
                    reject(Reject(snippet["id"], attempt.cause, detail))
            waiting = failed
            if not waiting:
                return

    def _short_enough(self, snippets: list[_Snippet], reject: Callable[[Reject], None]) -> Iterator[_Snippet]:
        """The snippets that fit into the model's window together with an answer; the others are rejected."""
        room = self.writer.window - self.recipe.max_problem_tokens
        for snippet, size in zip(snippets, self.writer.count([row["snippet"] for row in snippets]), strict=True):
            prompt = self.writer.prompt_tokens(problem_request(self.language, snippet["snippet"], self.recipe))
            if size > self.recipe.max_snippet_tokens or prompt > room:
                self.tally.rejected["too_long"] += 1
                limits = f"the snippet has {size} tokens of at most {self.recipe.max_snippet_tokens}"
                reject(Reject(snippet["id"], "too_long", f"{limits}, the prompt {prompt} of at most {room}"))
            else:
                yield snippet

    def _attempts(self, snippets: Sequence[_Snippet], number: int) -> list[Attempt]:
        """One attempt per snippet. All problems are asked for together, then all solutions; then the codes are run."""
        language, recipe = self.language, self.recipe
        asked = [problem_request(language, s["snippet"], recipe, number, (s["id"],)) for s in snippets]
        problems = list(self.writer.ask(asked))
        attempts = [judge_problem(problem, recipe) for problem in problems]
        good = [k for k, failed in enumerate(attempts) if failed is None]
        requests = [
            solution_request(language, problems[k].text.strip(), recipe, number, asked[k].parents) for k in good
        ]
        for k, solution in zip(good, self.writer.ask(requests), strict=True):
            attempts[k] = judge_solution(language, problems[k], solution, recipe, self.items)
        return self._executed(attempts)

    def _executed(self, attempts: list[Attempt]) -> list[Attempt]:
        """The attempts with the results of running their codes. Failing codes are rejected if the recipe says so."""
        good = [k for k, attempt in enumerate(attempts) if not attempt.cause]
        for k, execution in zip(good, self.executor([attempts[k].code for k in good]), strict=True):
            attempts[k] = replace(attempts[k], execution=execution)
            if self.executor.drops(execution):
                detail = f"{execution.outcome}: {execution.detail}"
                attempts[k] = replace(attempts[k], cause="fails_to_run", detail=detail)
        return attempts

    def _without_duplicates(self, attempt: Attempt) -> Attempt:
        """The attempt, failed if an earlier sample has the same text or code."""
        if attempt.cause:
            return attempt
        text = text_of(attempt.problem.text.strip(), attempt.solution.text.strip())
        why = self._seen.add(text, code_blocks.normalised(attempt.code, self.language))
        return replace(attempt, cause="duplicate", detail=why) if why else attempt

    def _row(self, snippet: _Snippet, attempt: Attempt, number: int) -> dict[str, Any]:
        problem, solution = attempt.problem.text.strip(), attempt.solution.text.strip()
        text = text_of(problem, solution)
        (tokens,) = self.writer.count([text])
        self.tally.row(text, tokens, segments=2)
        return {
            "id": row_id(QA.full_name, snippet["id"]),
            "parents": [snippet["id"]],
            "language": self.language,
            "problem": problem,
            "solution": solution,
            "code": attempt.code,
            "text": text,
            "attempt": number,
            "generator": self.writer.name,
            "generation_ids": [attempt.problem.id, attempt.solution.id],
            "tokens": tokens,
            "execution": attempt.execution.outcome,
            "execution_detail": attempt.execution.detail,
            "origin_hash": snippet["origin_hash"],
        }
