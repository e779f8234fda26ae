"""Similarities of pairs of documents that are looked up by id in files of every kind."""

from __future__ import annotations

import polars as pl
import pytest
from deltalake import DeltaTable

from nemotron_assets.dedup.shingle_store import ShingleStore
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse
from resources.pointreads import values_at
from tests.web.dedup.lake import SIGNED, put
from tests.web.dedup.test_arrivals import ROWS, text

MORE = [(f"x{k}", "A-1", k, text(7 + k, 0), "en") for k in range(300)]


def similarities(lake: Lakehouse, pairs) -> dict[tuple[str, str], float]:
    store = ShingleStore(SIGNED)
    store.add(lake.read(DOCUMENTS), pl.Series([i for pair in pairs for i in pair], dtype=pl.String).unique())
    frame = pl.DataFrame(pairs, schema={"one": pl.String, "other": pl.String}, orient="row")
    found = store.similarities(frame, "one", "other")
    assert (found["containment"] >= found["similarity"]).all() and (found["containment"] <= 1).all()
    return {(one, other): similarity for one, other, similarity in found.drop("containment").iter_rows()}


@pytest.mark.parametrize("name", ["lake", "a lake with 100% odd name"])
@pytest.mark.parametrize("compacted", [False, True])
def test_similarities_of_documents(tmp_path, name, compacted):
    lake = Lakehouse(root=str(tmp_path / name))
    for snapshot in ("A-1", "B-2", "C-3"):
        put(lake, [*ROWS, *MORE], snapshot)
    if compacted:
        DeltaTable(lake.path(DOCUMENTS)).optimize.compact()
    else:
        path = lake.read(DOCUMENTS, "A-1").files()[0]
        ids = pl.read_parquet(path, columns=["id", "text"])
        assert values_at(path, "text", [0, 100]) == [ids["text"][0].encode(), ids["text"][100].encode()]
    found = similarities(lake, [("a1", "b1"), ("a1", "a2"), ("c2", "b2"), ("x0", "x299"), ("a1", "gone")])
    assert found == {
        ("a1", "b1"): pytest.approx(55 / 61),
        ("a1", "a2"): 0.0,
        ("c2", "b2"): 1.0,
        ("x0", "x299"): 0.0,
    }


def test_no_pairs(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    put(lake, ROWS, "A-1")
    assert similarities(lake, []) == {} == similarities(lake, [("gone", "a1")])
