"""Leaves out what may not be learned: texts with a benchmark item, and questions that are held out for scoring."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nemotron_assets.align.conversations.rows import Conversation, Prompt, is_asked_only, question_hash
from nemotron_assets.align.conversations.tables import CONVERSATIONS
from nemotron_assets.contamination.items import ITEMS, Items
from nemotron_assets.recipe.sft.release import SftContamination
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject

if TYPE_CHECKING:
    from nemotron_assets.align.conversations.from_records import Rejecting
    from resources.lakehouse import Reader

Row = TypeVar("Row", Conversation, Prompt)


@dataclass(frozen=True)
class Screen:
    """Looks for benchmark items by the rules of the SFT data: every split of a benchmark counts."""

    benchmarks: Reader
    recipe: SftContamination

    @functools.cached_property
    def _items(self) -> Items:
        rows = self.benchmarks.scan().select(ITEMS).collect().iter_rows(named=True)
        return Items(rows, self.recipe, max_items=self.recipe.max_items)

    def clean(self, rows: Iterable[Row], reject: Rejecting) -> Iterator[Row]:
        """The rows without a benchmark item. The others are rejected with the item's name."""
        for row in rows:
            match = next((match for match in self._items.find(row.text) if match.removed), None)
            if match is None:
                yield row
            else:
                item = self._items.rows[match.item]
                name = f"{item['benchmark']} {item['item']} ({match.rule}): {match.page_text:.200}"
                reject(Reject(row_id(CONVERSATIONS.full_name, row.part, *row.key), "benchmark_item", name))


def without_asked(
    found: Iterable[tuple[Conversation, bool | None]], share: float
) -> Iterator[tuple[Conversation, bool | None]]:
    """Labelled conversations without those whose first request is held out."""
    for one, label in found:
        if not is_asked_only(share, first_request(one)):
            yield one, label


def without_held_out(found: Iterable[Conversation], hashes: Callable[[], Set[str]]) -> Iterator[Conversation]:
    """Conversations in which the user asks no question of `hashes` (see `rows.question_hash`), in any turn."""
    for one in found:
        said = (bare(message.content) for message in one.messages if message.role == "user")
        if hashes().isdisjoint(map(question_hash, said)):
            yield one


def first_request(one: Conversation) -> str:
    """What the user says first, without switches."""
    said = next((message.content for message in one.messages if message.role == "user"), "")
    return bare(said)


def bare(said: str) -> str:
    """A user's text without switches."""
    return said.replace("/no_think", "").replace("/think", "").strip()
