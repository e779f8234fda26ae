"""Makes the rows of SFT tables: the columns that all of them share, filled in the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemotron_assets.generation.asking import CountTokens
from nemotron_assets.held_out import held_out_first
from nemotron_assets.sft.formats import text_of
from nemotron_assets.sft.voting import Outcome
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Table


@dataclass(frozen=True)
class Origin:
    """What a row was written from: the rows, the table of each, and the hash of the page, document or seed that decides
    whether the row is held out."""

    parents: tuple[str, ...]
    sources: tuple[str, ...]
    content_hash: str
    language: str = "en"


def of_seeds(*seeds: Mapping[str, Any]) -> Origin:
    """What is written from rows of `sft.seeds`: if the page of any is held out, so is what is written."""
    ids = tuple(seed["id"] for seed in seeds)
    hashes = (seed["page_hash"] or seed["content_hash"] for seed in seeds)
    return Origin(ids, ("sft.seeds",) * len(ids), held_out_first(hashes), seeds[0]["language"])


@dataclass(frozen=True)
class Maker:
    """Makes the rows of one table that have one subset and category, written by one model."""

    table: Table
    subset: str | None
    category: str
    generator: str
    count: CountTokens

    def row(
        self,
        key: Sequence[object],
        origin: Origin,
        *,
        prompt: str,
        question: str,
        answer: str,
        outcome: Outcome,
        generation_ids: Sequence[str],
        reasoning: str | None = None,
        **own: Any,
    ) -> dict[str, Any]:
        """A row of the table. `key` is its natural key, `own` are the columns that only this table has."""
        text = text_of(self.subset, question, answer, reasoning)
        return {
            "id": row_id(self.table.full_name, *key),
            "parents": list(origin.parents),
            "sources": list(origin.sources),
            "subset": self.subset,
            "category": self.category,
            "prompt": prompt,
            "language": origin.language,
            "question": question,
            "reasoning": reasoning,
            "answer": answer,
            "text": text,
            "status": outcome.status,
            "verified_by": outcome.by,
            "status_detail": outcome.detail,
            "generator": self.generator,
            "generation_ids": list(generation_ids),
            "origin_hash": origin.content_hash,
            "tokens": self.count([text])[0],
            **own,
        }
