"""Chooses academic documents: a language model labels subject, level and educational quality (Nano 2 §2.2.2).

The labels are an answer of three lines in a strict form. Where the source table has a score of educational value, that
score counts and not the model's. Documents that are held out from training are not looked at, so that no question is
written from them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.generation.asking import answered
from nemotron_assets.held_out import is_held_out, origin_hash
from nemotron_assets.recipe.sft.academic import LEVELS, SUBJECTS, AcademicDocuments, AcademicSource
from nemotron_assets.recipe.sft.layouts import TABLES
from nemotron_assets.sft.academic.chunks import chunks
from nemotron_assets.sft.academic.tables import ACADEMIC_DOCUMENTS
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Batches, Reject
from resources.generations import OutputFormat, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.generation.writing import Writer

PROMPT = "academic_labels"

_SYSTEM = "You sort texts for a library."
_TASK = """\
Read the beginning of a text and sort it.
- Subject: one of {subjects}. Choose "other" if the text is about anything else, or has no subject.
- Level: school, undergraduate or graduate: what a reader must have learned before. Choose "other" if it does not teach.
- Quality: 0 to 5. 0 teaches nothing, 3 explains its subject well enough to learn from it, 5 is as good as the best \
textbooks.
Write three lines and nothing else:
Subject: ...
Level: ...
Quality: ...

Text:
{text}"""
_ANSWER_TOKENS = 40
_LABELS = re.compile(rf"Subject: ({'|'.join(SUBJECTS)})\nLevel: ({'|'.join(LEVELS)})\nQuality: ([0-5])")
_FORM = OutputFormat("regex", _LABELS.pattern)
_FRAME = 256


@dataclass(frozen=True)
class Labels:
    """What the model says about a document."""

    subject: str
    level: str
    quality: int


@dataclass
class Tally:
    """Counts of the labelled documents: by (subject, level), and by what became of them."""

    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    output_tokens: int = 0
    new: int = 0


def request(text: str, recipe: AcademicDocuments, parents: tuple[str, ...] = ()) -> Request:
    """The request for the labels of a document that begins with `text`."""
    task = _TASK.format(subjects=", ".join(SUBJECTS), text=text)
    sampling = Sampling(recipe.temperature, 1.0, _ANSWER_TOKENS)
    return Request(PROMPT, (("system", _SYSTEM), ("user", task)), sampling, _FORM, parents=parents)


def parse(answer: str) -> Labels | None:
    """The labels in an answer; None for an answer in any other form."""
    found = _LABELS.fullmatch(answer.strip())
    return Labels(found[1], found[2], int(found[3])) if found else None


def write(
    sources: Mapping[str, pl.LazyFrame], recipe: AcademicDocuments, held_out_share: float, writer: Writer
) -> tuple[Batches, Tally]:
    """Have the model label documents of the `sources` (tables by name): (rows of those that are kept, counts)."""
    tally, found = Tally(), candidates(sources, recipe, held_out_share)
    rows = writer.write(ACADEMIC_DOCUMENTS, lambda reject: document_rows(found, writer, recipe, reject, tally))
    return rows, tally


def candidates(
    sources: Mapping[str, pl.LazyFrame], recipe: AcademicDocuments, held_out_share: float
) -> Iterator[dict[str, Any]]:
    """The documents to label, with their table as `source` and the source's score as `score`: those of the recipe's
    languages that are not held out, of every table the best ones, then those with the lowest ids."""
    for name, documents in sources.items():
        layout, wanted = TABLES[name], recipe.sources.get(name, AcademicSource(max_documents=0))
        rows = documents.filter(
            pl.col("language").is_in(list(recipe.languages))
            & (pl.col("characters") >= wanted.min_characters)
            & ~is_held_out(held_out_share, layout.origin)
        ).select(
            "id", "snapshot", "language", "text", "characters",
            source=pl.lit(name),
            origin_hash=origin_hash(layout.origin),
            score=pl.col(layout.score).cast(pl.Float64) if layout.score else pl.lit(None, pl.Float64),
            best=layout.best,
        )  # fmt: skip
        if wanted.max_documents is not None:
            best = rows.select("id", "best").top_k(wanted.max_documents, by=["best", "id"], reverse=[False, True])
            rows = rows.filter(pl.col("id").is_in(best.collect(engine="streaming")["id"].implode()))
        for frame in rows.drop("best").collect_batches(chunk_size=_FRAME, maintain_order=True, engine="streaming"):
            yield from frame.iter_rows(named=True)


def document_rows(
    documents: Iterator[dict[str, Any]],
    writer: Writer,
    recipe: AcademicDocuments,
    reject: Callable[[Reject], None],
    tally: Tally,
) -> Iterator[dict[str, Any]]:
    """Yield rows of `sft.academic_documents` for the documents that the recipe keeps. Documents whose labels cannot be
    read go to `reject`."""
    for document, completions in answered(_jobs(documents, writer, recipe), writer.ask):
        if not completions:
            tally.fates["no room in the prompt"] += 1
            reject(Reject(document["id"], "too_long", "its beginning does not fit into the prompt"))
            continue
        (completion,) = completions
        tally.output_tokens += completion.output_tokens
        tally.new += completion.new
        labels = parse(completion.text)
        if labels is None:
            tally.fates["unreadable labels"] += 1
            reject(Reject(document["id"], "unparsable", f"labels of the document: {completion.text[:300]!r}"))
            continue
        tally.labels[labels.subject, labels.level] += 1
        scored = document["score"] is not None
        quality = document["score"] if scored else float(labels.quality)
        if why := left_out(labels, quality, recipe):
            tally.fates[why] += 1
            continue
        tally.fates["kept"] += 1
        table = document["source"]
        yield {
            "id": row_id(ACADEMIC_DOCUMENTS.full_name, table, document["id"]),
            "parents": [document["id"]],
            "sources": [table],
            **{name: document[name] for name in ("snapshot", "language", "text", "characters", "origin_hash")},
            "subject": labels.subject,
            "level": labels.level,
            "quality": quality,
            "quality_by": f"{table}.{TABLES[table].score}" if scored else writer.name,
            "tokens": writer.count([document["text"]])[0],
            "prompt": PROMPT,
            "generator": writer.name,
            "generation_id": completion.id,
        }


def left_out(labels: Labels, quality: float, recipe: AcademicDocuments) -> str:
    """Why a document with these labels is not kept; "" if it is kept."""
    if labels.subject not in recipe.subjects:
        return "other subject"
    if labels.level not in recipe.levels:
        return "other level"
    return "low quality" if quality < recipe.min_quality else ""


def _jobs(
    documents: Iterator[dict[str, Any]], writer: Writer, recipe: AcademicDocuments
) -> Iterator[tuple[dict[str, Any], list[Request]]]:
    """Every document with the request for its labels, or without a request if the prompt would be too long."""
    for document in documents:
        beginning = document["text"][: 16 * recipe.label_tokens]  # no need to count all tokens of a book
        first = next(iter(chunks(beginning, writer.count, recipe.label_tokens)), "")
        asked = request(first, recipe, (document["id"],))
        yield document, [asked] if writer.prompt_tokens(asked) + _ANSWER_TOKENS <= writer.window else []
