"""The sample's pages through the real assets and lake: documents, languages, duplicates, what is left, and re-runs."""

from __future__ import annotations

import gzip
import json

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.assets import catalog, pages, records
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.web.assets import documents, duplicates, extraction, unique_documents
from nemotron_assets.web.checks import CHECKS
from nemotron_assets.web.tables import DOCUMENTS, DUPLICATES, EXTRACTION, UNIQUE_DOCUMENTS
from resources.compute import Compute
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import QUARANTINE, Lakehouse

SNAPSHOTS = ("CC-MAIN-2024-51", "CC-MAIN-2025-08")
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
        yield lake, run, results, instance


@pytest.fixture(scope="module")
def truth(house):
    """One row per document: its text and language, and what is true of its page."""
    lake, *_ = house
    rows = pl.DataFrame(
        [json.loads(line) for line in gzip.open(SAMPLE / "truth" / "pages.jsonl.gz")], infer_schema_length=None
    ).select(
        "snapshot", "url", "kind", "flags", true_language="language", warc_file="warc_filename",
        warc_offset="warc_record_offset",
    )  # fmt: skip
    page_ids = lake.read(PAGES).scan().select("warc_file", "warc_offset", page="id").collect()
    texts = lake.read(DOCUMENTS).scan().with_columns(page=pl.col("parents").list.first()).collect()
    return texts.join(page_ids, on="page").join(rows, on=["warc_file", "warc_offset"], suffix="_page")


def test_all_checks_pass(house):
    _, _, results, _ = house
    for result in results.values():
        evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
        assert [name for name, e in evaluations.items() if not e.passed] == []
        assert len(evaluations) == len(CHECKS)
        assert "data:image/png;base64," in evaluations["languages"].metadata["language_mix"].value


def test_languages_are_right(truth):
    # fastText has one label for Norwegian Bokmål and Norwegian; half-translated pages have two languages.
    known = truth.filter(pl.col("true_language").is_not_null() & (pl.col("characters") > 200))
    expected = pl.col("true_language").replace({"nb": "no"})
    share = known.select((pl.col("language") == expected).mean()).item()
    assert share >= 0.97
    assert known.height > 700


def test_no_language_is_deleted_wholesale(truth):
    all_languages = {
        json.loads(line)["language"]
        for line in gzip.open(SAMPLE / "truth" / "pages.jsonl.gz")
        if json.loads(line)["kind"] == "article"
    }
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
    for line in open(SAMPLE / "truth" / "duplicates.jsonl"):
        group = json.loads(line)
        if group["kind"] == "exact":
            ids = {place[tuple(member)] for member in group["members"] if tuple(member) in place}
            assert len({kept.get(document, document) for document in ids}) <= 1, group


def test_unique_documents_are_the_rest(house):
    lake, *_ = house
    hashes = lake.read(UNIQUE_DOCUMENTS).scan().select("content_hash").collect()["content_hash"]
    assert hashes.is_unique().all()
    # The partition made first was rewritten in `duplicates`, and is stale, until it is made again: see below.
    assert set(lake.read(DOCUMENTS, SNAPSHOTS[0]).scan().select("content_hash").collect()["content_hash"]) <= set(hashes)


def test_nothing_failed_and_every_page_has_a_fate(house):
    lake, *_ = house
    counts = lake.read(EXTRACTION).scan().group_by("fate").agg(pl.col("pages").sum()).collect()
    counts = dict(counts.iter_rows())
    assert sum(counts.values()) == lake.read(PAGES).rows
    assert "rejected" not in counts
    assert lake.read(QUARANTINE).scan().filter(pl.col("stage") == "web.documents").collect().is_empty()


def test_a_late_snapshot_is_announced_to_what_depends_on_it(house):
    _, _, results, instance = house
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


def test_running_again_changes_nothing(house):
    lake, run, *_ = house
    versions = {}
    for _ in range(2):
        for snapshot in SNAPSHOTS:
            result = run(documents, duplicates, unique_documents, snapshot=snapshot)
            made = {e.asset_key: e.step_materialization_data.materialization for e in result.all_events
                    if e.is_step_materialization}  # fmt: skip
            for key, event in made.items():
                assert versions.setdefault((key, snapshot), event.tags["dagster/data_version"]) == event.tags[
                    "dagster/data_version"
                ]
            assert made[DOCUMENTS.asset_key].metadata["parts_written"].value == 0
            assert made[DUPLICATES.asset_key].metadata["rewritten_partitions"].value == "none"
    hashes = lake.read(UNIQUE_DOCUMENTS).scan().select("content_hash").collect()["content_hash"]
    assert hashes.is_unique().all()
    assert set(hashes) == set(lake.read(DOCUMENTS).scan().select("content_hash").collect()["content_hash"])
