"""Which documents of a snapshot are dropped, and for which one that is kept: exact copies and near-duplicates at once.

What is decided about are texts, each at its earliest document over all snapshots by (snapshot, fetched_at, id); all
other documents with that text share its fate. Verified pairs of texts are the edges of a graph, of which only the
connected components that reach into the snapshot are looked at. `direct` drops a text that is paired with an earlier
one that is kept, so nothing is dropped for the sake of something dropped, and what is decided about a snapshot never
changes with later ones. `components` keeps the earliest text of every component (Nemotron-CC §2.1).

Memory: 24 bytes per pair and 16 per text with a pair, over all snapshots looked at; the rest is DuckDB's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from nemotron_assets.dedup.clusters import components, direct
from nemotron_assets.dedup.workspace import load, workspace

#: What is read of `web.documents` and of `web.near_duplicates`.
DOCUMENT_COLUMNS = ("id", "snapshot", "fetched_at", "content_hash")
PAIR_COLUMNS = ("snapshot", "other_snapshot", "content_hash", "other_content_hash", "similarity")

#: Hashes of texts looked for in one pass over those of the other documents.
_HASHES_AT_ONCE = 2_000_000

_DOCUMENTS = pa.schema(
    [
        ("id", pa.large_string()),
        ("snapshot", pa.large_string()),
        ("fetched_at", pa.timestamp("us", tz="UTC")),
        ("content_hash", pa.large_string()),
    ]
)
_PAIRS = pa.schema(
    [
        ("snapshot", pa.large_string()),
        ("other_snapshot", pa.large_string()),
        ("content_hash", pa.large_string()),
        ("other_content_hash", pa.large_string()),
        ("similarity", pa.float64()),
    ]
)

# Texts of the snapshot, and those of the components that reach into it.
_RELEVANT = """
create table members as
with touched as (select distinct component from labels semi join mine using (content_hash))
select content_hash, component from labels semi join touched using (component);
create table relevant as select content_hash from members union select content_hash from mine
"""

# The same in the order of precedence.
_TEXTS = """
create table texts as
with
    theirs as (
        select * from others semi join relevant using (content_hash)
        union all
        select * from mine
    ),
    earliest as (
        select content_hash, min(struct_pack(snapshot, fetched_at, id)) as document from theirs group by content_hash
    )
select
    content_hash, document.id as id, document.snapshot as snapshot, component,
    case when component is not null
        then row_number() over (partition by component is null order by document) - 1
    end as place
from earliest left join members using (content_hash)
"""

# Pairs as places, the later one first. With `direct`, what was decided about a text in its own snapshot must not be
# decided anew with pairs that a later snapshot finds between old texts.
_EDGES = """
select late.place as late, early.place as early, max(similarity) as similarity
from pairs
join texts as one using (content_hash)
join texts as other on other.content_hash = pairs.other_content_hash
cross join lateral (select greatest(one.place, other.place) as place) as late
cross join lateral (select least(one.place, other.place) as place) as early
where one.place <> other.place
  and (not $own or pairs.snapshot = case when one.place > other.place then one.snapshot else other.snapshot end)
group by all
"""

_DROPPED = """
select
    mine.id, kept.id as duplicate_of, kept.snapshot as duplicate_of_snapshot,
    case when kept.content_hash = mine.content_hash then 'exact' else 'near' end as kind,
    case when kept.content_hash = mine.content_hash then 1.0 else decided.similarity end as similarity,
    coalesce(root.id, kept.id) as cluster,
    text.id as text_document, text.snapshot as text_snapshot
