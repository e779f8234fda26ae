"""The assets make exactly the pages of the ground truth from the sample's WARC files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from fastwarc import ArchiveIterator, WarcRecordType

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.assets import ASSETS, catalog, pages
from nemotron_assets.snapshots.checks import CHECKS
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.snapshots.tables import CATALOG, PAGES, RECORDS
from nemotron_assets.warc import charset
from resources.compute import Compute
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import QUARANTINE, Lakehouse
from tests.resources.crawl_server import serving

SNAPSHOTS = ("CC-MAIN-2024-51", "CC-MAIN-2025-08")


def materialize(root: Path, source: str, instance: dg.DagsterInstance, snapshots=SNAPSHOTS) -> list:
    """The catalogue and the pages of snapshots, with their checks; the results of the runs."""
    recipe = current_recipe()
    lake = Lakehouse(root=str(root))
    crawl = Crawl.from_recipe(
        recipe.snapshots.crawl.model_copy(update={"source": source, "retries": 1, "backoff_s": 0})
    )
    resources = {"lake": lake, "io_manager": lake, "recipe": recipe, "crawl": crawl, "compute": Compute(workers=1)}
    definitions = [*ASSETS, *CHECKS]
    results = [dg.materialize(definitions, instance=instance, resources=resources, selection=[catalog])]
    for snapshot in snapshots:
        results.append(
            dg.materialize(
                definitions,
                instance=instance,
                resources=resources,
                partition_key=snapshot,
                raise_on_error=False,
                selection=dg.AssetSelection.assets(pages),
            )
        )
    return results


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    with dg.DagsterInstance.ephemeral() as instance:
        results = materialize(root, "sample", instance)
        assert instance.get_dynamic_partitions(snapshot_partitions.name) == list(SNAPSHOTS)
    assert all(result.success for result in results)
    truth = [json.loads(line) for line in gzip.decompress((SAMPLE / "truth/pages.jsonl.gz").read_bytes()).splitlines()]
    return Lakehouse(root=str(root)), truth, results


def test_every_record_of_the_truth_has_its_fate(sample):
    lake, truth, _ = sample
    rows = {(r["warc_file"], r["warc_offset"]): r for batch in lake.read(PAGES).batches() for r in batch.to_pylist()}
    expected: dict[str, int] = {}
    for record in truth:
        row = rows.pop((record["warc_filename"], record["warc_record_offset"]), None)
        if record["status"] != 200:
            fate = "redirect" if 300 <= record["status"] < 400 else "not_200"
        elif "empty-body" in record["flags"]:
            fate = "empty"
        elif record["mime"] != "text/html":
            fate = "not_html"
        elif "truncated" in record["flags"]:
            fate = "truncated"
        else:
            fate = row and row["fate"]
            assert fate in ("page", "charset_corrected"), record["url"]
            assert row["warc_length"] == record["warc_record_length"]
            assert (row["url"], row["status"], row["mime"]) == (record["url"], 200, "text/html")
            assert hashlib.sha1(row["html"]).hexdigest() == record["sha1"]
            # ASCII bytes are the same text in most encodings. For all other pages the encoding must be recognised.
            same_text = row["html"].isascii() and row["charset"] != "iso-2022-jp"
            assert same_text or row["charset"] == charset.standard_name(record["charset"]), record["url"]
        assert (row is not None) == (fate in ("page", "charset_corrected"))
        expected[fate] = expected.get(fate, 0) + 1
    assert not rows
    records = lake.read(RECORDS).scan().group_by("fate").agg(pl.col("records").sum()).collect()
    counted = dict(records.iter_rows())
    # Each response has a request and a metadata record beside it; each file begins with a warcinfo record.
    assert counted.pop("other_record") >= 2 * len(truth)
    assert counted == expected
    assert sum(expected.values()) == len(truth) == 906


def test_a_ranged_read_gives_the_same_record(sample):
    lake, _, _ = sample
    crawl = Crawl(source="sample")
    for batch in lake.read(PAGES, SNAPSHOTS[0]).batches():
        for row in batch.to_pylist()[::10]:
            raw = crawl.read_range(row["warc_file"], row["warc_offset"], row["warc_length"])
            records = list(ArchiveIterator(io.BytesIO(raw)))
            assert len(records) == 1 and records[0].record_type == WarcRecordType.response
            assert records[0].headers["WARC-Target-URI"] == row["url"]
            [body] = [record.reader.read() for record in ArchiveIterator(io.BytesIO(raw))]
            assert body == row["html"]


def test_metadata_and_checks(sample):
    lake, _, results = sample
    assert lake.read(CATALOG).scan().select("snapshot", "warc_files", "in_window").collect().rows() == [
        (SNAPSHOTS[0], 2, True),
        (SNAPSHOTS[1], 2, True),
    ]
    checks = [check for result in results for check in result.get_asset_check_evaluations()]
    assert len(checks) == 6 and all(check.passed for check in checks)
    hosts = next(c.metadata["hosts"].value for c in checks if c.check_name == "broken_records")
    assert "| docs.python.example |" in hosts


def test_a_second_run_reads_nothing_again(sample, monkeypatch):
    lake, _, _ = sample
    version = lake.read(PAGES).version
    monkeypatch.setattr("nemotron_assets.snapshots.pages.WarcFile", None)
    with dg.DagsterInstance.ephemeral() as instance:
        results = materialize(Path(lake.root), "sample", instance)
    assert all(result.success for result in results)
    assert lake.read(PAGES).version == version


def test_broken_files_are_counted_and_tried_again(tmp_path):
    """A missing, an empty, a damaged and a foreign file beside a good one: all readable pages are stored."""
    listing = gzip.decompress((SAMPLE / "crawl-data" / SNAPSHOTS[0] / "warc.paths.gz").read_bytes()).decode().split()
    source = tmp_path / "source"
    folder = source / Path(listing[0]).parent
    folder.mkdir(parents=True)
    (source / "collinfo.json").write_bytes((SAMPLE / "collinfo.json").read_bytes())
    good, damaged, empty, foreign, missing = (f"{folder.relative_to(source)}/{n}.warc.gz" for n in "abcde")
    (source / f"crawl-data/{SNAPSHOTS[0]}").mkdir(exist_ok=True)
    (source / f"crawl-data/{SNAPSHOTS[0]}/warc.paths.gz").write_bytes(
        gzip.compress("\n".join((good, damaged, empty, foreign, missing)).encode())
    )
    (source / f"crawl-data/{SNAPSHOTS[1]}").mkdir()
    (source / f"crawl-data/{SNAPSHOTS[1]}/warc.paths.gz").write_bytes(gzip.compress(b""))
    data = (SAMPLE / listing[0]).read_bytes()
    (source / good).write_bytes(data)
    (source / damaged).write_bytes(data[: len(data) // 2])
    (source / empty).write_bytes(b"")
    (source / foreign).write_bytes(b"PK\x03\x04 this is no WARC file" * 100)
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        results = materialize(tmp_path / "lake", str(source), instance, SNAPSHOTS[:1])
        assert results[1].asset_materializations_for_node("snapshots__pages")

        def fates(file):
            rows = lake.read(RECORDS).scan().filter(pl.col("warc_file") == file).select("fate", "records").collect()
            return dict(rows.iter_rows())

        assert 50 < fates(damaged)["page"] < fates(good)["page"]
        assert fates(damaged)["damaged"] == 1
        assert [fates(file) for file in (empty, foreign, missing)] == [{"broken_file": 1}] * 3
        causes = lake.read(QUARANTINE).scan().select("cause", "part").collect().sort("part").rows()
        assert causes == [
            ("damaged", damaged),
            ("broken_file", empty),
            ("broken_file", foreign),
            ("broken_file", missing),
        ]
        before = fates(good)["page"]

        (source / missing).write_bytes(data)
        materialize(tmp_path / "lake", str(source), instance, SNAPSHOTS[:1])
        assert fates(missing)["page"] == before
        assert lake.read(PAGES).scan().select(pl.col("id").is_unique().all()).collect().item()
        assert lake.read(QUARANTINE).scan().filter(pl.col("part") == missing).collect().height == 0


@pytest.mark.faults
def test_ingestion_from_a_server_that_drops_connections(sample, tmp_path, monkeypatch):
    """Dropped transfers are resumed, the client waits while the server is busy, and a file that is cut off on the
    server gives the pages that are left."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path / "home"))
    good = sample[0]
    first, second = Crawl(source="sample").warc_paths(SNAPSHOTS[0])
    root = tmp_path / "served"
    for name in ("collinfo.json", *(f"crawl-data/{s}/warc.paths.gz" for s in SNAPSHOTS), first, second):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((SAMPLE / name).read_bytes())
    (root / second).write_bytes((root / second).read_bytes()[:1_000_000])
    with serving(root) as server, dg.DagsterInstance.ephemeral() as instance:
        server.faults += [(first, "drop"), (first, (503, {"Retry-After": "0"})), (first, "drop"), (second, "drop")]
        results = materialize(tmp_path / "lake", server.url, instance, SNAPSHOTS[:1])
        assert all(result.success for result in results) and not server.faults

    def ids(lake, file):
        return lake.read(PAGES, SNAPSHOTS[0]).part(file).scan().select("id").collect()["id"].sort().to_list()

    lake = Lakehouse(root=str(tmp_path / "lake"))
    assert ids(lake, first) == ids(good, first)
    assert 50 < len(ids(lake, second)) < len(ids(good, second))
    assert set(ids(lake, second)) < set(ids(good, second))
    assert lake.read(QUARANTINE).scan().select("part").collect()["part"].to_list() == [second]
    assert not list((tmp_path / "home/cache/crawl").iterdir())


def test_an_unreachable_source_stops_the_run(tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(snapshot_partitions.name, [SNAPSHOTS[0]])
        recipe = current_recipe()
        lake = Lakehouse(root=str(tmp_path))
        crawl = Crawl(source="http://127.0.0.1:9", retries=0, backoff_s=0, timeout_s=1)
        result = dg.materialize(
            [*ASSETS],
            instance=instance,
            partition_key=SNAPSHOTS[0],
            selection=[pages],
            raise_on_error=False,
            resources={
                "lake": lake,
                "io_manager": lake,
                "recipe": recipe,
                "crawl": crawl,
                "compute": Compute(workers=1),
            },
        )
        assert not result.success
        assert "no connection" in result.failure_data_for_node("snapshots__pages").error.to_string()
