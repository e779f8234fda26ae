"""Which documents of a snapshot are dropped as duplicates, and which kept document each of them duplicates.

The decision is made per text, and exact copies and near-duplicates are decided together. A text stands for all
documents that have it; its place in the order of precedence is that of its earliest document over all snapshots, by
(snapshot, fetched_at, id). Verified pairs of texts are the edges of a graph. Only the connected components with a text
of the snapshot are looked at. A document whose text is in no pair and in no other document is kept and never loaded: a
Bloom filter of the snapshot's texts finds the others in one pass over the hashes of all documents.

- `direct` drops a text that is paired with an earlier text that is kept. So a text is never dropped because of a text
  that is dropped itself, and later snapshots never change the decisions about a snapshot.
- `components` keeps only the earliest text of every component (Nemotron-CC §2.1).

Memory: 24 bytes per text with a pair, over all snapshots that are read, and `memory_mb` each for the filter and for
DuckDB, which has the pairs and spills them to the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from nemotron_assets.dedup.bloom import BloomFilter
from nemotron_assets.dedup.clusters import decide, link, roots
from nemotron_assets.dedup.hashes import leading
from nemotron_assets.dedup.workspace import load, workspace

#: The columns of `web.documents` and of `web.near_duplicates` that are read.
DOCUMENT_COLUMNS = ("id", "snapshot", "fetched_at", "content_hash")
PAIR_COLUMNS = ("snapshot", "other_snapshot", "content_hash", "other_content_hash", "similarity")

#: Edges and labels that are in memory at a time.
_AT_ONCE = 1 << 18

#: Reads some columns of documents, in batches. It is called several times.
Read = Callable[[tuple[str, ...]], Iterable[pa.RecordBatch]]

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

_LABELS = pa.schema([("content_hash", pa.large_string()), ("component", pa.int64())])

# The loaded texts at their earliest documents; `place` numbers those with pairs in the order of precedence.
_TEXTS = """
create table texts as
with
    earliest as (
        select content_hash, min(struct_pack(snapshot, fetched_at, id)) as document
        from (from other_documents union all from documents)
        group by content_hash
    )
select
    content_hash, document.id as id, document.snapshot as snapshot, component,
    case when component is not null
        then row_number() over (partition by component is null order by document) - 1
    end as place
from earliest left join members using (content_hash)
"""

# The pairs as places, the later text first. With `direct`, only the pairs count that were found when the later text's
# snapshot was compared: a pair that a later snapshot finds between old texts must not change an old decision.
_EDGES = """
select late.place as late, early.place as early, max(similarity) as similarity
from pairs
join texts as one using (content_hash)
join texts as other on other.content_hash = pairs.other_content_hash
cross join lateral (select greatest(one.place, other.place) as place) as late
cross join lateral (select least(one.place, other.place) as place) as early
where one.place <> other.place
  and (not $direct or pairs.snapshot = case when one.place > other.place then one.snapshot else other.snapshot end)
group by all
order by all
"""

# The dropped documents. `text` is the earliest document with the same text, which pairs were compared at.
_DROPPED = """
select
    documents.id, kept.id as duplicate_of, kept.snapshot as duplicate_of_snapshot,
    case when kept.content_hash = documents.content_hash then 'exact' else 'near' end as kind,
    case when kept.content_hash = documents.content_hash then 1.0 else decided.similarity end as similarity,
    coalesce(root.id, kept.id) as cluster,
    text.id as text_document, text.snapshot as text_snapshot
