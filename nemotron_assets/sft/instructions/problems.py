"""Problems of mathematics: from seeds with known answers, and written about pages of the mathematics corpus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.answers import ended_pattern
from nemotron_assets.generation.asking import answered
from nemotron_assets.recipe.sft.instructions import MathSft
from nemotron_assets.sft.answers import Fault, cut_question, read
from nemotron_assets.sft.choosing import Lowest
from nemotron_assets.sft.rows import Origin, of_seeds
from nemotron_assets.sft.solving import Question, fitting, request
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.table.ids import row_id
from resources.generations import Request

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

PAGES = "math.nemotron_cc_math"

#: An answer to a question with options that is one number: "$31", "-2", "3/28", "0.5", "1,000".
_NUMBER = re.compile(r"\$?\s*([-+]?\d[\d,]*(?:\.\d+)?(?:\s*/\s*\d+)?)\s*%?")
#: Questions that cannot be answered without their options.
_NEEDS_OPTIONS = re.compile(r"\b(?:which (?:one )?of (?:the following|these)|following|statement 1)\b", re.I)
_MARK = "Problem:"
#: What a problem asks with.
_ASKS = re.compile(
    r"\?|\b(?:find|compute|calculate|determine|evaluate|solve|simplify|express|derive|estimate|give|write)\b", re.I
)
_NEW = """\
Below is a text on mathematics. Write a problem that somebody who has learnt what the text teaches can solve.
- It must be complete: somebody who does not see the text can solve it.
- It has exactly one answer: a number or a short formula. It asks for no proof and no explanation.
- Write "Problem:" and the problem, and nothing else: no solution.

Text:
{text}"""


def known_answer(seed: dict[str, Any]) -> str | None:
    """The answer of a seed as mathematics; None if the seed is not a problem with one. Of a question with options only
    a number is an answer, and the question must be one that can be asked without its options."""
    if not seed["answer"] or not seed["question"]:
        return None
    if not seed["choices"]:
        return seed["answer"]
    found = _NUMBER.fullmatch(seed["answer"].strip())
    return found[1].replace(" ", "") if found and not _NEEDS_OPTIONS.search(seed["question"]) else None


def from_seeds(seeds: list[dict[str, Any]], recipe: MathSft) -> Iterator[Question]:
    """The seeds that are problems with known answers, at most as many as the recipe wants."""
    taken = 0
    for seed in seeds:
        topics, answer = recipe.seeds[seed["seed_set"]], known_answer(seed)
        if answer is None or (topics and seed["topic"] not in topics) or taken == recipe.max_seeds:
            continue
        taken += 1
        text = "\n\n".join(filter(None, (seed["text"], seed["question"])))
        yield Question(row_id("problem", seed["id"]), of_seeds(seed), text, truth=answer, more=seed["seed_set"])


def parse(text: str) -> str | Fault:
    """The problem in an answer, or why there is none."""
    if not text.startswith(_MARK):
        return Fault("unparsable", f"the answer does not begin with {_MARK!r}: {text[:200]!r}")
    problem = text[len(_MARK) :].strip()
    marks = (_MARK, "Solution:", "Answer:", "output:", "<think>", "\\boxed")
    if found := next((mark for mark in marks if mark in problem), ""):
        return Fault("unparsable", f"{found!r} in the problem: {problem[:200]!r}")
    if not _ASKS.search(problem):
        return Fault("unparsable", f"the problem asks nothing: {problem[:200]!r}")
    if len(problem) < 20:
        return Fault("too_short", f"the problem has {len(problem)} characters of at least 20")
    return problem


def pages_to_ask(pages: pl.LazyFrame, recipe: MathSft) -> Lowest:
    """The pages of `math.nemotron_cc_math` that problems are written about: those with the lowest hashes."""
    start = pl.col("text").str.slice(0, recipe.page_characters)
    return Lowest(pages.select("id", "origin_hash", start), recipe.max_pages, ("origin_hash", "id"))


def from_pages(pages: Iterable[dict[str, Any]], recipe: MathSft, writer: Writer, tally: Tally) -> Iterator[Question]:
    """Problems that the model writes about pages (rows with id, text and origin_hash), without known answers."""
    questions = (
        Question(row_id("problem", page["id"], writer.name), Origin((page["id"],), (PAGES,), page["origin_hash"]),
                 page["text"][: recipe.page_characters], more=PAGES)
        for page in pages
    )  # fmt: skip
    jobs = fitting(questions, lambda question: [_request(question, recipe)], writer, tally)
    for question, (completion,) in answered(jobs, writer.ask):
        tally.answered([completion])
        text = read(completion, recipe.writing)
        problem = text if isinstance(text, Fault) else parse(text)
        problem = problem if isinstance(problem, Fault) else cut_question(problem, recipe.writing) or problem
        if isinstance(problem, Fault):
            tally.refuse(completion, problem, f"page {question.origin.parents[0]}")
            continue
        yield Question(question.id, question.origin, problem, more=(PAGES, completion.id))


def _request(question: Question, recipe: MathSft) -> Request:
    line = ended_pattern("[A-Z]", 20, recipe.writing.max_line - 2)
    more = rf"(\n[^\s][^\n]{{0,{recipe.writing.max_line}}}){{0,{recipe.writing.max_lines - 1}}}"
    grammar = f"{_MARK} {line}{more if recipe.writing.max_lines > 1 else ''}"
    task = _NEW.format(text=question.text)
    return request("math_problem", task, recipe.writing, grammar, parents=question.origin.parents)
