"""The origins of published pages follow the documents and the pages of other snapshots."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from nemotron_assets.held_out import held_out_first
from nemotron_assets.math.corpus.release import CascadingRelease, release_parts
from nemotron_assets.math.corpus.tables import CLEANED, DUPLICATES, NEMOTRON_CC_MATH, QUALITY
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.parts import Parts
from nemotron_assets.web.dedup.tables import DUPLICATES as WEB_DUPLICATES
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse
from tests.pages import hash_of
from tests.sql.lake import frame

RELEASE = load_recipe("laptop").math.corpus.release
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def put(lake: Lakehouse, table, snapshot: str, **values) -> None:
    known = {"snapshot": snapshot, "fetched_at": NOW, "language": "en", "text": "a sum", "warc_file": "f", **values}
    row = {name: value for name, value in known.items() if name in table.column_names}
    lake.write(table, frame(table, [row]), snapshot)


def origins(lake: Lakehouse) -> dict[str, set[str]]:
    rows = lake.read(NEMOTRON_CC_MATH).scan().select("snapshot", "origin_hash", "origin_hashes").collect()
    assert all(row["origin_hash"] == held_out_first(row["origin_hashes"]) for row in rows.to_dicts())
    return {row["snapshot"]: set(row["origin_hashes"]) for row in rows.to_dicts()}


def make(lake: Lakehouse, snapshot: str) -> list:
    release = CascadingRelease(lake, snapshot, RELEASE)
    lake.write(NEMOTRON_CC_MATH, release.parts(), snapshot)
    return [(other.snapshot, other.rows_changed) for other in release.updated]


def put_page(lake: Lakehouse, snapshot: str, name: str, **cleaned) -> None:
    """A page on mathematics with its web document."""
    address = f"https://{name}.example/"
    put(lake, DOCUMENTS, snapshot, id=f"d-{name}", parents=[f"page {name}"], url=address)
    put(lake, CANDIDATE_PAGES, snapshot, id=f"p-{name}", parents=[f"page {name}"], warc_offset=1, warc_length=2)
    put(lake, RENDERED, snapshot, id=f"r-{name}", parents=[f"page {name}"])
    put(lake, CLEANED, snapshot, id=f"c-{name}", parents=[f"r-{name}"], url=address)
    put(lake, QUALITY, snapshot, id=f"q-{name}", parents=[f"c-{name}"], score=3.1, int_score=3)


def test_the_origins_of_a_page_are_the_addresses_of_its_copies_in_other_snapshots(tmp_path):
    """The web document of page b is dropped for one of A-1: its address counts as soon as A-1 has the document. Page c
    is dropped for page b in the mathematics corpus: its address counts as soon as C-3 is made."""
    lake = Lakehouse(root=str(tmp_path), free_disk_mb=0)
    a, b, c = (hash_of(f"https://{name}.example/") for name in "abc")
    put_page(lake, "B-2", "b")
    put(lake, WEB_DUPLICATES, "B-2", id="x", parents=["d-b"], duplicate_of="d-a", duplicate_of_snapshot="A-1")
    lake.write(NEMOTRON_CC_MATH, Parts(release_parts(lake, "B-2", RELEASE, Counter())), "B-2")
    assert origins(lake) == {"B-2": {b}}
    put(lake, DOCUMENTS, "A-1", id="d-a", parents=["page a"], url="https://a.example/")
    assert make(lake, "A-1") == [("B-2", True)]
    assert origins(lake) == {"B-2": {a, b}}
    assert make(lake, "A-1") == [("B-2", False)]
    put_page(lake, "C-3", "c")
    put(lake, DUPLICATES, "C-3", id="y", parents=["c-c"], duplicate_of="c-b", duplicate_of_snapshot="B-2")
    assert make(lake, "C-3") == [("B-2", True)]
    assert origins(lake) == {"B-2": {a, b, c}}
    assert make(lake, "C-3") == [("B-2", False)]
