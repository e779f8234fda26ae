"""Which documents go into the blend, and in which order.

Both the tokenizer and the token shards are made from the published tables, without held-out documents and without
anything written from a held-out document or source file: every row says which one it is or comes from. Each subset is
taken as often as its number of passes says. Snapshots come one after the other, so that a new one adds shards and
leaves the old ones as they are; what is in no snapshot, source code, stands where one more would. Within a snapshot the
order is that of a hash, which mixes the sources and does not depend on how the tables are stored. DuckDB does the
sorting, because it spills to disk when the texts do not fit in memory.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import duckdb
import polars as pl
import pyarrow as pa

from nemotron_assets.blend.sources import Layout
from nemotron_assets.blend.split import is_held_out
from nemotron_assets.recipe import Blend, Recipe

_WHOLE_PASS = "g"  # above every hex digit
#: Where documents of no snapshot go; no snapshot can have this name.
NO_SNAPSHOT = "-"
_STREAM = pa.schema([(name, pa.large_string()) for name in ("id", "snapshot", "text", "cut")])


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
    return _stream(selects, recipe, share=1.0, ordered=True)


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
    for batch in _stream([(source, None) for source in sources], recipe.blend, share, ordered=False):
        yield batch.column("text").to_pylist()


def _stream(
    sources: Sequence[tuple[Source, Mapping[str, float] | None]], recipe: Blend, share: float, ordered: bool
) -> Iterator[pa.RecordBatch]:
    """The documents of all passes (None: of one over everything); of a part of a pass, and of a `share` below 1, those
    whose hash is low enough."""
    with (
        tempfile.TemporaryDirectory(prefix="nemotron-blend-") as spill,
        duckdb.connect(config={"memory_limit": f"{recipe.sort_memory_mb}MB", "temp_directory": spill}) as connection,
    ):
        connection.execute("set preserve_insertion_order = false")  # the query orders; keeping it too costs memory
        selects = []
        for source, passes in sources:
            rounds = 1 if passes is None else math.ceil(max(passes.values(), default=0.0))
            for number in range(rounds):
                name, key = f"{source.table.replace('.', '_')}_{number}", f"{recipe.seed}:{number}"
                connection.register(name, _reader(source, _cuts(passes, number), recipe.held_out_share))
                selects.append(
                    f"select snapshot, '{source.table}' as source, id, text, md5('order:{key}:' || id) as place "
                    f"from {name} where {_hash(f'pass:{key}')} < cut and {_hash(f'sample:{key}')} < '{_cut(share)}'"
                )
        if selects:
            order = "order by snapshot, place, id" if ordered else ""
            query = f"select snapshot, source, id, text from ({' union all '.join(selects)}) {order}"
            yield from connection.execute(query).to_arrow_reader(1_024)


def _cut(share: float) -> str:
    """The 32-bit hash, as hex digits, below which the first `share` of all hashes lies."""
    return _WHOLE_PASS if share >= 1 else f"{round(share * 16**8):08x}"


def _cuts(passes: Mapping[str, float] | None, number: int) -> dict[str, str | None] | None:
    """{subset: cut} of what is left of each subset for pass `number`, None for nothing: of 2.5 passes 1.0, 1.0, 0.5."""
    if passes is None:
        return None
    return {subset: _cut(weight - number) if weight > number else None for subset, weight in passes.items()}


def _hash(key: str) -> str:
    """SQL: eight hex digits that depend on the row's id and `key`."""
    return f"substr(md5('{key}:' || id), 1, 8)"


def _reader(source: Source, cuts: Mapping[str, str | None] | None, held_out_share: float) -> pa.RecordBatchReader:
    """A stream of `_STREAM`'s columns: the rows that are trained on and whose subset has a cut."""
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

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in source.read(list(dict.fromkeys(columns))):
            frame = pl.DataFrame(pl.from_arrow(batch)).filter(~is_held_out(held_out_share, layout.origin))
            frame = frame.select("id", snapshot.alias("snapshot"), pl.col(layout.text).alias("text"), cut.alias("cut"))
            frame = frame.filter(pl.col("cut").is_not_null())
            yield from frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_STREAM).to_batches()

    return pa.RecordBatchReader.from_batches(_STREAM, batches())
