"""The sample's pages through the real assets and lake: documents, languages, duplicates, what is left, and re-runs."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.assets import catalog, pages, records
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table import Part, Parts
from nemotron_assets.web import CHECKS
from nemotron_assets.web.assets import documents, extraction
from nemotron_assets.web.dedup.assets import duplicates, unique_documents
from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
from nemotron_assets.web.documents import SnapshotDocuments
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION
from resources.compute import Compute
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import QUARANTINE, Lakehouse

SNAPSHOTS = ("CC-MAIN-2024-51", "CC-MAIN-2025-08")
TRUTH = SAMPLE / "truth"
GRAPH = [catalog, pages, records, documents, extraction, duplicates, unique_documents, *CHECKS]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The sample ingested, the later snapshot first, so that the earlier one arrives late."""
    recipe = current_recipe()
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("lake")))
    compute = Compute(**recipe.compute.model_dump())
    resources = {
        "lake": lake, "io_manager": lake, "recipe": recipe, "compute": compute,
        "crawl": Crawl.from_recipe(recipe.crawl),
    }  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:

        def run(*assets, snapshot: str | None = None) -> dg.ExecuteInProcessResult:
            keys = [asset.key for asset in assets]
            return dg.materialize(
                GRAPH, instance=instance, resources=resources, partition_key=snapshot,
                selection=dg.AssetSelection.assets(*keys),
            )  # fmt: skip

        run(catalog)
        results = {}
        for snapshot in reversed(SNAPSHOTS):
            results[snapshot] = run(pages, documents, duplicates, unique_documents, snapshot=snapshot)
        graph = dg.Definitions(assets=GRAPH[: -len(CHECKS)], resources=resources).get_repository_def().asset_graph

        def stale() -> list[tuple[str, str]]:
            resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
            units = [(asset.key, s) for asset in (documents, duplicates, unique_documents) for s in SNAPSHOTS]
            return [(key.path[-1], s) for key, s in units if resolver.get_status(key, s).value != "FRESH"]

        yield lake, run, results, instance, stale


def page_truth() -> list[dict]:
    return [json.loads(line) for line in gzip.decompress((TRUTH / "pages.jsonl.gz").read_bytes()).splitlines()]


@pytest.fixture(scope="module")
def truth(house):
    """One row per document: its text and language, and what is true of its page."""
    lake, *_ = house
    rows = pl.DataFrame(page_truth(), infer_schema_length=None).select(
        "snapshot", "url", "kind", "flags", true_language="language", warc_file="warc_filename",
        warc_offset="warc_record_offset",
    )  # fmt: skip
    page_ids = lake.read(PAGES).scan().select("warc_file", "warc_offset", page="id").collect()
    texts = lake.read(DOCUMENTS).scan().with_columns(page=pl.col("parents").list.first()).collect()
    return texts.join(page_ids, on="page").join(rows, on=["warc_file", "warc_offset"], suffix="_page")


def test_all_checks_pass(house):
    _, _, results, *_ = house
    for result in results.values():
        evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
        assert [name for name, e in evaluations.items() if not e.passed] == []
        assert evaluations.keys() >= {
            "every_page_accounted_for", "extraction_failures", "languages", "duplicates_point_backwards",
            "every_text_once",
        }  # fmt: skip
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
    # Wrongly decoded pages would show here: the German, Spanish, Danish ... pages that are not UTF-8.
    foreign = truth.filter(pl.col("flags").list.contains("not-utf8"))
    assert foreign.height >= 10
    assert not foreign["text"].str.contains("\ufffd|Ã.|â€").any()


def test_planted_copies_are_found_and_nothing_else(house, truth):
    lake, *_ = house
    copies = lake.read(DUPLICATES).scan().with_columns(document=pl.col("parents").list.first()).collect()
    found = set(zip(copies["document"], copies["duplicate_of"], strict=True))
    expected = set()
    for _, same in truth.group_by("content_hash"):
        first, *rest = same.sort("snapshot", "fetched_at", "id")["id"]
        expected |= {(document, first) for document in rest}
    assert found == expected
    assert set(copies["duplicate_of_snapshot"]) == {SNAPSHOTS[0], SNAPSHOTS[1]}
    place = {(row["snapshot"], row["url"]): row["id"] for row in truth.iter_rows(named=True)}
    kept = dict(found)
    for group in map(json.loads, (TRUTH / "duplicates.jsonl").read_text().splitlines()):
        if group["kind"] == "exact":
            ids = {place[tuple(member)] for member in group["members"] if tuple(member) in place}
            assert len({kept.get(document, document) for document in ids}) <= 1, group


def hashes(lake: Lakehouse, table, snapshot: str | None = None) -> pl.Series:
    return lake.read(table, snapshot).scan().select("content_hash").collect()["content_hash"]


