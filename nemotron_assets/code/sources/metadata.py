"""Rows of `code.metadata`: what is published of the corpus, from which `nemotron code rebuild` makes the texts."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from nemotron_assets.code.sources.tables import METADATA
from nemotron_assets.table.ids import row_id

_BATCH_ROWS = 65_536


def metadata_of(files: pl.LazyFrame, chosen: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """One row per file of `code.files` that is chosen: a frame of `file` (its id) and the `license` it is used under.

    Hashes are those of the files as their repositories have them: what the corpus redacts is redacted afterwards.
    """
    rows = files.select("id", "repo", "commit_id", "rel_path", "language", "blob_id", "content_hash")
    rows = rows.join(chosen.select("license", id="file"), on="id").sort("repo", "commit_id", "rel_path")
    for frame in rows.collect_batches(chunk_size=_BATCH_ROWS):
        rows = frame.with_columns(
            parents=pl.concat_list("id"),
            id=pl.Series([row_id(METADATA.full_name, file) for file in frame["id"]], dtype=pl.String),
        )
        yield rows.select(METADATA.column_names)
