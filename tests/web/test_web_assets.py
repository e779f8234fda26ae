"""The pages of the sample through the real assets and lake: documents, languages, duplicates, and repeated runs."""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import polars as pl

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.web.assets import documents
from nemotron_assets.web.dedup import assets as dedup
from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
from nemotron_assets.web.documents import SnapshotDocuments
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION
from resources.compute import Compute
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.web.conftest import SNAPSHOTS, page_truth


def test_all_checks_pass(house):
    _, _, results, *_ = house
    for result in results.values():
        evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
        assert [name for name, e in evaluations.items() if not e.passed] == []
        assert evaluations.keys() >= {
            "every_page_accounted_for",
            "extraction_failures",
            "languages",
            "every_text_signed_once",
            "pairs_are_alike",
            "duplicates_point_backwards",
            "kept_documents_differ",
            "spans_are_in_kept_documents",
            "every_text_once",
        }
        assert "data:image/png;base64," in evaluations["languages"].metadata["language_mix"].value


def test_languages_are_right(truth):
    # fastText has one label for Norwegian Bokmål and Norwegian; half-translated pages have two languages.
    known = truth.filter(pl.col("true_language").is_not_null() & (pl.col("characters") > 200))
    expected = pl.col("true_language").replace({"nb": "no"})
    share = known.select((pl.col("language") == expected).mean()).item()
    assert share >= 0.97
    assert known.height > 700


def test_no_language_is_deleted_wholesale(truth):
    all_languages = {record["language"] for record in page_truth() if record["kind"] == "article"}
    assert all_languages - {None} == set(truth["true_language"]) - {None}


def test_texts_are_clean(truth):
    assert not truth["text"].str.contains("\x00|\r").any()
    assert truth["text"].str.len_chars().equals(truth["characters"].cast(pl.UInt32))
    # These pages (German, Spanish, Danish ...) are not UTF-8, so a wrong decoding would show here.
    foreign = truth.filter(pl.col("flags").list.contains("not-utf8"))
    assert foreign.height >= 10
    assert not foreign["text"].str.contains("\ufffd|Ã.|â€").any()


def test_nothing_failed_and_every_page_has_a_fate(house):
    lake, *_ = house
    counts = lake.read(EXTRACTION).scan().group_by("fate").agg(pl.col("pages").sum()).collect()
    counts = dict(counts.iter_rows())
    assert sum(counts.values()) == lake.read(PAGES).rows
    assert "rejected" not in counts
    assert lake.read(QUARANTINE).scan().filter(pl.col("stage") == "web.documents").collect().is_empty()


def test_running_again_changes_nothing(house):
    _, run, _, _, stale, _ = house
    keys = {asset.key for asset in (documents, *dedup.ASSETS)}
    versions = {}
    for _ in range(2):
        for snapshot in SNAPSHOTS:
            result = run(documents, *dedup.ASSETS, snapshot=snapshot)
            made = {
                e.asset_key: e.step_materialization_data.materialization
                for e in result.all_events
                if e.is_step_materialization and e.asset_key in keys
            }
            for key, event in made.items():
                version = event.tags["dagster/data_version"]
                assert versions.setdefault((key, snapshot), version) == version
                assert event.metadata.get("rewritten_partitions", dg.MetadataValue.text("none")).value == "none"
                if key not in (DUPLICATES.asset_key, UNIQUE_DOCUMENTS.asset_key):
                    assert event.metadata["parts_written"].value == 0
    assert stale() == []


def test_a_run_killed_before_its_counts_makes_that_file_again(house):
    lake, run, *_ = house
    file, *_ = lake.read(PAGES, SNAPSHOTS[0]).parts()
    before = lake.read(EXTRACTION).scan().collect().sort("id")
    lake.replace(EXTRACTION, before[:0], {"warc_file": file})
    result = run(documents, snapshot=SNAPSHOTS[0])
    made = next(e for e in result.all_events if e.is_step_materialization and e.asset_key == DOCUMENTS.asset_key)
    assert made.step_materialization_data.materialization.metadata["parts_written"].value == 1
    after = lake.read(EXTRACTION).scan().collect().sort("id")
    assert after.drop("state").equals(before.drop("state"))


def test_a_page_that_fails_is_quarantined_and_the_others_are_kept(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    prose = b"<p>The lake lies between two ranges of hills, and the road that leads to it has been there for as "
    prose += b"long as anyone in the village can remember, but in the winter it is closed, because of all the "
    prose += b"snow that is on it.</p>"
    bodies = {"good": prose * 3, "bad": b"<font>" * 20_000 + prose, "empty": b"<p>", "also": prose * 4}
    pages_frame = pl.DataFrame(
        {
            "id": list(bodies),
            "snapshot": "s",
            "url": "http://e.example/",
            "host": "e.example",
            "fetched_at": datetime(2025, 1, 1, tzinfo=UTC),
            "status": pl.Series([200] * 4, dtype=pl.Int32),
            "mime": "text/html",
            "charset": "utf-8",
            "charset_source": "header",
            "html": list(bodies.values()),
            "payload_digest": "",
            "http_headers": pl.Series([None] * 4, dtype=pl.String),
            "opt_outs": pl.Series([None, [], [], []], dtype=pl.List(pl.String)),
            "content_hash": list(bodies),
            "warc_file": "f",
            "warc_offset": 0,
            "warc_length": 1,
            "warc_inner_offset": pl.Series([None] * 4, dtype=pl.Int64),
            "fate": "page",
            "parents": pl.Series([[]] * 4, dtype=pl.List(pl.String)),
        }
    ).with_columns(pl.col("warc_offset", "warc_length").cast(pl.Int64))
    lake.write(PAGES, Parts([Part("f", "1", lambda: pages_frame)]), "s")
    compute = Compute(workers=1)
    run = SnapshotDocuments(lake.read(PAGES, "s"), current_recipe().web.documents, compute, lake, "run-1")
    lake.write(DOCUMENTS, run.parts(), "s")
    compute.close()
    kept = lake.read(DOCUMENTS).scan().select(pl.col("parents").list.first()).collect()["parents"]
    assert sorted(kept) == ["also", "good"]
    failed = lake.read(QUARANTINE).scan().select("stage", "part", "row_id", "cause").collect().rows()
    assert failed == [("web.documents", "f", "bad", "nested_too_deeply")]
    counts = lake.read(EXTRACTION).scan().select("fate", "pages").collect().rows()
    assert sorted(counts) == [("document", 2), ("no_text", 1), ("rejected", 1)]
