"""What conversations and prompts are made from: the recipe, the suite, and the tables of SFT data."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nemotron_assets.align.conversations.from_sft import SftTable
from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.contamination.removed import removed_rows
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.align.conversations import SftSource
from nemotron_assets.recipe.categories import CONTAMINATED
from resources.lakehouse import Lakehouse, Reader


@dataclass(frozen=True)
class Inputs:
    """The tables that the data of the post-training is made from; `sft` are tables of SFT data by their full names."""

    recipe: Recipe
    lake: Lakehouse
    suite_items: Reader
    contaminated: Reader
    sft: Mapping[str, Reader]

    @classmethod
    def of(cls, recipe: Recipe, lake: Lakehouse, tables: Mapping[str, Reader]) -> Inputs:
        """The inputs of an asset, by the names of its arguments."""
        named = {reader.table.full_name: reader for reader in tables.values()}
        suite_items, contaminated = named.pop(SUITE_ITEMS.full_name), named.pop(CONTAMINATED)
        return cls(recipe, lake, suite_items, contaminated, named)

    @functools.cached_property
    def _removed(self) -> dict[str, set[str]]:
        return removed_rows(self.contaminated if self.contaminated.exists else None, self.lake)

    def sft_tables(self, sources: Mapping[str, SftSource]) -> Iterator[SftTable]:
        """The tables of SFT data that the recipe names, without rows that are held out or have a benchmark item."""
        for name, source in sources.items():
            removed = frozenset(self._removed.get(name, ()))
            yield SftTable(self.sft[name], source, self.recipe.blend.held_out_share, removed)
