"""The tables the blend is made from. One more is one more line here, and its weight in the recipe."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg


@dataclass(frozen=True)
class Layout:
    """Which columns of a source say what.

    `origin` has the content hash of the document or file that a row is, or was written from; `subset` the values that
    the recipe weighs apart, if any; `snapshot` is None for what belongs to no snapshot.
    """

    origin: str = "content_hash"
    subset: str | None = None
    text: str = "text"
    snapshot: str | None = "snapshot"


SOURCES: dict[str, Layout] = {
    "web.nemotron_cc_v2": Layout("origin_hash", "subset"),
    "web.multilingual": Layout(),
    "math.nemotron_cc_math": Layout("origin_hash", "category"),
    "math.mind": Layout("origin_hash"),
    "code.curated": Layout(subset="language", text="content", snapshot=None),
    "code.qa": Layout("origin_hash", "language", snapshot=None),
}


def asset_ins() -> dict[str, dg.AssetIn]:
    """The sources as inputs of an asset, named like the tables without their schema."""
    return {table.split(".")[1]: dg.AssetIn(key=dg.AssetKey(table.split("."))) for table in SOURCES}
