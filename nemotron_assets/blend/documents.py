"""Which documents go into the blend, and in which order.

Both the tokenizer and the token shards are made from the published tables, without held-out documents and without
anything written from a held-out document or source file: every row says which one it is or comes from. Each subset is
taken as often as its number of passes says. Snapshots come one after the other, so that a new one adds shards and
leaves the old ones as they are; what is in no snapshot, source code, stands where one more would. Within a snapshot the
order is that of a hash, which mixes the sources and does not depend on how the tables are stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl
import polars_hash  # noqa: F401  the .nchash namespace
import pyarrow as pa

from nemotron_assets.blend.ordering import in_order
from nemotron_assets.held_out import is_held_out
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.blend import Blend, Layout

_WHOLE_PASS = "g"  # above every hex digit
#: Where documents of no snapshot go; no snapshot can have this name.
NO_SNAPSHOT = "-"
_STREAM = ("snapshot", "source", "id", "text")


@dataclass(frozen=True)
class Source:
    """A table the model is trained on: `read` gives a fresh stream of the named columns."""

    table: str
    read: Callable[[list[str]], Iterable[pa.RecordBatch]]
    layout: Layout = field(default_factory=Layout)

    def passes(self, weights: Mapping[str, float]) -> dict[str, float]:
        """{subset: passes} by the recipe's weights, named table/subset; "" stands for all that is not named."""
        named = {"": weights.get(self.table, 0.0)}
        if self.layout.subset is not None:
            prefix = f"{self.table}/"
            named |= {name.removeprefix(prefix): passes for name, passes in weights.items() if name.startswith(prefix)}
        return named


def ordered_stream(sources: Sequence[Source], recipe: Blend) -> Iterator[pa.RecordBatch]:
    """What the model is trained on, in order: batches with the columns snapshot, source (the table), id, text."""
    selects = [(source, source.passes(recipe.weights)) for source in sources]
    for frame in in_order(_chosen(selects, recipe, share=1.0), recipe.sort_memory_mb):
        yield from frame.select(_STREAM).to_arrow(compat_level=pl.CompatLevel.oldest()).to_batches(max_chunksize=1_024)


def text_sample(sources: Sequence[Source], recipe: Recipe, megabytes: int) -> Iterator[list[str]]:
    """About `megabytes` of text (everything if there is less) for the tokenizer, chosen by hash, as lists of texts.

    Every subset counts once, whatever its weight, so that trying out weights does not change the vocabulary.
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
    """The documents of all passes (None: of one over everything); of a part of a pass, and of a `share` below 1, those
    whose hash is low enough. `place` is the hash that puts them in order."""
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
    """The 32-bit hash, as hex digits, below which the first `share` of all hashes lies."""
    return _WHOLE_PASS if share >= 1 else f"{round(share * 16**8):08x}"


def _cuts(passes: Mapping[str, float] | None, number: int) -> dict[str, str | None] | None:
    """{subset: cut} of what is left of each subset for pass `number`, None for nothing: of 2.5 passes 1.0, 1.0, 0.5."""
    if passes is None:
        return None
    return {subset: _cut(weight - number) if weight > number else None for subset, weight in passes.items()}


def _hash(key: str) -> pl.Expr:
    """Hex digits that depend on the row's id and `key`."""
    return pl.concat_str(pl.lit(f"{key}:"), "id").nchash.md5()


def _trained_on(source: Source, cuts: Mapping[str, str | None] | None, held_out_share: float) -> Iterator[pl.DataFrame]:
    """The rows that are not held out and whose subset has a `cut`, which becomes a column."""
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
