"""Rows of `code.metadata`: what is published of the corpus, from which `nemotron code rebuild` makes the texts."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from nemotron_assets.code.sources.tables import METADATA
from nemotron_assets.table import row_id

_BATCH_ROWS = 65_536


def metadata_of(
    files: pl.LazyFrame, duplicates: pl.LazyFrame | None = None, *, only: pl.LazyFrame | None = None,
    licences: pl.LazyFrame | None = None,
) -> Iterator[pl.DataFrame]:  # fmt: skip
    """One row per file of `code.files` that is not a duplicate, or that is among `only` (a column `file`: its id).

    `licences` has a column `file` and the column `license` that it is used under.
    """
    chosen = files.select("id", "repo", "commit_id", "rel_path", "language", "blob_id", "content_hash")
    if duplicates is not None:
        dropped = duplicates.select(pl.col("parents").list.first().alias("id"))
        chosen = chosen.join(dropped, on="id", how="anti")
    if only is not None:
        chosen = chosen.join(only.select(id="file"), on="id", how="semi")
    known = licences.select(id="file", license="license") if licences is not None else None
    chosen = (
        chosen.join(known, on="id", how="left")
        if known is not None
        else chosen.with_columns(license=pl.lit(None, dtype=pl.String))
    )
    for frame in chosen.sort("repo", "commit_id", "rel_path").collect_batches(chunk_size=_BATCH_ROWS):
        rows = frame.with_columns(
            parents=pl.concat_list("id"),
            id=pl.Series([row_id(METADATA.full_name, file) for file in frame["id"]], dtype=pl.String),
        )
        yield rows.select(METADATA.column_names)