def test_unique_documents_are_the_rest(house):
    lake, *_ = house
    kept = hashes(lake, UNIQUE_DOCUMENTS, SNAPSHOTS[0])
    assert kept.is_unique().all()
    assert set(kept) == set(hashes(lake, DOCUMENTS, SNAPSHOTS[0]))


def test_nothing_failed_and_every_page_has_a_fate(house):
    lake, *_ = house
    counts = lake.read(EXTRACTION).scan().group_by("fate").agg(pl.col("pages").sum()).collect()
    counts = dict(counts.iter_rows())
    assert sum(counts.values()) == lake.read(PAGES).rows
    assert "rejected" not in counts
    assert lake.read(QUARANTINE).scan().filter(pl.col("stage") == "web.documents").collect().is_empty()


def test_a_late_snapshot_is_announced_to_what_depends_on_it(house):
    _, _, results, instance, stale = house
    late = results[SNAPSHOTS[0]]
    announced = [
        e.step_materialization_data.materialization
        for e in late.all_events
        if e.is_step_materialization and e.asset_key == DUPLICATES.asset_key and e.partition == SNAPSHOTS[1]
    ]
    assert len(announced) == 1
    assert announced[0].metadata["rewritten_for"].value == SNAPSHOTS[0]
    wanted = dg.AssetRecordsFilter(asset_key=DUPLICATES.asset_key, asset_partitions=[SNAPSHOTS[1]])
    newest, first = instance.fetch_materializations(wanted, limit=2).records
    tags, before = newest.asset_materialization.tags, first.asset_materialization.tags
    assert tags["dagster/data_version"] != before["dagster/data_version"]
    assert tags["dagster/code_version"] == before["dagster/code_version"]

    # Only what is made of the rewritten partition is stale.
    assert stale() == [("unique_documents", SNAPSHOTS[1])]


def test_running_again_changes_nothing(house):
    lake, run, _, _, stale = house
    versions = {}
    for _ in range(2):
        for snapshot in SNAPSHOTS:
            result = run(documents, duplicates, unique_documents, snapshot=snapshot)
            made = {e.asset_key: e.step_materialization_data.materialization for e in result.all_events
                    if e.is_step_materialization and e.asset_key != EXTRACTION.asset_key}  # fmt: skip
            for key, event in made.items():
                assert (
                    versions.setdefault((key, snapshot), event.tags["dagster/data_version"])
                    == event.tags["dagster/data_version"]
                )
            assert made[DOCUMENTS.asset_key].metadata["parts_written"].value == 0
            assert made[DUPLICATES.asset_key].metadata["rewritten_partitions"].value == "none"
    assert stale() == []
    kept = hashes(lake, UNIQUE_DOCUMENTS)
    assert kept.is_unique().all()
    assert set(kept) == set(hashes(lake, DOCUMENTS))


def test_a_run_killed_before_its_counts_makes_that_file_again(house):
    lake, run, *_ = house
    file, *_ = lake.read(PAGES, SNAPSHOTS[0]).parts()
    before = lake.read(EXTRACTION).scan().collect().sort("id")
    lake.replace(EXTRACTION, before[:0], f"warc_file = '{file}'")
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
            "id": list(bodies), "snapshot": "s", "url": "http://e.example/", "host": "e.example",
            "fetched_at": datetime(2025, 1, 1, tzinfo=UTC), "status": pl.Series([200] * 4, dtype=pl.Int32),
            "mime": "text/html", "charset": "utf-8", "charset_source": "header", "html": list(bodies.values()),
            "payload_digest": "", "content_hash": list(bodies), "warc_file": "f", "warc_offset": 0, "warc_length": 1,
            "fate": "page", "parents": pl.Series([[]] * 4, dtype=pl.List(pl.String)),
        }
    ).with_columns(pl.col("warc_offset", "warc_length").cast(pl.Int64))  # fmt: skip
    lake.write(PAGES, Parts([Part("f", "1", lambda: pages_frame)]), "s")
    compute = Compute(workers=1)
    run = SnapshotDocuments(lake.read(PAGES, "s"), current_recipe().documents, compute, lake, "run-1")
    lake.write(DOCUMENTS, run.parts(), "s")
    compute.close()
    kept = lake.read(DOCUMENTS).scan().select(pl.col("parents").list.first()).collect()["parents"]
    assert sorted(kept) == ["also", "good"]
    failed = lake.read(QUARANTINE).scan().select("stage", "part", "row_id", "cause").collect().rows()
    assert failed == [("web.documents", "f", "bad", "nested_too_deeply")]
    counts = lake.read(EXTRACTION).scan().select("fate", "pages").collect().rows()
    assert sorted(counts) == [("document", 2), ("no_text", 1), ("rejected", 1)]
