"""Writes token shards, their packing, categories and phases into a lake, as the blend's assets do."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from nemotron_assets.blend.phases import phase_rows
from nemotron_assets.blend.sequences import sequence_parts
from nemotron_assets.blend.supply import category_rows
from nemotron_assets.blend.tables import CATEGORIES, PHASES, SEQUENCES, TOKEN_SHARDS
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.categories import CATEGORY_OF, SOURCES, table_of
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.text.tokenizer import EOS
from resources.lakehouse import Lakehouse


def documents(part: str, tokens: list[list[int]], versions: list[str] | None = None) -> pl.DataFrame:
    """Rows of `blend.token_shards` for one shard: documents of these tokens, to which EOS is added."""
    data_set = part.rpartition("/")[0].rpartition("/")[0]
    rows = [
        {
            "id": row_id(TOKEN_SHARDS.full_name, part, position),
            "parents": [f"{part}#{position}"],
            "sources": [table_of(data_set)],
            "part": part,
            "category": CATEGORY_OF[data_set],
            "data_set": data_set,
            "position": position,
            "tokens": [*ids, EOS],
            "length": len(ids) + 1,
            "read_versions": versions,
        }
        for position, ids in enumerate(tokens)
    ]
    return pl.DataFrame(rows, schema=TOKEN_SHARDS.empty().schema)


def write_packed(lake: Lakehouse, shards: Mapping[str, pl.DataFrame], recipe: Recipe) -> None:
    """Write these shards, by their names, and everything that follows from them."""
    lake.write(
        TOKEN_SHARDS,
        Parts([Part(name, str(rows.hash_rows().sum()), lambda r=rows: r) for name, rows in shards.items()]),
    )
    lake.write(SEQUENCES, Parts(sequence_parts(lake.read(TOKEN_SHARDS), recipe.blend)))
    tokens, sequences = lake.read(TOKEN_SHARDS).scan(), lake.read(SEQUENCES).scan()
    lake.write(CATEGORIES, category_rows(tokens, sequences, recipe.blend, SOURCES))
    lake.write(PHASES, phase_rows(recipe, lake.read(CATEGORIES).scan().collect()))
