"""Diverse QA (Nemotron-CC §2.4): questions of several kinds and their answers, appended to the text they are about.

A language model writes question/answer pairs about each segment of a document. A training sample is the segment
followed by some of the pairs, so that every question comes after the text that answers it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemotron_assets.generation.answers import ends_abruptly, line_pattern, literal_pattern, strip_markdown
from nemotron_assets.generation.asking import CountTokens, Generate, Tally, answered, cut_off
from nemotron_assets.generation.degenerate import echo, loop
from nemotron_assets.recipe.web.synthetic import DiverseQa
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Batches, Reject
from nemotron_assets.web.synthetic.passages import Passages, Segment, passages, room
from nemotron_assets.web.synthetic.prompts import DIVERSE_QA
from nemotron_assets.web.synthetic.tables import DIVERSE_QA as TABLE
from resources.generations import Completion, OutputFormat, Request, Sampling

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.generation.writing import Writer

# Possessive quantifiers (*+): a run of blanks is never divided in several ways, which takes quadratic time.
_QUESTION = re.compile(r"[ \t]*+(?:[-*•]|\d++[.)])?+[ \t]*+Question[ \t]*+\d*+[ \t]*+:[ \t]*+(.*)", re.I)
_ANSWER = re.compile(r"[ \t]*+(?:[-*•][ \t]*+)?+Answer[ \t]*+\d*+[ \t]*+:[ \t]*+(.*)", re.I)


@dataclass(frozen=True)
class Sample:
    """A training sample: `text` is a segment with its question/answer pairs, `tokens` is the length of the whole
    text."""

    text: str
    questions: int
    tokens: int


def request(recipe: DiverseQa, passage: str, parents: tuple[str, ...] = ()) -> Request:
    """The request for pairs about one passage."""
    messages = DIVERSE_QA.messages(passage, questions=recipe.max_questions)
    sampling = Sampling(recipe.temperature, recipe.top_p, recipe.max_output_tokens)
    return Request(DIVERSE_QA.name, messages, sampling, output_format(recipe), parents=parents)


def output_format(recipe: DiverseQa) -> OutputFormat:
    """The grammar of an answer: the header line, then one to `max_questions` pairs of bounded length."""
    question, answer = line_pattern(8, recipe.max_question_characters), line_pattern(1, recipe.max_answer_characters)
    pair = rf"\n- Question: {question}\n  Answer: {answer}"
    return OutputFormat("regex", rf"{literal_pattern(DIVERSE_QA.marker)}({pair}){{1,{recipe.max_questions}}}")


def parse(answer: str, recipe: DiverseQa) -> tuple[list[tuple[str, str]], str]:
    """(the question/answer pairs of an answer, ""), or ([], the cause: "truncated", "degenerate" or "unparsable").

    Markdown and repeated questions are removed. A pair that the grammar's limit cut in the middle of a sentence is left
    out, and so is a pair that repeats the form ("The question:") or is a loop.
    """
    pairs: dict[str, tuple[str, str]] = {}
    question, why = "", "unparsable"
    for line in strip_markdown(answer).split("\n"):
        if asked := _QUESTION.match(line):
            question = asked[1].strip()
        elif question and (answered := _ANSWER.match(line)):
            reply = answered[1].strip()
            if ends_abruptly(question, recipe.max_question_characters) or ends_abruptly(
                reply, recipe.max_answer_characters
            ):
                why = "truncated"
            elif any(echo(part, DIVERSE_QA.task) or loop(part) for part in (question, reply)):
                why = "degenerate"
            elif reply:
                pairs.setdefault(question.casefold(), (question, reply))
            question = ""
        elif question and line.strip():  # options of a multiple-choice question
            question = f"{question} {line.strip()}"
    found = list(pairs.values())[: recipe.max_questions]
    return found, "" if found else why


def choose_pairs(pairs: list[tuple[str, str]], segment: Segment, recipe: DiverseQa) -> list[tuple[str, str]]:
    """Shuffle the pairs and keep randint(1, max(1, floor(10 * tokens / 150))) of them. Every run chooses the same."""
    draw = random.Random(f"{recipe.seed}:{segment.document}:{segment.number}")
    pairs = draw.sample(pairs, len(pairs))
    return pairs[: draw.randint(1, max(1, 10 * segment.tokens // recipe.tokens_per_ten_pairs))]


def make_sample(segment: Segment, completion: Completion, recipe: DiverseQa, count: CountTokens) -> Sample | Reject:
    """The training sample of a completion, or a reject with its cause."""

    def reject(cause: str, detail: str) -> Reject:
        return Reject(completion.id, cause, f"segment {segment.number} of document {segment.document}: {detail}")

    if why := cut_off(completion, recipe.max_output_tokens):
        return reject("truncated", why)
    pairs, cause = parse(completion.text, recipe)
    if cause:
        return reject(cause, f"no complete pair in: {completion.text[:300]!r}")
    kept = choose_pairs(pairs, segment, recipe)
    text = "\n\n".join([segment.text, *(f"Question: {question}\nAnswer: {answer}" for question, answer in kept)])
    tokens = count([text])[0]
    if tokens < recipe.min_tokens_after:
        return reject("too_short", f"{tokens} tokens of at least {recipe.min_tokens_after}")
    return Sample(text, len(kept), tokens)


def write(curated: pl.LazyFrame, recipe: DiverseQa, writer: Writer) -> tuple[Batches, dict[str, Tally]]:
    """Have the language model write pairs about curated documents: (rows and rejects, counts by name of the prompt)."""
    name, tally = DIVERSE_QA.name, Tally()
    rooms = {name: room(name, recipe, writer.prompt_tokens(request(recipe, "")))}
    chosen = passages(curated, {name: recipe}, rooms, writer.count)
    batches = writer.write(
        TABLE,
        lambda reject: rows(
            chosen, recipe, generator=writer.name, count=writer.count, generate=writer.ask, reject=reject, tally=tally
        ),
    )
    return batches, {name: tally}


def rows(
    passages: Iterable[Passages],
    recipe: DiverseQa,
    *,
    generator: str,
    count: CountTokens,
    generate: Generate,
    reject: Callable[[Reject], None],
    tally: Tally,
) -> Iterator[dict]:
    """Rows of `web.diverse_qa`, one per segment. Generations without a usable answer go to `reject`."""
    jobs = ((found, [request(recipe, part.text, (part.document,)) for part in found.segments]) for found in passages)
    for found, completions in answered(jobs, generate):
        tally.answers(completions)
        for part, completion in zip(found.segments, completions, strict=True):
            made = make_sample(part, completion, recipe, count)
            if isinstance(made, Reject):
                tally.rejected[made.cause] += 1
                reject(made)
                continue
            tally.row(made.text, made.tokens)
            yield {
                "id": row_id(TABLE.full_name, part.document, part.number),
                "parents": [part.document],
                "snapshot": found.document["snapshot"],
                "text": made.text,
                "question_count": made.questions,
                "prompt": DIVERSE_QA.name,
                "generator": generator,
                "generation_id": completion.id,
                "language": found.document["language"],
                "tokens": made.tokens,
            }
