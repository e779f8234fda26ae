"""Selects the documents of the blend and puts them in order.

The tokenizer and the token shards are made from the published tables. Held-out documents are left out, and so is every
text that was written from a held-out document or source file: each row has the hash of the document that it is, or was
written from. Every other document is taken once: how often the model sees it is decided later, by the weights of the
phases, so that other weights repeat no tokenisation.

The documents are sorted by data set, then by snapshot, so that a new snapshot adds shards and does not change earlier
ones. Within a snapshot they are sorted by a hash: the order does not depend on how the tables are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
import polars_hash  # noqa: F401  the .nchash namespace
import pyarrow as pa

from nemotron_assets.contamination.removed import removed_rows
from nemotron_assets.held_out import is_held_out
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.blend import Blend
from nemotron_assets.recipe.categories import CATEGORY_OF, CONTAMINATED, SOURCES, Layout
from nemotron_assets.table.ordering import in_order

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader

_EVERYTHING = "g"  # sorts after every hex digit
#: The snapshot of documents without one; a real snapshot cannot have this name.
NO_SNAPSHOT = "-"
_STREAM = ("group", "data_set", "id", "text")


@dataclass(frozen=True)
class Source:
    """A table that the model is trained on. `read(columns)` returns a new stream of batches with these columns.
    `removed` are the ids of rows that are not trained on: with a benchmark item, or not searched for one."""

    table: str
    read: Callable[[list[str]], Iterable[pa.RecordBatch]]
    layout: Layout = field(default_factory=Layout)
    removed: frozenset[str] = frozenset()

    @property
    def columns(self) -> list[str]:
        """The columns that decide what is trained on, and the text."""
        layout = self.layout
        optional = filter(None, (layout.snapshot, layout.subset))
        return list(dict.fromkeys(["id", layout.text, layout.origin, *optional, *layout.only]))


def sources_of(readers: Iterable[Reader], lake: Lakehouse) -> list[Source]:
    """The sources of the blend, in the order of the recipe. `readers` are those of their tables, in any order, and may
    have the one of the rows with benchmark items; `lake` has the rows that could not be searched for items."""
    by_name = {reader.table.full_name: reader for reader in readers}
    removed = removed_rows(by_name.get(CONTAMINATED), lake)
    return [
        Source(name, by_name[name].batches, layout, frozenset(removed.get(name, ())))
        for name, layout in SOURCES.items()
        if name in by_name
    ]


def ordered_stream(sources: Sequence[Source], recipe: Blend) -> Iterator[pa.RecordBatch]:
    """The documents that the model is trained on, in order, with the columns group (data set and snapshot), data_set,
    id and text."""
    for frame in in_order(_chosen(sources, recipe, share=1.0), recipe.sort_memory_mb):
        yield from frame.select(_STREAM).to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(max_chunksize=1_024)


def text_sample(sources: Sequence[Source], recipe: Recipe, megabytes: int) -> Iterator[list[str]]:
    """About `megabytes` of text for the tokenizer, chosen by hash, as lists of texts; all texts if there are fewer."""
    total = sum(
        int(pl.DataFrame(pl.from_arrow(batch))[source.layout.text].str.len_bytes().cast(pl.Int64).sum())
        for source in sources
        for batch in source.read([source.layout.text])
    )
    for frame in _chosen(sources, recipe.blend, min(1.0, megabytes * 1e6 / max(total, 1))):
        yield frame["text"].to_list()


def _chosen(sources: Sequence[Source], recipe: Blend, share: float) -> Iterator[pl.DataFrame]:
    """The documents with the columns of `_STREAM` and `place`, the hash by which they are sorted. Of a `share` below 1,
    those with the lowest hashes are taken."""
    for source in sources:
        for batch in source.read(source.columns):
            frame = _trained_on(pl.DataFrame(pl.from_arrow(batch)), source, recipe.held_out_share)
            rows = frame.filter(_hash(f"sample:{recipe.seed}:0").str.head(8) < _cut(share))
            if len(rows):
                yield rows.select(*_STREAM, place=_hash(f"order:{recipe.seed}:0"))


def _cut(share: float) -> str:
    """The 32-bit hash, as hex digits, below which a `share` of all hashes lies: "80000000" for 0.5."""
    return _EVERYTHING if share >= 1 else f"{round(share * 16**8):08x}"


def _hash(key: str) -> pl.Expr:
    """A hash of the row's id and `key`, as hex digits."""
    return pl.concat_str(pl.lit(f"{key}:"), "id").nchash.md5()


def _trained_on(rows: pl.DataFrame, source: Source, held_out_share: float) -> pl.DataFrame:
    """The rows of a source that are not held out and belong to a data set of a category."""
    layout = source.layout
    kept = ~is_held_out(held_out_share, layout.origin)
    if source.removed:
        kept &= ~pl.col("id").is_in(list(source.removed))
    for column, values in layout.only.items():
        kept &= pl.col(column).is_in(values)
    name = pl.lit(source.table)
    data_set = name if layout.subset is None else pl.concat_str(name, pl.lit("/"), layout.subset)
    snapshot = pl.lit(NO_SNAPSHOT) if layout.snapshot is None else pl.col(layout.snapshot)
    chosen = rows.filter(kept).with_columns(data_set=data_set).filter(pl.col("data_set").is_in(list(CATEGORY_OF)))
    return chosen.select(
        "id",
        "data_set",
        group=pl.concat_str("data_set", pl.lit("/"), snapshot),
        text=pl.col(layout.text),
    )
