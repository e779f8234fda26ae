"""From snippets to problems with solutions: asking twice, judging the code, trying again.

A snippet is tried until a solution is good or the recipe's attempts are used up; every attempt asks for another problem
with another sample number. What becomes of a snippet is one row, or one quarantined row that names the last cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.code.decontamination import Items
from nemotron_assets.code.qa import parsing
from nemotron_assets.code.qa.execution import NOTHING, Execution, Executor
from nemotron_assets.code.qa.prompts import problem_request, solution_request
from nemotron_assets.code.qa.tables import QA
from nemotron_assets.generation.answers import ends_abruptly
from nemotron_assets.generation.asking import Tally, cut_off
from nemotron_assets.recipe.code.qa import CodeQa
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Reject
from resources.generations import Completion

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

#: What is read of `code.snippets`.
READ = ("id", "language", "snippet", "content_hash", "origin_hash")
#: Why an attempt, and with the last one a snippet, gives no sample.
CAUSES = ("too_long", "truncated", "unparsable", "no_code", "syntax_error", "too_short", "duplicate", "contaminated",
          "fails_to_run")  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """A problem and what was answered to it; without `solution` it was not asked about."""

    problem: Completion
    solution: Completion | None
    cause: str = ""
    detail: str = ""
    code: str = ""
    execution: Execution = NOTHING


@dataclass
class Seen:
    """Samples that are in already: hashes of their texts and of their normalised codes."""

    texts: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=set)

    def duplicate(self, text: str, code: str) -> str:
        """Which of both is there already, or ""; what is new is remembered."""
        exact, normal = content_hash(text), content_hash(code)
        why = "the text is that of another sample" if exact in self.texts else ""
        why = why or ("but for comments and layout, the code is that of another sample" if normal in self.codes else "")
        if not why:
            self.texts.add(exact)
            self.codes.add(normal)
        return why


def text_of(problem: str, solution: str) -> str:
    """Problem and answer as one text (Nano 2 §2.2.2): prose and fenced code."""
    return f"{problem}\n\n{solution}"


def judged(language: str, problem: Completion, solution: Completion, recipe: CodeQa, items: Items) -> Attempt:
    """A solution with its code, or the cause why there is none. Duplicates are looked for later."""
    if why := cut_off(solution, recipe.max_solution_tokens):
        return Attempt(problem, solution, "truncated", why)
    code = parsing.fenced(solution.text.strip(), language)  # as it is in the row's text
    if code is None:
        return Attempt(problem, solution, "no_code", f"no closed block of {language} in {solution.text[:200]!r}")
    if len(code) < recipe.min_code_characters:
        return Attempt(problem, solution, "too_short", f"{len(code)} characters of code")
    if why := parsing.problem(code, language):
        return Attempt(problem, solution, "syntax_error", f"{why}: {code[:200]!r}")
    if item := items.find(text_of(problem.text.strip(), solution.text.strip())):
        return Attempt(problem, solution, "contaminated", item)
    return Attempt(problem, solution, code=code)


def unusable(problem: Completion, recipe: CodeQa) -> Attempt | None:
    """Why a problem is not asked about, or None."""
    if why := cut_off(problem, recipe.max_problem_tokens):
        return Attempt(problem, None, "truncated", f"the problem: {why}")
    if "```" in problem.text or parsing.has_fence(problem.text):
        return Attempt(problem, None, "unparsable", f"the problem has code in it: {problem.text[:200]!r}")
    if len(problem.text.strip()) < recipe.min_problem_characters:
        return Attempt(problem, None, "too_short", f"the problem has {len(problem.text.strip())} characters")
    if any(ends_abruptly(line, recipe.max_problem_line) for line in problem.text.split("\n")):
        return Attempt(problem, None, "truncated", "the problem: a line that the grammar ended")
    return None


def rows(
    snippets: pl.LazyFrame,
    language: str,
    writer: Writer,
    recipe: CodeQa,
    items: Items,
    reject: Callable[[Reject], None],
    tally: Tally,
    execute: Executor,
) -> Iterator[dict]:
    """Rows of `code.qa` for the snippets (`READ`) of one language; `reject` takes the snippets that are in none.

    Snippets in the order of their hashes, so that the same of two equal samples is kept in every run.
    """
    mine = snippets.filter(pl.col("language") == language).select(READ).sort("content_hash", "id")
    seen = Seen()
    for frame in mine.collect_batches(chunk_size=recipe.batch_snippets, maintain_order=True, engine="streaming"):
        yield from _batch(
            list(frame.iter_rows(named=True)), language, writer, recipe, items, reject, tally, seen, execute
        )


def _batch(
    batch: list[dict],
    language: str,
    writer: Writer,
    recipe: CodeQa,
    items: Items,
    reject: Callable[[Reject], None],
    tally: Tally,
    seen: Seen,
    execute: Executor,
) -> Iterator[dict]:
    waiting = []
    for snippet, size in zip(batch, writer.count([row["snippet"] for row in batch]), strict=True):
        asked = problem_request(language, snippet["snippet"], recipe)
        room = writer.window - recipe.max_problem_tokens
        if size > recipe.max_snippet_tokens or writer.prompt_tokens(asked) > room:
            tally.rejected["too_long"] += 1
            reject(Reject(snippet["id"], "too_long", f"{size} tokens of at most {recipe.max_snippet_tokens}"))
        else:
            waiting.append(snippet)
    for attempt in range(recipe.attempts):
        left = []
        made = _attempts(waiting, language, attempt, writer, recipe, items)
        for snippet, tried in zip(waiting, _executed(made, execute), strict=True):
            tally.answers([answer for answer in (tried.problem, tried.solution) if answer])
            problem, code = tried.problem.text.strip(), tried.code
            solution = tried.solution.text.strip() if tried.solution else ""
            cause, detail = tried.cause, tried.detail
            if not cause and (detail := seen.duplicate(text_of(problem, solution), parsing.normalised(code, language))):
                cause = "duplicate"
            if cause:
                tally.rejected[cause] += 1
                left.append(snippet)
                if attempt + 1 == recipe.attempts:
                    reject(Reject(snippet["id"], cause, f"{language}, attempt {attempt + 1}: {detail}"))
                continue
            text = text_of(problem, solution)
            (tokens,) = writer.count([text])
            tally.row(text, tokens, segments=2)
            yield {
                "id": row_id(QA.full_name, snippet["id"]),
                "parents": [snippet["id"]],
                "language": language,
                "problem": problem,
                "solution": solution,
                "code": code,
                "text": text,
                "attempt": attempt,
                "generator": writer.name,
                "generation_ids": [tried.problem.id, tried.solution.id],
                "tokens": tokens,
                "execution": tried.execution.outcome,
                "execution_detail": tried.execution.detail,
                "origin_hash": snippet["origin_hash"],
            }
        waiting = left
        if not waiting:
            return


def _attempts(
    snippets: Iterable[dict], language: str, attempt: int, writer: Writer, recipe: CodeQa, items: Items
) -> list[Attempt]:
    """One attempt per snippet: all problems are asked for together, then all solutions."""
    asked = [problem_request(language, s["snippet"], recipe, attempt, (s["id"],)) for s in snippets]
    problems = list(writer.ask(asked))
    tried = [unusable(problem, recipe) for problem in problems]
    good = [k for k, failed in enumerate(tried) if failed is None]
    requests = [solution_request(language, problems[k].text.strip(), recipe, attempt, asked[k].parents) for k in good]
    for k, solution in zip(good, writer.ask(requests), strict=True):
        tried[k] = judged(language, problems[k], solution, recipe, items)
    return tried


def _executed(made: list[Attempt], execute: Executor) -> list[Attempt]:
    """The attempts, the good ones run and perhaps dropped for it."""
    good = [k for k, tried in enumerate(made) if not tried.cause]
    for k, execution in zip(good, execute([made[k].code for k in good]), strict=True):
        made[k] = replace(made[k], execution=execution)
        if execute.bad(execution):
            made[k] = replace(made[k], cause="fails_to_run", detail=f"{execution.outcome}: {execution.detail}")
    return made
