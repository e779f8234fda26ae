"""The origins of published pages follow the web documents of other snapshots."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from nemotron_assets.math.corpus.release import CascadingRelease, release_parts
from nemotron_assets.math.corpus.tables import CLEANED, NEMOTRON_CC_MATH, QUALITY
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.parts import Parts
from nemotron_assets.web.dedup.tables import DUPLICATES as WEB_DUPLICATES
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse
from tests.sql.lake import frame

RELEASE = load_recipe("laptop").math.corpus.release
NOW = datetime(2025, 1, 1, tzinfo=UTC)


def put(lake: Lakehouse, table, snapshot: str, **values) -> None:
    known = {"snapshot": snapshot, "fetched_at": NOW, "language": "en", "text": "a sum", "warc_file": "f", **values}
    row = {name: value for name, value in known.items() if name in table.column_names}
    lake.write(table, frame(table, [row]), snapshot)


def origins(lake: Lakehouse) -> dict[str, str]:
    return dict(lake.read(NEMOTRON_CC_MATH).scan().select("snapshot", "origin_hash").collect().iter_rows())


def make(lake: Lakehouse, snapshot: str) -> list:
    release = CascadingRelease(lake, snapshot, RELEASE)
    lake.write(NEMOTRON_CC_MATH, release.parts(), snapshot)
    return [(other.snapshot, other.rows_changed) for other in release.updated]


def test_the_origin_of_a_page_follows_the_web_document_of_another_snapshot(tmp_path):
    """The page of B-2 is a web document that duplicates one of A-1. Its origin is that document's hash as soon as A-1
    is made, and whenever A-1 is made again with another text; never that of a later snapshot."""
    lake = Lakehouse(root=str(tmp_path), free_disk_mb=0)
    put(lake, DOCUMENTS, "B-2", id="d-b", parents=["page"])
    put(lake, WEB_DUPLICATES, "B-2", id="x", parents=["d-b"], duplicate_of="d-a", duplicate_of_snapshot="A-1")
    put(lake, CANDIDATE_PAGES, "B-2", id="p-b", parents=["page"], warc_offset=1, warc_length=2)
    put(lake, RENDERED, "B-2", id="r-b", parents=["page"])
    put(lake, CLEANED, "B-2", id="c-b", parents=["r-b"], content_hash="its own", url="https://math.example/")
    put(lake, QUALITY, "B-2", id="q-b", parents=["c-b"], score=3.1, int_score=3)
    lake.write(NEMOTRON_CC_MATH, Parts(release_parts(lake, "B-2", RELEASE, Counter())), "B-2")
    assert origins(lake) == {"B-2": "its own"}, "web.unique_documents of A-1 is not made yet"
    put(lake, UNIQUE_DOCUMENTS, "A-1", id="u-a", parents=["d-a"], content_hash="of A-1")
    assert make(lake, "A-1") == [("B-2", True)]
    assert origins(lake) == {"B-2": "of A-1"}
    assert make(lake, "A-1") == [("B-2", False)]
    put(lake, UNIQUE_DOCUMENTS, "A-1", id="u-a", parents=["d-a"], content_hash="of A-1, cut")
    assert make(lake, "C-3") == []
    assert make(lake, "A-1") == [("B-2", True)]
    assert origins(lake) == {"B-2": "of A-1, cut"}
