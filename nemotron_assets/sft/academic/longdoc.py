"""Appends questions and answers to long documents, so that a model must look back across the document (Nano 2 §2.6).

A document is cut into pieces. About some of them, chosen by a hash, the model writes one question and its answer. All
pairs follow the whole document, in the order of their pieces.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.asking import answered
from nemotron_assets.recipe.sft.academic import LongdocQa
from nemotron_assets.sft import answers
from nemotron_assets.sft.academic import prompts
from nemotron_assets.sft.academic.chunks import chunks
from nemotron_assets.sft.academic.prompts import Question
from nemotron_assets.sft.academic.questions import judged
from nemotron_assets.sft.academic.tables import ACADEMIC_DOCUMENTS, LONGDOC_QA
from nemotron_assets.sft.answers import Fault
from nemotron_assets.sft.rows import Maker, Origin
from nemotron_assets.sft.tallies import Tally
from nemotron_assets.sft.voting import Outcome
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.parts import Batches, Reject
from resources.generations import Completion, Request

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

_READ = ("id", "language", "subject", "level", "text", "tokens", "origin_hash")
_FRAME = 8
_BATCH = 64  # documents that are asked about together

PROMPT = "longdoc_qa"
#: The number of a piece, the question about it, and the generation that it comes from.
_Draft = tuple[int, Question, Completion]


@dataclass(frozen=True)
class _Document:
    """A long document: its row, its text up to the recipe's limit, and the chosen pieces by their numbers."""

    row: Mapping[str, Any]
    text: str
    tokens: int
    pieces: dict[int, str]


@dataclass(frozen=True)
class _Pair:
    """A question about a piece, with the ids of the generations that it comes from."""

    piece: int
    question: Question
    outcome: Outcome
    generations: tuple[str, ...]


def write(documents: pl.LazyFrame, recipe: LongdocQa, writer: Writer) -> tuple[Batches, Tally]:
    """Have the model write questions about long documents: (rows and rejects, counts)."""
    tally = Tally()

    def rows(reject: Callable[[Reject], None]) -> Iterable[dict[str, Any]]:
        tally.reject = reject
        return tally.counted(longdoc_rows(documents, writer, recipe, tally))

    return writer.write(LONGDOC_QA, rows), tally


def longdoc_rows(documents: pl.LazyFrame, writer: Writer, recipe: LongdocQa, tally: Tally) -> Iterator[dict[str, Any]]:
    """Yield rows of `sft.longdoc_qa`. A document without enough usable pairs goes to the tally's rejects."""
    maker = Maker(LONGDOC_QA, None, "stem-sft", writer.name, writer.count)
    found = _long(documents, writer, recipe)
    while batch := list(itertools.islice(found, _BATCH)):
        drafts = list(_drafts(batch, writer, recipe, tally))
        for (document, _), pairs in zip(drafts, _judged(drafts, writer, recipe, tally), strict=True):
            good, unsure = ([p for p in pairs if p.outcome.status == s] for s in ("judged", "unverified"))
            used = good or unsure  # a row has one status, so it has pairs of one status
            if len(used) < recipe.min_pairs:
                said = f"{len(used)} of {len(document.pieces)} pieces have a usable question, {recipe.min_pairs} wanted"
                tally.rejected[PROMPT, "too_few_pairs"] += 1
                tally.reject(Reject(document.row["id"], "too_few_pairs", said))
            else:
                yield _row(document, used, maker)


def chosen_pieces(document: str, count: int, recipe: LongdocQa) -> list[int]:
    """The numbers of the pieces that questions are written about: the recipe's share of all `count` pieces, at least
    one, by the hash of seed, document and number."""
    order = sorted(range(count), key=lambda number: content_hash(f"{recipe.seed} {document}:{number}"))
    return sorted(order[: max(1, math.floor(recipe.chunk_share * count))])


