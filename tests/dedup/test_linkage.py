"""Which documents are dropped, and for which kept one, against a naive version of the two linkages."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup.linkage import _DOCUMENTS, _PAIRS, dropped_documents
from nemotron_assets.table.ids import content_hash

START = datetime(2025, 1, 1, tzinfo=UTC)
SNAPSHOTS = ("A", "B", "C")

documents = st.lists(st.tuples(st.sampled_from(SNAPSHOTS), st.integers(0, 2), st.integers(0, 6)), max_size=14).map(
    lambda rows: [(f"d{k:02}", snapshot, hour, text) for k, (snapshot, hour, text) in enumerate(rows)]
)
edges = st.dictionaries(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda pair: pair[0] < pair[1]), st.floats(0.8, 0.99)
)


def rows_of(documents) -> list[pa.RecordBatch]:
    rows = [
        {"id": i, "snapshot": s, "fetched_at": START + timedelta(hours=h), "content_hash": content_hash(str(text))}
        for i, s, h, text in documents
    ]
    return pa.Table.from_pylist(rows, _DOCUMENTS).to_batches()


def reading(documents) -> Callable[[tuple[str, ...]], list[pa.RecordBatch]]:
    return lambda columns: [batch.select(columns) for batch in rows_of(documents)]


def pairs_of(documents, edges) -> list[pa.RecordBatch]:
    """The rows of all parts: pairs are listed where both texts are, except between snapshots that share one of them."""
    texts = {s: {text for _, other, _, text in documents if other == s} for s in SNAPSHOTS}
    rows = []
    for (one, other), similarity in edges.items():
        for late, early in itertools.product(SNAPSHOTS, SNAPSHOTS):
            for a, b in ((one, other), (other, one)):
                inside = late == early and a < b
                between = early < late and a not in texts[early] and b not in texts[late]
                if a in texts[late] and b in texts[early] and (inside or between):
                    rows.append((late, early, content_hash(str(a)), content_hash(str(b)), similarity))
    table = pa.table(dict(zip(_PAIRS.names, zip(*rows, strict=True), strict=True)), _PAIRS) if rows else None
    return table.to_batches() if rows else []


def reference(documents, edges, snapshot: str, linkage: str) -> dict[str, tuple]:
    """Dropped document -> (duplicate_of, kind, cluster)."""
    order = sorted(documents, key=lambda row: (row[1], row[2], row[0]))
    if linkage == "direct":
        order = [row for row in order if row[1] <= snapshot]
    first: dict[int, tuple] = {}
    for row in order:
        first.setdefault(row[3], row)
    texts = list(first)
    alike = {frozenset(pair) for pair in edges if set(pair) <= first.keys()}
    root = {text: text for text in texts}
    for _ in texts:
        for pair in alike:
            lowest = min((root[text] for text in pair), key=texts.index)
            for text in pair:
                root[text] = lowest
    kept: dict[int, int] = {}
    for text in texts:
        if linkage == "components":
            kept[text] = root[text]
            continue
        earlier = [e for e in texts[: texts.index(text)] if frozenset((e, text)) in alike and kept[e] == e]
        kept[text] = earlier[0] if earlier else text
    return {
        row[0]: (first[kept[row[3]]][0], "exact" if kept[row[3]] == row[3] else "near", first[root[row[3]]][0])
        for row in order
        if row[1] == snapshot and first[kept[row[3]]][0] != row[0]
    }


@pytest.mark.parametrize("linkage", ["direct", "components"])
@settings(max_examples=15, deadline=None)
@given(documents, edges)
def test_the_rules(linkage, documents, edges):
    for snapshot in SNAPSHOTS:
        here = [row for row in documents if linkage == "components" or row[1] <= snapshot]
        asked = []

        def measure(missing: pl.DataFrame, asked=asked) -> pl.DataFrame:
            asked.append(missing)
            return missing.with_columns(similarity=pl.lit(0.5))

        found = pl.concat(
            [
                pl.DataFrame(schema={"id": pl.String}),
                *dropped_documents(
                    reading([row for row in here if row[1] == snapshot]),
                    reading([row for row in here if row[1] != snapshot]),
                    pairs_of(here, edges),
                    texts=len(here),
                    linkage=linkage,
                    memory_mb=128,
                    measure=measure,
                ),
            ],
            how="diagonal",
        )
        rows = {row["id"]: row for row in found.iter_rows(named=True)}
        got = {i: (row["duplicate_of"], row["kind"], row["cluster"]) for i, row in rows.items()}
        assert got == reference(documents, edges, snapshot, linkage)
        text = {i: text for i, _, _, text in documents}
        for i, row in rows.items():
            pair = tuple(sorted((text[i], text[row["duplicate_of"]])))
            known = 1.0 if pair[0] == pair[1] else edges.get(pair, 0.5)
            assert row["similarity"] == known
        assert linkage == "components" or not asked
