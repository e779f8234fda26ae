"""The tables the blend is made from. One more is one more line here, and its weight in the recipe."""

from __future__ import annotations

import dagster as dg

#: {table: (column with the origin's content hash, column with the subset or None)}
SOURCES: dict[str, tuple[str, str | None]] = {
    "web.nemotron_cc_v2": ("origin_hash", "subset"),
    "web.multilingual": ("content_hash", None),
    "math.nemotron_cc_math": ("origin_hash", "category"),
    "math.mind": ("origin_hash", None),
}


def asset_ins() -> dict[str, dg.AssetIn]:
    """The sources as inputs of an asset, named like the tables without their schema."""
    return {table.split(".")[1]: dg.AssetIn(key=dg.AssetKey(table.split("."))) for table in SOURCES}