from mine
join texts as text using (content_hash)
left join decided on decided.place = text.place
join texts as kept on kept.content_hash = coalesce(decided.kept_hash, mine.content_hash)
left join texts as root on root.content_hash = decided.root_hash
where mine.id <> kept.id
order by mine.id
"""


def dropped_documents(
    mine: Iterable[pa.RecordBatch],
    others: pl.LazyFrame,
    pairs: Iterable[pa.RecordBatch],
    *,
    linkage: str,
    memory_mb: int,
    measure: Callable[[pl.DataFrame], pl.DataFrame],
) -> Iterator[pl.DataFrame]:
    """Documents of one snapshot that are dropped: frames of id, duplicate_of, duplicate_of_snapshot, kind, similarity
    and cluster, by id.

    `mine` are the snapshot's documents, `others` (lazy) those of all other snapshots that take part (with `direct`,
    of the earlier ones), both with `DOCUMENT_COLUMNS`; `pairs` are the pairs of all of them with `PAIR_COLUMNS`.
    `measure` adds the similarity to frames of (document, snapshot, other, other_snapshot): in a component, a text need
    not have been compared with the one that is kept.
    """
    with workspace(memory_mb) as connection:
        load(connection, "mine", _DOCUMENTS, mine)
        load(connection, "pairs", _PAIRS, pairs)
        _label(connection)
        connection.execute(_RELEVANT)
        load(connection, "others", _DOCUMENTS, _relevant(connection, others))
        connection.execute(_TEXTS)
        _decide(connection, linkage)
        for batch in connection.execute(_DROPPED).to_arrow_reader(65_536):
            yield _measured(pl.from_arrow(batch), measure).drop("text_document", "text_snapshot")


def _relevant(connection: duckdb.DuckDBPyConnection, others: pl.LazyFrame) -> Iterator[pa.RecordBatch]:
    """The other documents with a text that is relevant: few of very many, whose hashes alone are read."""
    with connection.cursor() as cursor:
        for batch in cursor.execute("from relevant").to_arrow_reader(_HASHES_AT_ONCE):
            hashes = pl.Series(batch.column("content_hash"))
            found = others.filter(pl.col("content_hash").is_in(hashes.implode())).select(DOCUMENT_COLUMNS)
            for frame in found.collect_batches(chunk_size=65_536, engine="streaming"):
                yield from frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_DOCUMENTS).to_batches()


def _label(connection: duckdb.DuckDBPyConnection) -> None:
    """The table `labels`: the component of every text that has a pair."""
    connection.execute("""
        create table nodes as
        select content_hash, row_number() over () - 1 as node
        from (select content_hash from pairs union select other_content_hash from pairs)
    """)
    edges = connection.execute("""
        select one.node as one, other.node as other
        from pairs
        join nodes as one using (content_hash)
        join nodes as other on other.content_hash = pairs.other_content_hash
    """).fetchnumpy()
    count = connection.execute("select count(*) from nodes").fetchone()[0]
    roots = components(count, edges["one"], edges["other"])
    labels = pa.table({"node": np.arange(count), "component": roots})
    connection.register("roots", labels)
    connection.execute("create table labels as select content_hash, component from nodes join roots using (node)")
    connection.unregister("roots")


def _decide(connection: duckdb.DuckDBPyConnection, linkage: str) -> None:
    """The table `decided`: for every text with a pair, which one is kept for it and its component's earliest."""
    count = connection.execute("select count(place) from texts").fetchone()[0]
    edges = connection.execute(_EDGES, {"own": linkage == "direct"}).fetchnumpy()
    late, early, similarity = (np.asarray(edges[name]) for name in ("late", "early", "similarity"))
    places = np.arange(count)
    roots = connection.execute(
        "select min(place) over (partition by component) as root from texts where place is not null order by place"
    ).fetchnumpy()["root"]
    if linkage == "direct":
        kept, similarities = direct(count, late, early, similarity)
        kept = np.where(kept < 0, places, kept)
    else:
        kept, similarities = np.asarray(roots), np.full(count, np.nan)
        known = kept[late] == early
        similarities[late[known]] = similarity[known]
    decided = pa.table(
        {
            "place": places,
            "kept": kept,
            "root": roots,
            "similarity": pa.array(similarities, mask=np.isnan(similarities)),
        }
    )
    connection.register("decisions", decided)
    connection.execute("""
        create table decided as
        select decisions.place, kept.content_hash as kept_hash, root.content_hash as root_hash, similarity
        from decisions
        join texts as kept on kept.place = decisions.kept
        join texts as root on root.place = decisions.root
    """)
    connection.unregister("decisions")


def _measured(dropped: pl.DataFrame, measure: Callable[[pl.DataFrame], pl.DataFrame]) -> pl.DataFrame:
    """The same rows with the similarities that are still missing."""
    if not dropped["similarity"].null_count():
        return dropped
    missing = dropped.filter(pl.col("similarity").is_null()).select(
        document="text_document", snapshot="text_snapshot", other="duplicate_of", other_snapshot="duplicate_of_snapshot"
    )
    found = measure(missing.unique()).select(text_document="document", duplicate_of="other", measured="similarity")
    rows = dropped.join(found, on=["text_document", "duplicate_of"], how="left", maintain_order="left")
    return rows.with_columns(similarity=pl.coalesce("similarity", "measured")).drop("measured")
