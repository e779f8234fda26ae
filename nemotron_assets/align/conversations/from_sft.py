"""Conversations of the SFT data: questions and answers of the tables that the recipe names.

Only rows that may be used become conversations: never a failed one, and an unverified one only where the recipe says
so. Rows of a test split, rows that are held out from the pretraining, and rows with a benchmark item are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.align.conversations.rows import Conversation, chosen, is_asked_only, user, with_switches
from nemotron_assets.chat.conversation import Message
from nemotron_assets.held_out import is_held_out

if TYPE_CHECKING:
    from nemotron_assets.recipe.align.conversations import SftSource
    from resources.lakehouse import Reader

DOMAIN = {
    "sft.math_sft": "math",
    "sft.code_sft": "code",
    "sft.general_sft": "chat",
    "sft.stem_questions": "science",
    "sft.academic_qa": "science",
    "sft.fundamental_reasoning": "science",
    "sft.multilingual_sft": "multilingual",
    "sft.procedural": "math",
}
USABLE = ("verified", "majority", "judged")
_COLUMNS = (
    "id",
    "language",
    "question",
    "reasoning",
    "answer",
    "status",
    "verified_by",
    "generation_ids",
    "origin_hash",
)


@dataclass(frozen=True)
class SftTable:
    """A table of SFT data, what the recipe takes of it, and the ids of its rows that are left out."""

    reader: Reader
    source: SftSource
    held_out_share: float
    removed: frozenset[str]
    asked_only: float = 0.0  # share of its questions that are only asked, because prompts are made of the table

    @property
    def made_from(self) -> tuple[object, ...]:
        """What the conversations of the table depend on."""
        own = self.source.model_dump_json()
        return (self.reader.content(), own, self.held_out_share, self.asked_only, *sorted(self.removed))

    def rows(self, columns: tuple[str, ...] = _COLUMNS, with_test: bool = False) -> Iterator[dict[str, Any]]:
        """The rows that may be used, at most the first `max_rows`. Rows of a test split only `with_test`."""
        split = ("split",) if "split" in self.reader.table.column_names else ()
        statuses = [*USABLE, "unverified"] if self.source.unverified else list(USABLE)
        kept = pl.col("status").is_in(statuses) & ~is_held_out(self.held_out_share, "origin_hash")
        kept &= ~pl.col("id").is_in(list(self.removed)) & (pl.col("answer").str.strip_chars() != "")
        left = self.source.max_rows
        for batch in self.reader.batches(dict.fromkeys((*columns, *split))):
            frame = pl.DataFrame(pl.from_arrow(batch)).filter(kept)
            for row in frame.iter_rows(named=True):
                if (row.get("split") == "test" and not with_test) or not chosen(self.source.share, "sft", row["id"]):
                    continue
                if left is not None and (left := left - 1) < 0:
                    return
                yield row


def held_out_questions(table: SftTable) -> Iterator[str]:
    """Questions of a table that is asked, which are held out: by the split of the table, or by their words."""
    for row in table.rows(("id", "status", "question", "answer", "origin_hash"), with_test=True):
        if row["split"] == "test" if "split" in row else is_asked_only(table.asked_only, row["question"]):
            yield row["question"]


def conversations(table: SftTable) -> Iterator[Conversation]:
    """The rows of a table of SFT data as conversations of one question and one answer."""
    name = table.reader.table.full_name
    for row in table.rows():
        if is_asked_only(table.asked_only, row["question"]):
            continue
        thought = (row["reasoning"] or "").strip() or None
        yield Conversation(
            part=name,
            key=(row["id"],),
            domain=DOMAIN[name],
            data_set=name,
            language=row["language"],
            messages=with_switches(
                [user(row["question"].strip()), Message("assistant", row["answer"].strip(), thought)]
            ),
            origin_hash=row["origin_hash"],
            parents=(row["id"],),
            sources=(name,),
            status=row["status"],
            verified_by=row["verified_by"],
            generation_ids=tuple(row["generation_ids"] or ()),
        )