from documents
join texts as text using (content_hash)
left join decided on decided.place = text.place
join texts as kept on kept.content_hash = coalesce(decided.kept_hash, documents.content_hash)
left join texts as root on root.content_hash = decided.root_hash
where documents.id <> kept.id
order by documents.id
"""


def dropped_documents(
    documents: Read,
    other_documents: Read,
    pairs: Iterable[pa.RecordBatch],
    *,
    texts: int,
    linkage: str,
    memory_mb: int,
    measure: Callable[[pl.DataFrame], pl.DataFrame],
) -> Iterator[pl.DataFrame]:
    """The dropped documents of one snapshot: frames of id, duplicate_of, duplicate_of_snapshot, kind, similarity and
    cluster, ordered by id.

    `documents` reads the snapshot's documents, which are about `texts`. `other_documents` reads those of all other
    snapshots that take part; with the linkage `direct` only earlier ones do. Both have `DOCUMENT_COLUMNS`. `pairs` are
    the pairs of all these snapshots with `PAIR_COLUMNS`. `measure` adds the column similarity to frames of (document,
    snapshot, other, other_snapshot). It is needed where a text was never compared with the kept text of its component.
    """
    with workspace(memory_mb) as connection:
        load(connection, "pairs", _PAIRS, pairs)
        _label(connection)
        # Holds the snapshot's texts once, and twice those that another document or a pair has, too.
        seen = BloomFilter(texts, memory_mb)
        for batch in documents(("content_hash",)):
            seen.add(_keys(batch))
        _choose_members(connection, seen)
        load(connection, "other_documents", _DOCUMENTS, _seen(other_documents, seen))
        repeated = (batch.take(pa.array(seen.find_repeated(_keys(batch)))) for batch in documents(DOCUMENT_COLUMNS))
        load(connection, "documents", _DOCUMENTS, repeated)
        connection.execute(_TEXTS)
        _decide(connection, linkage)
        for batch in connection.execute(_DROPPED).to_arrow_reader(65_536):
            yield _measured(pl.from_arrow(batch), measure).drop("text_document", "text_snapshot")


def _keys(batch: pa.RecordBatch) -> np.ndarray:
    return leading(batch.column("content_hash"))


def _seen(documents: Read, seen: BloomFilter) -> Iterator[pa.RecordBatch]:
    """The documents whose text may be in the filter; each is added to it, so that its text counts as repeated."""
    for batch in documents(DOCUMENT_COLUMNS):
        keys = _keys(batch)
        found = seen.find(keys)
        seen.add(keys[found])
        yield batch.take(pa.array(found))


def _choose_members(connection: duckdb.DuckDBPyConnection, seen: BloomFilter) -> None:
    """Make the table `members`: the texts of all components that have a text of the filter, to which they are added."""

    def touched(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield batch.take(pa.array(seen.find(_keys(batch))))

    with connection.cursor() as cursor:
        labels = cursor.execute("select content_hash, component from labels").to_arrow_reader(_AT_ONCE)
        load(connection, "touched", _LABELS, touched(labels), "select distinct component from stream")
        connection.execute("create table members as from labels semi join touched using (component)")
        for batch in cursor.execute("select content_hash from members").to_arrow_reader(_AT_ONCE):
            seen.add(_keys(batch))


def _label(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `labels`: the component of every text that has a pair."""
    connection.execute("""
        create table nodes as
        select content_hash, row_number() over () - 1 as node
        from (select content_hash from pairs union select other_content_hash from pairs)
    """)
    count = connection.execute("select count(*) from nodes").fetchone()[0]
    edges = connection.execute("""
        select one.node as one, other.node as other
        from pairs
        join nodes as one using (content_hash)
        join nodes as other on other.content_hash = pairs.other_content_hash
    """)
    parents = np.arange(count)
    for batch in edges.to_arrow_reader(_AT_ONCE):
        link(parents, batch.column("one").to_numpy(), batch.column("other").to_numpy())
    connection.register("roots", pa.table({"node": np.arange(count), "component": roots(parents)}))
    connection.execute("create table labels as select content_hash, component from nodes join roots using (node)")
    connection.unregister("roots")
    connection.execute("drop table nodes")


def _decide(connection: duckdb.DuckDBPyConnection, linkage: str) -> None:
    """Make the table `decided`: for every text with a pair, the kept text (itself, or the one that it duplicates) and
    the earliest text of its component."""
    count = connection.execute("select count(place) from texts").fetchone()[0]
    places = np.arange(count)
    roots = connection.execute(
        "select min(place) over (partition by component) as root from texts where place is not null order by place"
    ).fetchnumpy()["root"]
    kept, similarities = np.full(count, -1), np.full(count, np.nan)
    edges = connection.execute(_EDGES, {"direct": linkage == "direct"}).to_arrow_reader(_AT_ONCE)
    for batch in edges:
        late, early, similarity = (batch.column(name).to_numpy() for name in ("late", "early", "similarity"))
        if linkage == "direct":
            decide(kept, similarities, late, early, similarity)
        else:
            known = roots[late] == early
            similarities[late[known]] = similarity[known]
    kept = np.where(kept < 0, places, kept) if linkage == "direct" else np.asarray(roots)
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
    """The same rows, with the missing similarities filled in by `measure`."""
    if not dropped["similarity"].null_count():
        return dropped
    missing = dropped.filter(pl.col("similarity").is_null()).select(
        document="text_document", snapshot="text_snapshot", other="duplicate_of", other_snapshot="duplicate_of_snapshot"
    )
    found = measure(missing.unique()).select(text_document="document", duplicate_of="other", measured="similarity")
    rows = dropped.join(found, on=["text_document", "duplicate_of"], how="left", maintain_order="left")
    return rows.with_columns(similarity=pl.coalesce("similarity", "measured")).drop("measured")
