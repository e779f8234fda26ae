"""Cuts academic documents into snippets, and finds for some of them the most similar snippets of other documents."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from nemotron_assets.generation.asking import CountTokens
from nemotron_assets.recipe.sft.academic import AcademicQa
from nemotron_assets.scorers.embeddings import embedding, fetch_embedding
from nemotron_assets.sft.academic.chunks import chunks
from nemotron_assets.sft.academic.neighbours import nearest
from nemotron_assets.table.ids import content_hash

Embed = Callable[[Sequence[str]], np.ndarray]

READ = ("id", "language", "subject", "level", "text", "origin_hash")
_FRAME = 64


@dataclass(frozen=True)
class Snippet:
    """A piece of a document. `number` counts the pieces of the document from 0."""

    document: str
    number: int
    text: str

    @property
    def name(self) -> str:
        """The snippet as the table names it."""
        return f"{self.document}:{self.number}"


@dataclass(frozen=True)
class Passage:
    """A snippet that questions are written about, its document, and (snippet, cosine) of the most similar ones."""

    document: Mapping[str, Any]
    snippet: Snippet
    similar: list[tuple[Snippet, float]]


@contextlib.contextmanager
def embedding_of(recipe: AcademicQa) -> Iterator[Embed]:
    """The embedding that the recipe names, in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="nemotron-embedding-") as scratch:
        yield embedding(fetch_embedding(recipe.embedding, Path(scratch, "embedding")), recipe.chunk_tokens)


def passages(documents: pl.LazyFrame, recipe: AcademicQa, count: CountTokens, embed: Embed) -> Iterator[Passage]:
    """The passages of the chosen documents (columns `READ`), with the nearest snippets of all documents of the same
    subject. At most `snippets_per_search` snippets are in memory, and searched together."""
    asked = documents.select("id")
    if recipe.max_documents is not None:
        asked = asked.bottom_k(recipe.max_documents, by="id")
    wanted = frozenset(asked.collect(engine="streaming")["id"])
    subjects = documents.select("subject").unique().collect(engine="streaming")["subject"].sort()
    for subject in subjects if wanted else ():
        of_subject = documents.filter(pl.col("subject") == subject).select(READ)
        for group in _groups(of_subject, recipe, count):
            yield from _with_neighbours(group, wanted, recipe, embed)


_Group = list[tuple[dict[str, Any], list[Snippet]]]


def _groups(documents: pl.LazyFrame, recipe: AcademicQa, count: CountTokens) -> Iterator[_Group]:
    """Documents with their snippets, as many as are searched together."""
    group: _Group = []
    held = 0
    for frame in documents.collect_batches(chunk_size=_FRAME, maintain_order=True, engine="streaming"):
        for document in frame.iter_rows(named=True):
            found = snippets(document, recipe, count)
            if held and held + len(found) > recipe.snippets_per_search:
                yield group
                group, held = [], 0
            group.append(({name: document[name] for name in READ if name != "text"}, found))
            held += len(found)
    if held:
        yield group


def snippets(document: Mapping[str, Any], recipe: AcademicQa, count: CountTokens) -> list[Snippet]:
    """The snippets of a document that are long enough. They are numbered before the short ones are left out."""
    pieces = chunks(document["text"], count, recipe.chunk_tokens)
    sizes = count(pieces) if pieces else []
    return [
        Snippet(document["id"], number, text)
        for number, (text, size) in enumerate(zip(pieces, sizes, strict=True))
        if size >= recipe.min_chunk_tokens
    ]


def chosen(found: Sequence[Snippet], recipe: AcademicQa) -> list[Snippet]:
    """The snippets of a document that questions are written about, by the hash of seed, document and number."""
    in_order = sorted(found, key=lambda snippet: content_hash(f"{recipe.seed} {snippet.name}"))
    return sorted(in_order[: recipe.passages_per_document], key=lambda snippet: snippet.number)


def _with_neighbours(group: _Group, wanted: frozenset[str], recipe: AcademicQa, embed: Embed) -> Iterator[Passage]:
    """The passages of the wanted documents of a group."""
    every = [snippet for _, found in group for snippet in found]
    owners = [number for number, (_, found) in enumerate(group) for _ in found]
    place = {snippet.name: row for row, snippet in enumerate(every)}
    asked = [
        (document, snippet)
        for document, found in group
        if document["id"] in wanted
        for snippet in chosen(found, recipe)
    ]
    if not asked:
        return
    similar = [[] for _ in asked]
    if recipe.neighbours and len(group) > 1:
        vectors = embed([recipe.embedding_prefix + snippet.text for snippet in every])
        similar = nearest(vectors, owners, [place[snippet.name] for _, snippet in asked], recipe.neighbours)
    for (document, snippet), rows in zip(asked, similar, strict=True):
        yield Passage(document, snippet, [(every[row], cosine) for row, cosine in rows])
