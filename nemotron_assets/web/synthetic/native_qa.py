"""Diverse QA in the language of the text: questions about pages of Wikipedia in other languages (Nano 2 §2.2.2).

The published data has two kinds of Diverse QA in other languages: translations of English samples, and questions that
the model wrote in the language of an article. This is the second kind. Rules, limits and the form of an answer are
those of the English one (diverse_qa.py); the answer must in addition be in the article's language.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.asking import Tally, answered, cut_off
from nemotron_assets.generation.translation.languages import LABELS, NAMES
from nemotron_assets.generation.translation.refusals import refusal
from nemotron_assets.recipe.web import Web
from nemotron_assets.recipe.web.synthetic import DiverseQa, NativeQa
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Batches, Reject
from nemotron_assets.text.language import detect
from nemotron_assets.web.synthetic.diverse_qa import choose_pairs, output_format, parse
from nemotron_assets.web.synthetic.passages import Passages, Segment, passages, room
from nemotron_assets.web.synthetic.prompts import DIVERSE_QA, Prompt
from nemotron_assets.web.synthetic.tables import NATIVE_QA
from resources.generations import Completion, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

PROMPT = Prompt(
    "native_qa",
    marker=DIVERSE_QA.marker,
    task=f"""\
{DIVERSE_QA.task}
The passage is in {{language}}. Write the questions and the answers in {{language}}, too; only the first line and the \
words Question and Answer stay in English.""",
)
#: Why an answer is rejected, beside the causes of the English questions.
CAUSES = ("wrong_language", "refused")

#: Text -> (language, score from 0 to 1).
Detect = Callable[[str], tuple[str, float]]


def choose(documents: pl.LazyFrame, recipe: NativeQa) -> pl.LazyFrame:
    """The documents of `web.multilingual` that questions may be written about: those of the recipe's languages and
    hosts. In every language, those with the lowest content hashes are taken."""
    if recipe.max_documents == 0:
        return documents.head(0)
    hosts = "|".join(re.escape(host) for host in recipe.hosts)
    of_host = pl.col("url").str.contains(rf"(?i)^[a-z]+://(?:[a-z0-9-]+\.)*(?:{hosts})(?:[:/?#]|$)")
    return documents.filter(of_host & pl.col("language").is_in(list(recipe.languages)))


def write(documents: pl.LazyFrame, recipe: Web, writer: Writer) -> tuple[Batches, dict[str, Tally]]:
    """Have the model write pairs about documents that `choose` chose: (rows and rejects, counts by language)."""
    own, limits = recipe.native_qa, recipe.diverse_qa
    tallies = {language: Tally() for language in own.languages}
    detector = {"model": recipe.documents.language_model, "characters": recipe.documents.language_characters}
    judge = functools.partial(
        language_fault, detect=functools.partial(detect, **detector), min_score=recipe.translation.language_min_score
    )

    def rows(reject: Callable[[Reject], None]) -> Iterator[dict[str, Any]]:
        for language in own.languages:
            found = _passages(documents, language, own, limits, writer)
            yield from native_rows(found, limits, writer, judge, reject, tallies[language])

    return writer.write(NATIVE_QA, rows), tallies


def request(limits: DiverseQa, passage: str, language: str, parents: tuple[str, ...] = ()) -> Request:
    """The request for pairs about a passage in a language."""
    messages = PROMPT.messages(passage, questions=limits.max_questions, language=NAMES[language])
    sampling = Sampling(limits.temperature, limits.top_p, limits.max_output_tokens)
    return Request(PROMPT.name, messages, sampling, output_format(limits), parents=parents)


def _passages(
    documents: pl.LazyFrame, language: str, recipe: NativeQa, limits: DiverseQa, writer: Writer
) -> Iterator[Passages]:
    """The segments of the documents in a language. `passages` chooses documents by level, and these have none: the
    language takes its place."""
    own = limits.model_copy(update={"documents": {language: recipe.max_documents}})
    rooms = {PROMPT.name: room(PROMPT.name, own, writer.prompt_tokens(request(limits, "", language)))}
    return passages(documents.with_columns(level="language"), {PROMPT.name: own}, rooms, writer.count)


def native_rows(
    found: Iterable[Passages],
    limits: DiverseQa,
    writer: Writer,
    judge: Callable[[list[tuple[str, str]], str], tuple[str, str] | None],
    reject: Callable[[Reject], None],
    tally: Tally,
) -> Iterator[dict[str, Any]]:
    """Yield rows of `web.native_qa`, one per segment. Answers that cannot be used go to `reject`."""

    def jobs() -> Iterator[tuple[Passages, list[Request]]]:
        for passage in found:
            language = passage.document["language"]
            yield passage, [request(limits, part.text, language, (part.document,)) for part in passage.segments]

    for passage, completions in answered(jobs(), writer.ask):
        tally.answers(completions)
        for part, completion in zip(passage.segments, completions, strict=True):
            language = passage.document["language"]
            made = _pairs(part, completion, limits, language, judge)
            text = "" if isinstance(made, Reject) else with_pairs(part.text, made, language)
            tokens = writer.count([text])[0] if text else 0
            if text and tokens < limits.min_tokens_after:
                made = Reject(completion.id, "too_short", f"{tokens} tokens of at least {limits.min_tokens_after}")
            if isinstance(made, Reject):
                tally.rejected[made.cause] += 1
                reject(made)
                continue
            tally.row(text, tokens)
            yield {
                "id": row_id(NATIVE_QA.full_name, part.document, part.number),
                "parents": [part.document],
                "snapshot": passage.document["snapshot"],
                "text": text,
                "question_count": len(made),
                "prompt": PROMPT.name,
                "generator": writer.name,
                "generation_id": completion.id,
                "language": language,
                "tokens": tokens,
                "origin_hash": passage.document["origin_hash"],
            }


def with_pairs(segment: str, pairs: list[tuple[str, str]], language: str) -> str:
    """A segment followed by pairs, with the words for question and answer of its language."""
    asked, replied = LABELS[language]
    return "\n\n".join([segment, *(f"{asked}{question}\n{replied}{answer}" for question, answer in pairs)])


def _pairs(
    part: Segment,
    completion: Completion,
    limits: DiverseQa,
    language: str,
    judge: Callable[[list[tuple[str, str]], str], tuple[str, str] | None],
) -> list[tuple[str, str]] | Reject:
    """The pairs of an answer that are kept, or a reject with its cause."""

    def reject(cause: str, detail: str) -> Reject:
        return Reject(completion.id, cause, f"segment {part.number} of document {part.document}: {detail}")

    if why := cut_off(completion, limits.max_output_tokens):
        return reject("truncated", why)
    pairs, cause = parse(completion.text, limits)
    if cause:
        return reject(cause, f"no complete pair in: {completion.text[:300]!r}")
    if fault := judge(pairs, language):
        return reject(*fault)
    return choose_pairs(pairs, part, limits)


def language_fault(
    pairs: list[tuple[str, str]], language: str, *, detect: Detect, min_score: float
) -> tuple[str, str] | None:
    """(cause, detail) if the pairs are in another language, or one of the answers is a refusal."""
    for _, answer in pairs:
        if said := refusal("", answer, language):
            return "refused", f"an answer begins with {said!r}: {answer[:200]!r}"
    text = "\n".join(part for pair in pairs for part in pair)
    found, score = detect(text)
    if found != language or score < min_score:
        return "wrong_language", f"{found} {score:.2f}, not {language}: {text[:200]!r}"
    return None
