"""`nemotron ingest`: WARC, Parquet and JSON-lines files become a snapshot, and unusable files give clear errors."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastwarc.stream_io import zstd_train_dictionary_from_samples

from nemotron_assets.lineage.nodes import Origin
from nemotron_assets.recipe import current_recipe
from nemotron_assets.snapshots.assets import pages
from nemotron_assets.snapshots.ingest import IngestError, describe, ingest
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.snapshots.read_back import read_back
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.table.ids import row_id
from resources.compute import Compute
from resources.crawl import SAMPLE, Crawl
from resources.lakehouse import Lakehouse
from tests.warc.records import dictionary_frame, frame, member, record

WARC = next(SAMPLE.glob("crawl-data/*/segments/*/warc/*.warc.gz"))


def run(lake: Lakehouse, instance: dg.DagsterInstance, snapshot: str) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [pages],
        instance=instance,
        partition_key=snapshot,
        raise_on_error=False,
        resources={
            "lake": lake,
            "io_manager": lake,
            "recipe": current_recipe(),
            "crawl": Crawl(source="sample"),
            "compute": Compute(workers=1),
        },
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
        assert stored["host"].to_list() == [
            "x.example",
            "ingest:mine/lines.jsonl.gz#0",
            "example.org",
            "ingest:mine/rows.parquet#0",
        ]
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
        ("a.parquet", b"", {"text_column": "x"}, "a.parquet is empty"),
        ("a.jsonl", b"{", {"text_column": "x"}, "its first 200 lines hold no JSON object .* not JSON"),
        ("a.jsonl", b"[1]", {"text_column": "x"}, "not an object"),
        ("a.jsonl.gz", b"not gzip", {"text_column": "x"}, "not JSON"),
        ("a.jsonl.gz", gzip.compress(b"{}")[:-9], {"text_column": "x"}, "it is damaged"),
        ("a.jsonl", b"", {"text_column": "x"}, "a.jsonl is empty"),
        ("a.jsonl", b"\n\n", {"text_column": "x"}, "its first 200 lines hold no JSON object"),
        ("a.warc.gz", b"", {}, "the file is empty"),
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
    with pytest.raises(IngestError, match=message):
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


def records(lake: Lakehouse, snapshot: str) -> dict[str, dict[str, int]]:
    """{file: {fate: records}} of a snapshot."""
    found: dict[str, dict[str, int]] = {}
    for file, fate, number in (
        lake.read(RECORDS, snapshot).scan().select("warc_file", "fate", "records").collect().rows()
    ):
        found.setdefault(file, {})[fate] = number
    return found


def test_files_that_cannot_be_used_are_counted_and_the_others_read(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    good = b'{"text": "a text", "url": "http://a.example/"}\n'
    warc = gzip.decompress(WARC.read_bytes())[:400_000]
    files = {
        "a-empty.jsonl": b"",
        "b-no-rows.jsonl.gz": gzip.compress(b"\n\n"),
        "c-empty.warc.gz": b"",
        "d-empty.parquet": b"",
        "e-whole.warc.gz": gzip.compress(warc),
        "f-huge-first-line.jsonl": b'{"text": "' + b"x" * (65 << 20) + b'"}\n' + good,
        "g-good.jsonl": good,
        "h-packed-without-the-ending.jsonl": gzip.compress(good),
        "i-ending-without-being-packed.jsonl.gz": good,
        "j.jsonl.zst": pa.Codec("zstd").compress(good, asbytes=True) * 2,
        "k-cut-off.jsonl.gz": gzip.compress(good * 5_000)[:-30],
        "l.parquet.gz": b"not read",
        "m-first-row-without-address.jsonl": b'{"text": "one"}\n' + good,
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    pl.DataFrame({"text": [], "url": []}, {"text": pl.String, "url": pl.String}).write_parquet(folder / "n.parquet")
    why: dict[str, str] = {}
    rows = describe(
        [folder], "mine", text_column="text", url_column="url", on_unusable=lambda p, w: why.update({p.name: w})
    )
    assert list(why) == ["l.parquet.gz", "a-empty.jsonl", "b-no-rows.jsonl.gz", "c-empty.warc.gz", "d-empty.parquet",
                         "e-whole.warc.gz"]  # fmt: skip
    assert all(str(folder / name) in text for name, text in why.items())
    with pytest.raises(IngestError, match="--strict"):
        describe([folder], "mine", text_column="text", url_column="url")

    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        ingest(lake, instance, "mine", rows)
        assert run(lake, instance, "mine").success
    found = records(lake, "mine")
    stored = lake.read(PAGES, "mine").scan().group_by("warc_file").len().collect().rows()
    assert dict(stored) == {file: fates["page"] for file, fates in found.items() if "page" in fates}
    cut_off = found.pop("k-cut-off.jsonl.gz")
    assert cut_off["broken_file"] == 1 and cut_off["page"] > 1_000
    assert found == {
        "a-empty.jsonl": {"empty_file": 1},
        "b-no-rows.jsonl.gz": {"empty_file": 1},
        "c-empty.warc.gz": {"empty_file": 1},
        "d-empty.parquet": {"empty_file": 1},
        "e-whole.warc.gz": {"broken_file": 1},
        "f-huge-first-line.jsonl": {"malformed": 1, "page": 1},
        "g-good.jsonl": {"page": 1},
        "h-packed-without-the-ending.jsonl": {"page": 1},
        "i-ending-without-being-packed.jsonl.gz": {"page": 1},
        "j.jsonl.zst": {"page": 2},
        "m-first-row-without-address.jsonl": {"page": 2},
        "n.parquet": {"empty_file": 1},
    }


HALF = "\ud83d"


def test_no_value_from_outside_stops_an_ingestion(tmp_path):
    """Values that JSON, Parquet or a WARC header can hold and a table cannot cost at most their own row."""
    values = [HALF, f"http://a.example/{HALF}", "http://a.example/\0", "x" * 100_000, "", 5, True, [], {}, 1e300, None]
    dates = ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0000-00-00", HALF, 5, [], None, "2020-01-01"]
    lines = [{"text": "t", "url": value, "date": date} for value in values for date in dates]
    lines += [{"text": value, "url": "http://a.example/"} for value in values]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"text": "t", "date": 1e999}\n')

    broken = pa.array([b"fine", b"caf\xe9", b"\xed\xa0\xbd", None, b"fine"])
    text = pa.Array.from_buffers(pa.string(), 5, broken.buffers())  # bytes that are not UTF-8, declared as text
    times = pa.array([0, -(1 << 62), 1 << 62, None, 1], pa.timestamp("us"))
    pq.write_table(pa.table({"text": text, "url": text, "date": times}), tmp_path / "b.parquet")
    same = pa.table({"text": pa.array(["y" * (9 << 20), "short"] * 100).dictionary_encode()})
    pq.write_table(same, tmp_path / "c.parquet")

    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        ingest(lake, instance, "mine", describe([tmp_path], "mine", text_column="text"))
        assert run(lake, instance, "mine").success
    found = records(lake, "mine")
    assert found["b.parquet"] == {"page": 4, "empty": 1}
    assert found["c.parquet"] == {"page": 100, "too_large": 100}
    assert found["a.jsonl"]["page"] == len(values) * len(dates) + 1 + 4
    pages = lake.read(PAGES, "mine").scan().filter(pl.col("warc_file") != "c.parquet").collect()
    assert "http://a.example/\ufffd" in pages["url"].to_list() and "\ufffd" in pages["url"].to_list()
    assert pages.filter(pl.col("warc_file") == "b.parquet")["html"].to_list()[1] == "caf\ufffd".encode()


def test_an_ingestion_that_was_killed_gives_all_pages_the_time_of_its_start(tmp_path):
    """Else a page of the second half would count as newer than its copy in the first, unlike without the kill."""
    files = tmp_path / "files"
    files.mkdir()
    for name in ("a", "b"):
        (files / f"{name}.jsonl").write_text(json.dumps({"text": f"text of {name}"}))
    lake = Lakehouse(root=str(tmp_path / "lake"))

    def times() -> dict[str, datetime]:
        return dict(lake.read(PAGES, "mine").scan().select("warc_file", "fetched_at").collect().iter_rows())

    with dg.DagsterInstance.ephemeral() as instance:
        first = describe([files], "mine", text_column="text")
        ingest(lake, instance, "mine", first)  # killed before it made a page
        ingest(lake, instance, "mine", describe([files], "mine", text_column="text"))
        assert run(lake, instance, "mine").success
        assert times() == dict.fromkeys(("a.jsonl", "b.jsonl"), first[0]["at"])
        (files / "b.jsonl").write_text(json.dumps({"text": "another text"}))
        later = describe([files], "mine", text_column="text")
        ingest(lake, instance, "mine", later)
        assert run(lake, instance, "mine").success
    assert times() == {"a.jsonl": first[0]["at"], "b.jsonl": later[1]["at"]}


def test_a_parquet_file_that_grows_beyond_all_bounds_is_not_read(tmp_path):
    pq.write_table(
        pa.table({"text": ["y" * (300 << 20)]}), tmp_path / "a.parquet", compression="zstd", use_dictionary=False
    )
    (tmp_path / "b.jsonl").write_text('{"text": "good"}')
    assert (tmp_path / "a.parquet").stat().st_size < 100_000
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        ingest(lake, instance, "mine", describe([tmp_path], "mine", text_column="text"))
        assert run(lake, instance, "mine").success
    assert records(lake, "mine") == {"a.parquet": {"broken_file": 1}, "b.jsonl": {"page": 1}}


def test_pages_without_addresses_are_spread_over_hosts_of_their_own(tmp_path):
    """A step that works host by host never gets all rows of a file at once."""
    lines = [json.dumps({"text": f"text {n}", "url": f"document {n}" if n % 2 else None}) for n in range(500)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        ingest(lake, instance, "mine", describe([tmp_path], "mine", text_column="text"))
        assert run(lake, instance, "mine").success
    hosts = lake.read(PAGES, "mine").scan().group_by("host").len().sort("host").collect()
    assert hosts.rows() == [(f"ingest:mine/texts.jsonl#{n}", 100) for n in range(5)]


@pytest.mark.parametrize("ending", ["warc.gz", "warc.zst", "warc"])
def test_records_that_share_a_member_become_pages_of_their_own(tmp_path, ending):
    """They have ids and places of their own, and can be read again there; the others keep the id they always had."""
    pack = {"warc.gz": member, "warc.zst": frame, "warc": bytes}[ending]
    place = tmp_path / f"a.{ending}"
    shared = b"".join(record(f"http://a.example/{n}") for n in range(1, 4))
    place.write_bytes(pack(record("http://a.example/0")) + pack(shared) + pack(record("http://a.example/4")))
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        ingest(lake, instance, "mine", describe([place], "mine"))
        result = run(lake, instance, "mine")
        assert result.success
    rows = lake.read(PAGES, "mine").scan().sort("url").collect().to_dicts()
    assert [row["url"][-1] for row in rows] == list("01234") and len({row["id"] for row in rows}) == 5
    inner = [row["warc_inner_offset"] for row in rows]
    assert [number is None for number in inner] == (
        [True, True, False, False, True] if pack is not bytes else [True] * 5
    )
    for row in rows:
        if row["warc_inner_offset"] is None:
            assert row["id"] == row_id("snapshots.pages", "mine", place.name, row["warc_offset"])
        origin = Origin(row["id"], row["url"], place.name, row["warc_offset"], row["warc_length"], str(place))
        assert read_back(origin, row, Crawl(source="sample")) == (row["html"], True)


def test_a_page_of_a_file_with_a_dictionary_can_be_read_again(tmp_path):
    records_ = [record(f"http://a.example/{n}") for n in range(30)]
    dictionary = zstd_train_dictionary_from_samples(records_ * 20, 2_048)
    place = tmp_path / "a.warc.zst"
    place.write_bytes(dictionary_frame(dictionary) + b"".join(frame(each, dictionary) for each in records_))
    lake = Lakehouse(root=str(tmp_path / "lake"))
    with dg.DagsterInstance.ephemeral() as instance:
        ingest(lake, instance, "mine", describe([place], "mine"))
        assert run(lake, instance, "mine").success
    row = lake.read(PAGES, "mine").scan().filter(pl.col("url") == "http://a.example/29").collect().row(0, named=True)
    origin = Origin(row["id"], row["url"], place.name, row["warc_offset"], row["warc_length"], str(place))
    assert read_back(origin, row, Crawl(source="sample")) == (row["html"], True)
