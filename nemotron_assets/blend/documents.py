"""Selects the documents of the blend and puts them in order.

The tokenizer and the token shards are made from the published tables. Held-out documents are left out, and so is every
text that was written from a held-out document or source file: each row has the hash of the document that it is, or was
written from. Each subset of a table is taken as often as its number of passes says.

The snapshots follow one another, so that a new snapshot adds shards and does not change earlier ones. Documents without
a snapshot, such as source code, are a group of their own. Within a snapshot the documents are sorted by a hash: this
mixes the sources, and the order does not depend on how the tables are stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
import polars_hash  # noqa: F401  the .nchash namespace
import pyarrow as pa

from nemotron_assets.blend.ordering import in_order
from nemotron_assets.held_out import is_held_out
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.blend import SOURCES, Blend, Layout

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_WHOLE_PASS = "g"  # sorts after every hex digit
#: The snapshot of documents without one; a real snapshot cannot have this name.
NO_SNAPSHOT = "-"
_STREAM = ("snapshot", "source", "id", "text")


@dataclass(frozen=True)
class Source:
    """A table that the model is trained on. `read(columns)` returns a new stream of batches with these columns."""

    table: str
    read: Callable[[list[str]], Iterable[pa.RecordBatch]]
    layout: Layout = field(default_factory=Layout)

    def passes(self, weights: Mapping[str, float]) -> dict[str, float]:
        """{subset: number of passes} by the recipe's weights, which are named table or table/subset. The key "" stands
        for all subsets that are not named."""
        named = {"": weights.get(self.table, 0.0)}
        if self.layout.subset is not None:
            prefix = f"{self.table}/"
            named |= {name.removeprefix(prefix): passes for name, passes in weights.items() if name.startswith(prefix)}
        return named


def sources_of(readers: Iterable[Reader]) -> list[Source]:
    """The sources of the blend, in the order of the recipe. `readers` are those of their tables, in any order."""
    by_name = {reader.table.full_name: reader for reader in readers}
    return [Source(name, by_name[name].batches, layout) for name, layout in SOURCES.items()]


def ordered_stream(sources: Sequence[Source], recipe: Blend) -> Iterator[pa.RecordBatch]:
    """The documents that the model is trained on, in order, with the columns snapshot, source (table), id and text."""
    chosen = [(source, source.passes(recipe.weights)) for source in sources]
    for frame in in_order(_chosen(chosen, recipe, share=1.0), recipe.sort_memory_mb):
        yield from frame.select(_STREAM).to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(max_chunksize=1_024)


def text_sample(sources: Sequence[Source], recipe: Recipe, megabytes: int) -> Iterator[list[str]]:
    """About `megabytes` of text for the tokenizer, chosen by hash, as lists of texts; all texts if there are fewer.

    Every subset is taken once, whatever its weight, so that other weights do not change the vocabulary.
    """
    total = sum(
        int(pl.DataFrame(pl.from_arrow(batch))[source.layout.text].str.len_bytes().cast(pl.Int64).sum())
        for source in sources
        for batch in source.read([source.layout.text])
    )
    share = min(1.0, megabytes * 1e6 / max(total, 1))
    for frame in _chosen([(source, None) for source in sources], recipe.blend, share):
        yield frame["text"].to_list()


def _chosen(
    sources: Sequence[tuple[Source, Mapping[str, float] | None]], recipe: Blend, share: float
) -> Iterator[pl.DataFrame]:
    """The documents of all passes, with the columns of `_STREAM` and `place`, the hash by which they are sorted.

    Passes of None stand for one pass over all subsets. Of a partial pass, and of a `share` below 1, the documents with
    the lowest hashes are taken.
    """
    for source, passes in sources:
        rounds = 1 if passes is None else math.ceil(max(passes.values(), default=0.0))
        for number in range(rounds):
            key, cuts = f"{recipe.seed}:{number}", _cuts(passes, number)
            low_enough = (_hash(f"pass:{key}").str.head(8) < pl.col("cut")) & (
                _hash(f"sample:{key}").str.head(8) < _cut(share)
            )
            for frame in _trained_on(source, cuts, recipe.held_out_share):
                rows = frame.filter(low_enough)
                if len(rows):
                    yield rows.select(*_STREAM, place=_hash(f"order:{key}"))


def _cut(share: float) -> str:
    """The 32-bit hash, as hex digits, below which a `share` of all hashes lies: "80000000" for 0.5."""
    return _WHOLE_PASS if share >= 1 else f"{round(share * 16**8):08x}"


def _cuts(passes: Mapping[str, float] | None, number: int) -> dict[str, str | None] | None:
    """{subset: `_cut` of its share in pass `number`}; None for a subset that is not in this pass. The shares of 2.5
    passes are 1.0, 1.0 and 0.5."""
    if passes is None:
        return None
    return {subset: _cut(weight - number) if weight > number else None for subset, weight in passes.items()}


def _hash(key: str) -> pl.Expr:
    """A hash of the row's id and `key`, as hex digits."""
    return pl.concat_str(pl.lit(f"{key}:"), "id").nchash.md5()


def _trained_on(source: Source, cuts: Mapping[str, str | None] | None, held_out_share: float) -> Iterator[pl.DataFrame]:
    """The documents of a source that are not held out and whose subset is in the pass. The column `cut` has the cut of
    the subset."""
    layout = source.layout
    columns = ["id", layout.text, layout.origin, *filter(None, (layout.snapshot, layout.subset))]
    if cuts is None:
        cut = pl.lit(_WHOLE_PASS)
    elif layout.subset is None:
        cut = pl.lit(cuts[""], pl.String)
    else:
        named = {subset: value for subset, value in cuts.items() if subset}
        cut = pl.col(layout.subset).replace_strict(named, default=cuts[""], return_dtype=pl.String)
    snapshot = pl.lit(NO_SNAPSHOT) if layout.snapshot is None else pl.col(layout.snapshot)
    for batch in source.read(list(dict.fromkeys(columns))):
        frame = pl.DataFrame(pl.from_arrow(batch)).filter(~is_held_out(held_out_share, layout.origin))
        yield frame.select(
            snapshot.alias("snapshot"),
            pl.lit(source.table).alias("source"),
            "id",
            pl.col(layout.text).alias("text"),
            cut.alias("cut"),
        ).drop_nulls("cut")
