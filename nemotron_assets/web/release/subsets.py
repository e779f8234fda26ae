"""Selects the texts of every subset of Nemotron-CC-v2 and finds the web document behind each text, its origin.

A curated page is its own origin. A text that a model wrote has its document as parent; a translation has the sample
that it translates as parent, whose parent is the document. The quality level of the origin decides whether a text is
in a subset.

DuckDB joins the ids, because it spills to disk when the ids of a snapshot do not fit into memory. The texts are
streamed through the join in the order in which they are stored.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import duckdb
import polars as pl
import pyarrow as pa

from nemotron_assets.held_out import ADDRESS, page_hash
from nemotron_assets.recipe.release import Subset
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part, Reject
from nemotron_assets.table.scratch import scratch_folder
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2

CURATED, QA = "web.curated", "web.diverse_qa"
#: The tables on the way from a source's rows to their web documents, nearest first.
CHAINS = {
    CURATED: (),
    "web.rephrased": (CURATED,),
    QA: (CURATED,),
    "web.translated_diverse_qa": (QA, CURATED),
}

Read = Callable[[list[str]], Iterable[pa.RecordBatch]]
_LINKS = pa.schema([("id", pa.large_string()), ("parent", pa.large_string())])
_ORIGINS = pa.schema([("id", pa.large_string()), ("level", pa.large_string()), ("origin_hash", pa.large_string())])
#: Columns that are computed, with the column of the table that they are computed from.
_COMPUTED = {"parent": ("parents", pl.col("parents").list.first()), "origin_hash": (ADDRESS, page_hash())}
_TEXTS = pa.schema([(n, pa.large_string()) for n in ("id", "parent", "snapshot", "language", "text", "prompt")])


@dataclass
class Tally:
    """Numbers of rows per subset: rows that were taken, and rows that were left out for their level or prompt."""

    taken: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)


def rows(
    name: str, subset: Subset, tables: dict[str, Read], memory_mb: int, reject: Callable[[Reject], None], tally: Tally
) -> Iterator[pl.DataFrame]:
    """The rows of one subset and snapshot. `tables` has a function for every table in `CHAINS` that reads columns of
    it.

    A row without text, or whose web document is not in `web.curated`, goes to `reject` and is not published.
    """
    texts = _pages(tables[CURATED]) if subset.table == CURATED else _with_origins(subset.table, tables, memory_mb)
    for frame in texts:
        orphan, empty = pl.col("level").is_null(), pl.col("text").str.strip_chars() == ""
        for id_, is_orphan in frame.filter(orphan | empty).select("id", orphan).iter_rows():
            cause, detail = ("no_origin", "its web document is not in web.curated") if is_orphan else ("empty_text", "")
            reject(Reject(id_, cause, detail))
        frame = frame.filter(~orphan & ~empty)
        wanted = pl.col("level").is_in(subset.levels)
        if subset.prompts is not None:
            wanted &= pl.col("prompt").is_in(subset.prompts)
        kept = frame.filter(wanted)
        tally.taken[name] += kept.height
        tally.left_out[name] += frame.height - kept.height
        if kept.height:
            yield _published(name, subset.table, kept)


def _published(name: str, table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows of `web.nemotron_cc_v2` in the order of `frame`."""
    ids = [row_id(NEMOTRON_CC_V2.full_name, name, table, id_) for id_ in frame["id"]]
    return frame.with_columns(
        id=pl.Series(ids, dtype=pl.String),
        parents=pl.concat_list("id"),
        sources=pl.concat_list(pl.lit(table)),
        subset=pl.lit(name),
        characters=pl.col("text").str.len_chars().cast(pl.Int64),
    ).select(NEMOTRON_CC_V2.column_names)


def _pages(read: Read) -> Iterator[pl.DataFrame]:
    columns = ["id", "snapshot", "level", "language", "text", ADDRESS]
    for batch in read(columns):
        yield pl.DataFrame(pl.from_arrow(batch)).with_columns(origin_hash=page_hash())


def _with_origins(table: str, tables: dict[str, Read], memory_mb: int) -> Iterator[pl.DataFrame]:
    """The rows of a source table with level and hash of their origin, the document at the end of the chain."""
    *between, _ = CHAINS[table]
    with (
        scratch_folder("nemotron-release-") as spill,
        duckdb.connect(config={"memory_limit": f"{memory_mb}MB", "temp_directory": str(spill)}) as connection,
    ):
        # The texts are the streaming side of the join, and one thread keeps their order: equal inputs give equal files.
        connection.execute("set threads = 1")
        connection.execute("set disabled_optimizers = 'join_order,build_side_probe_side'")
        connection.register("stream", _reader(tables[CURATED], _ORIGINS))
        connection.execute("create temp table origins as select * from stream")
        connection.unregister("stream")
        for number, step in enumerate(reversed(between)):
            connection.register("stream", _reader(tables[step], _LINKS))
            connection.execute(
                f"create temp table origins_{number} as select s.id, o.level, o.origin_hash from stream s "
                f"join origins{'' if number == 0 else f'_{number - 1}'} o on o.id = s.parent"
            )
            connection.unregister("stream")
        last = f"origins_{len(between) - 1}" if between else "origins"
        connection.register("texts", _reader(tables[table], _TEXTS))
        query = f"select t.*, o.level, o.origin_hash from texts t left join {last} o on o.id = t.parent"
        for batch in connection.execute(query).to_arrow_reader(1_024):
            yield pl.DataFrame(pl.from_arrow(batch))


def _reader(read: Read, schema: pa.Schema) -> pa.RecordBatchReader:
    """Reads the columns of `schema` from a table. The column "parent" is the first entry of `parents`, "origin_hash"
    the hash of the document's address."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in read([_COMPUTED[name][0] if name in _COMPUTED else name for name in schema.names]):
            computed = {name: made for name, (_, made) in _COMPUTED.items() if name in schema.names}
            frame = pl.DataFrame(pl.from_arrow(batch)).with_columns(**computed)
            yield from (
                frame.select(schema.names).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema).to_batches()
            )

    return pa.RecordBatchReader.from_batches(schema, batches())


def parts(
    subsets: dict[str, Subset],
    tables: dict[str, Read],
    contents: dict[str, str],
    memory_mb: int,
    reject: Callable[[Reject], None],
    tally: Tally,
) -> Iterator[Part]:
    """The subsets of a snapshot, one part each. A part is made again when the `contents` (a hash) of a table in its
    chain have changed."""
    for name, subset in subsets.items():
        chain = (subset.table, *CHAINS[subset.table])
        made_from = " ".join(f"{table}={contents[table]}" for table in chain)
        yield Part(name, made_from, functools.partial(rows, name, subset, tables, memory_mb, reject, tally))
