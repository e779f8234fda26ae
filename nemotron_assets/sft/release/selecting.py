"""Selects the published rows: those with a verified answer and a published config, without benchmark items."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.recipe.sft.release import SftRelease
from nemotron_assets.sft.release.tables import CONFIGS, CONTAMINATED, NEMOTRON_SFT
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part
from resources.lakehouse import QUARANTINE

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader

#: A row with one of these is published; `unverified` is only where the recipe names the table, and `failed` never.
USABLE = ("verified", "majority", "judged")
_SAME = ("category", "prompt", "language", "text", "status", "verified_by", "generator", "origin_hash", "tokens")
_ROWS = 512


def statuses(table: str, recipe: SftRelease) -> tuple[str, ...]:
    """The statuses of the rows of a table that are published."""
    return (*USABLE, "unverified") if table in recipe.unverified else USABLE


def published(subset: str = "subset", status: str = "status", *, of: Sequence[str]) -> pl.Expr:
    """Whether a row of a table of SFT data has a published config, a usable status and a text."""
    return (
        pl.col(subset).is_in(list(CONFIGS)) & pl.col(status).is_in(list(of)) & (pl.col("text").str.strip_chars() != "")
    )


def excluded(sources: Sequence[Reader], lake: Lakehouse) -> dict[str, frozenset[str]]:
    """{table: ids of its rows that are not published}: rows with a benchmark item, rows that could not be searched for
    items, and rows that were made from such a row of another table. A translation has none of the item's words.

    `sources` are the tables of SFT data in the order in which they are made.
    """
    items = lake.read(CONTAMINATED).scan().filter("removed").select("source", id=pl.col("parents").list.first())
    in_vain = lake.read(QUARANTINE).scan().filter(pl.col("stage") == CONTAMINATED.full_name)
    # Contaminated rows, and those that could not be searched: a small share, which a check limits.
    rows = pl.concat([items, in_vain.select(source="part", id="row_id")]).collect()
    found: dict[str, frozenset[str]] = {}
    for reader in sources:
        table = reader.table
        gone = frozenset(rows.filter(pl.col("source") == table.full_name)["id"])
        above = sorted(itertools.chain.from_iterable(found[name] for name in table.parents if name in found))
        if above:
            made_of_them = pl.col("parents").list.eval(pl.element().is_in(above)).list.any()
            below = reader.scan().select("id", "parents").filter(made_of_them).collect(engine="streaming")
            gone |= frozenset(below["id"])
        found[table.full_name] = gone
    return found


def release_parts(sources: Sequence[Reader], lake: Lakehouse, recipe: SftRelease) -> Iterator[Part]:
    """The parts of `sft.nemotron_sft`, one per table of SFT data. A part is made again when the rows of the table, the
    rows that are left out, or the statuses that the recipe takes have changed."""
    left_out = excluded(sources, lake)
    for reader in sources:
        table = reader.table.full_name
        without, wanted = left_out[table], statuses(table, recipe)
        made_from = content_hash(" ".join([reader.content(), *wanted, *sorted(without)]))
        yield Part(table, made_from, functools.partial(published_rows, reader, without, wanted))


def published_rows(reader: Reader, without: Collection[str], wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Rows of `sft.nemotron_sft` from one table, without the rows whose ids are in `without`."""
    table, left_out = reader.table.full_name, list(without)
    yield NEMOTRON_SFT.empty()
    for batch in reader.batches(("id", "subset", *_SAME), batch_size=_ROWS):
        rows = pl.DataFrame(pl.from_arrow(batch)).filter(published(of=wanted) & ~pl.col("id").is_in(left_out))
        ids = [row_id(NEMOTRON_SFT.full_name, table, id_) for id_ in rows["id"]]
        yield rows.with_columns(
            id=pl.Series(ids, dtype=pl.String),
            parents=pl.concat_list("id"),
            sources=pl.concat_list(pl.lit(table)),
            source=pl.lit(table),
            subset=pl.col("subset").replace_strict(CONFIGS, return_dtype=pl.String),
        ).select(NEMOTRON_SFT.column_names)