def _long(documents: pl.LazyFrame, writer: Writer, recipe: LongdocQa) -> Iterator[_Document]:
    """The long documents, with their chosen pieces. A longer one is cut after a whole piece."""
    long = documents.filter(pl.col("tokens") >= recipe.min_document_tokens)
    if recipe.max_documents is not None:
        ids = long.select("id").bottom_k(recipe.max_documents, by="id").collect(engine="streaming")["id"]
        long = long.filter(pl.col("id").is_in(ids.implode()))
    for frame in long.select(_READ).collect_batches(chunk_size=_FRAME, maintain_order=True, engine="streaming"):
        for row in frame.iter_rows(named=True):
            text = row["text"]
            if row["tokens"] > recipe.max_document_tokens:
                text = chunks(text, writer.count, recipe.max_document_tokens)[0]
            pieces = chunks(text, writer.count, recipe.chunk_tokens)
            wanted = chosen_pieces(row["id"], len(pieces), recipe)
            yield _Document(row, text, writer.count([text])[0], {number: pieces[number] for number in wanted})


def _drafts(
    batch: Sequence[_Document], writer: Writer, recipe: LongdocQa, tally: Tally
) -> Iterator[tuple[_Document, list[_Draft]]]:
    """Every document with the usable questions about its pieces, in order."""
    most = min(recipe.max_input_tokens, writer.window - recipe.max_output_tokens)

    def jobs() -> Iterator[tuple[tuple[_Document, list[int]], list[Request]]]:
        for document in batch:
            asked = {n: prompts.request(PROMPT, text, recipe, parents=(document.row["id"],))
                     for n, text in document.pieces.items()}  # fmt: skip
            fitting = [number for number, request in asked.items() if writer.prompt_tokens(request) <= most]
            yield (document, fitting), [asked[number] for number in fitting]

    for (document, numbers), completions in answered(jobs(), writer.ask):
        tally.answered(completions)
        drafts = []
        for number, completion in zip(numbers, completions, strict=True):
            text = answers.read(completion, recipe, document.row["language"])
            made = text if isinstance(text, Fault) else prompts.parse(PROMPT, text, recipe)
            if isinstance(made, Fault):
                tally.refuse(completion, made, f"piece {number} of document {document.row['id']}")
            else:
                drafts.append((number, made, completion))
        yield document, drafts


def _judged(
    drafts: Sequence[tuple[_Document, list[_Draft]]], writer: Writer, recipe: LongdocQa, tally: Tally
) -> Iterator[list[_Pair]]:
    """The pairs of every document with their status."""

    def jobs() -> Iterator[tuple[list[_Draft], list[Request]]]:
        for document, made in drafts:
            parents = (document.row["id"],)
            yield (
                made,
                [prompts.judge(document.pieces[n], q.question, q.answer, parents) for n, q, _ in made]
                if recipe.judge
                else [],
            )

    for made, completions in answered(jobs(), writer.ask):
        tally.answered(completions)
        verdicts = [[completion] for completion in completions] if recipe.judge else [[] for _ in made]
        yield [
            _Pair(number, question, judged(verdict, writer.name), (written.id, *(v.id for v in verdict)))
            for (number, question, written), verdict in zip(made, verdicts, strict=True)
        ]


def with_pairs(document: str, pairs: Sequence[tuple[str, str]]) -> str:
    """A document followed by questions and answers."""
    return "\n\n".join([document, *(f"Question: {question}\nAnswer: {answer}" for question, answer in pairs)])


def _row(document: _Document, pairs: Sequence[_Pair], maker: Maker) -> dict[str, Any]:
    """The row of a document with pairs that have the same status."""
    row = document.row
    questions, replies = [p.question.question for p in pairs], [p.question.answer for p in pairs]
    text = with_pairs(document.text, list(zip(questions, replies, strict=True)))
    made = maker.row(
        (row["id"],),
        Origin((row["id"],), (ACADEMIC_DOCUMENTS.full_name,), row["origin_hash"], row["language"]),
        prompt=PROMPT,
        question="\n".join(questions),
        answer="\n".join(replies),
        outcome=pairs[0].outcome,
        generation_ids=[name for pair in pairs for name in pair.generations],
        subject=row["subject"],
        level=row["level"],
        document_tokens=document.tokens,
        pieces=[pair.piece for pair in pairs],
        questions=questions,
        answers=replies,
    )
    return made | {"text": text, "tokens": maker.count([text])[0]}
