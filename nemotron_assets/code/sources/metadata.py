"""Makes `code.metadata`: where each file of the corpus is found. `nemotron code rebuild` fetches the texts by it."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from nemotron_assets.code.sources.tables import METADATA
from nemotron_assets.table.ids import row_id

_BATCH_ROWS = 65_536


def metadata_of(files: pl.LazyFrame, chosen: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Rows of `code.metadata`: one per file in `chosen`, a frame with the columns `file` (id in `code.files`) and
    `license` (SPDX).

    The hashes are those of the original files: credentials and personal data are replaced in `code.curated` only.
    """
    rows = files.select("id", "repo", "commit_id", "rel_path", "language", "blob_id", "content_hash")
    rows = rows.join(chosen.select("license", id="file"), on="id").sort("repo", "commit_id", "rel_path")
    for frame in rows.collect_batches(chunk_size=_BATCH_ROWS):
        rows = frame.with_columns(
            parents=pl.concat_list("id"),
            id=pl.Series([row_id(METADATA.full_name, file) for file in frame["id"]], dtype=pl.String),
        )
        yield rows.select(METADATA.column_names)
