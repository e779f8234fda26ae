"""`nemotron ingest`: WARC, Parquet and JSON-lines files become a snapshot, and unusable files give clear errors."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.assets import pages
from nemotron_assets.snapshots.ingest import IngestError, describe, ingest
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import Lakehouse

WARC = next(SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz"))


def run(lake: Lakehouse, instance: dg.DagsterInstance, snapshot: str) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [pages],
        instance=instance,
        partition_key=snapshot,
        raise_on_error=False,
        resources={"lake": lake, "io_manager": lake, "recipe": current_recipe(), "crawl": Crawl(source="sample")},
    )


def test_all_formats(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "some.warc.gz").write_bytes(WARC.read_bytes())
    texts = ["first text", "", None, "last é"]
    urls = ["https://Example.org/a", None, None, None]
    dates = [datetime(2020, 1, 2, tzinfo=UTC)] * 4
    pl.DataFrame({"body": texts, "url": urls, "date": dates}).write_parquet(folder / "rows.parquet")
    lines = [json.dumps({"body": "one", "link": "http://x.example/"}), "{broken", '["list"]', '{"body": 5}', "",
             json.dumps({"body": "y" * (9 << 20)}), json.dumps({"other": 1}), json.dumps({"body": "two"})]  # fmt: skip
    (folder / "lines.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        rows = describe([folder], "mine", text_column="body")
        assert [(row["file"], row["format"]) for row in rows] == [
            ("lines.jsonl.gz", "jsonl"),
            ("rows.parquet", "parquet"),
            ("some.warc.gz", "warc"),
        ]
        ingest(lake, instance, "mine", rows)
        assert run(lake, instance, "mine").success
        assert instance.get_dynamic_partitions(snapshot_partitions.name) == ["mine"]

        stored = lake.read(PAGES, "mine").scan().filter(pl.col("mime") == "text/plain").collect()
        stored = stored.sort("warc_file", "warc_offset")
        assert stored["html"].to_list() == [b"one", b"two", b"first text", "last é".encode()]
        assert stored["url"].to_list() == [
            "http://x.example/",
            "ingest:mine/lines.jsonl.gz#6",
            "https://Example.org/a",
            "ingest:mine/rows.parquet#3",
        ]
        assert stored["host"].to_list() == ["x.example", "", "example.org", ""]
        assert set(stored["charset"]) == {"utf-8"}
        assert stored["fetched_at"][2] == datetime(2020, 1, 2, tzinfo=UTC)
        counts = lake.read(RECORDS, "mine").scan().filter(pl.col("warc_file") == "lines.jsonl.gz").collect()
        assert dict(counts.select("fate", "records").iter_rows()) == {
            "page": 2,
            "malformed": 3,
            "too_large": 1,
            "empty": 1,
        }

        version = lake.read(PAGES).version
        assert run(lake, instance, "mine").success and lake.read(PAGES).version == version

        # The same snapshot with other files: unchanged files stay, the others are removed.
        (folder / "lines.jsonl.gz").unlink()
        ingest(lake, instance, "mine", describe([folder], "mine", text_column="body"))
        assert run(lake, instance, "mine").success
        assert set(lake.read(PAGES, "mine").parts()) == {"rows.parquet", "some.warc.gz"}
        assert set(lake.read(RECORDS, "mine").scan().collect()["warc_file"]) == {"rows.parquet", "some.warc.gz"}

        # A file that has changed since it was ingested is not taken for the old one.
        (folder / "rows.parquet").write_bytes(b"PAR1 changed")
        result = run(lake, instance, "mine")
        assert (
            result.success and lake.read(PAGES, "mine").rows == 2 + lake.read(PAGES, "mine").part("some.warc.gz").rows
        )


def test_html_columns_are_pages_of_html(tmp_path):
    bodies = [b"<p>caf\xe9 au lait, d\xe9j\xe0 vu</p>" * 20, b"<p>plain</p>"]
    pl.DataFrame({"html": bodies, "at": ["http://h.example/1", "http://h.example/2"]}).write_parquet(
        tmp_path / "h.parquet"
    )
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        ingest(lake, instance, "h", describe([tmp_path / "h.parquet"], "h", html_column="html", url_column="at"))
        assert run(lake, instance, "h").success
    rows = lake.read(PAGES, "h").scan().sort("warc_offset").collect()
    assert rows["mime"].to_list() == ["text/html"] * 2 and rows["host"].to_list() == ["h.example"] * 2
    assert rows["charset"].to_list() == ["windows-1252", "utf-8"]


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.parquet", {"x": ["t"], "n": [1]}, {"text_column": "text"}, "has no column 'text'; it has 'x', 'n'"),
        ("a.parquet", {"x": ["t"], "n": [1]}, {"text_column": "n"}, "column 'n' is int64, not text"),
        ("a.parquet", {"x": ["t"]}, {}, "needs --text-column or --html-column; its columns are 'x'"),
        ("a.parquet", {"x": ["t"]}, {"text_column": "x", "html_column": "x"}, "not both"),
        ("a.parquet", {"x": ["t"]}, {"text_column": "x", "url_column": "u"}, "no column 'u'"),
        ("a.parquet", b"no parquet", {"text_column": "x"}, "not a readable Parquet"),
        ("a.jsonl", b"{", {"text_column": "x"}, "first line is not JSON"),
        ("a.jsonl", b"[1]", {"text_column": "x"}, "not an object"),
        ("a.jsonl.gz", b"not gzip", {"text_column": "x"}, "not a readable gzip"),
        ("a.warc.gz", b"not warc", {}, "cannot be used as a WARC file"),
        ("a.docx", b"", {}, "must end in one of .warc"),
    ],
)
def test_refusals(tmp_path, name, content, options, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pl.DataFrame(content).write_parquet(path)
    with pytest.raises(IngestError, match=message.replace("(", r"\(")):
        describe([path], "mine", **options)


def test_names(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.warc.gz").write_bytes(WARC.read_bytes())
    assert [row["file"] for row in describe([tmp_path], "mine")] == ["a/x.warc.gz", "b/x.warc.gz"]
    for bad in ("", "../up", "a/b", "x" * 101):
        with pytest.raises(IngestError, match="cannot name a snapshot"):
            describe([tmp_path], bad)
    with pytest.raises(IngestError, match="does not exist"):
        describe([tmp_path / "none"], "mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestError, match="holds no file"):
        describe([tmp_path / "empty"], "mine")


def test_a_crawl_snapshot_is_not_overwritten(tmp_path):
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(snapshot_partitions.name, ["CC-MAIN-2024-51"])
        assert run(lake, instance, "CC-MAIN-2024-51").success
        with pytest.raises(IngestError, match="snapshot of the crawl"):
            ingest(lake, instance, "CC-MAIN-2024-51", describe([WARC], "CC-MAIN-2024-51"))
