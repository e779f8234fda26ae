"""Chooses the rows of the sample: of each subset the rows with the lowest ids.

Ids are hashes, so the choice is the same in every run and has nothing to do with what the rows say.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.blend.sample.tables import DATASET_SAMPLE, SUBSETS
from nemotron_assets.recipe.release import DatasetSample
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_ROWS = 1_024


def sample_parts(readers: Mapping[str, Reader], recipe: DatasetSample) -> Iterator[Part]:
    """The parts of the table, one per subset. `readers` are by the full name of their table. A part is made again when
    the rows of its table or the number of rows that the recipe wants change."""
    for subset, source in SUBSETS.items():
        reader, most = readers[source.table.full_name], recipe.rows[subset]
        yield Part(subset, content_hash(f"{_content(reader)} {most}"), functools.partial(_rows, subset, reader, most))


def available(subset: str, reader: Reader) -> pl.LazyFrame:
    """All rows of the subset's table that belong to the subset."""
    source, rows = SUBSETS[subset], reader.scan()
    return rows.filter(pl.col(source.column) == source.value) if source.column else rows


def _rows(subset: str, reader: Reader, most: int) -> Iterator[pl.DataFrame]:
    yield DATASET_SAMPLE.empty()
    rows, table = available(subset, reader), reader.table
    chosen = rows.select("id").bottom_k(most, by="id").collect(engine="streaming")["id"].to_list()
    # Only the published columns: another table may have a column `category` that means something else.
    columns = dict.fromkeys(("id", "language", *DATASET_SAMPLE.published.columns_of(subset)))
    found = rows.filter(pl.col("id").is_in(chosen)).select(*columns).collect(engine="streaming").sort("id")
    for batch in found.iter_slices(_ROWS):
        ids = [row_id(DATASET_SAMPLE.full_name, subset, id_) for id_ in batch["id"]]
        made = batch.with_columns(
            id=pl.Series(ids, dtype=pl.String),
            parents=pl.concat_list("id"),
            sources=pl.concat_list(pl.lit(table.full_name)),
            subset=pl.lit(subset),
        )
        yield pl.concat([DATASET_SAMPLE.empty(), made], how="diagonal")


def _content(reader: Reader) -> str:
    """A hash of all rows of a table."""
    if not reader.table.partition_by:
        return reader.content()
    return " ".join(f"{name} {reader.within(name).content()}" for name in reader.snapshots())
