"""A large file is read in ranges: every record once, with the ids of the whole file, whatever the bound."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import load_recipe
from nemotron_assets.snapshots.ingest import IngestError, describe, whole_file
from nemotron_assets.snapshots.lines import lines
from nemotron_assets.snapshots.pages import _SnapshotFiles, snapshot_parts
from nemotron_assets.snapshots.ranges import ranges
from nemotron_assets.snapshots.spread import Cores, SpreadFile
from nemotron_assets.snapshots.tables import INGESTED, PAGES
from nemotron_assets.table.parts import Reject
from nemotron_assets.warc.limits import Limits
from nemotron_assets.warc.reader import NotWarc
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse
from tests.warc.records import frame, member, record

PAGES_RECIPE = load_recipe("laptop").snapshots.pages


class InTurn:
    """Reads piece after piece in this process, as the workers of `Compute` do, but for those that are lost."""

    def __init__(self, lost: frozenset[int] = frozenset()) -> None:
        self.lost, self.pieces = lost, 0

    def map(self, batches, fn, *, reject, stage):
        for number, batch in enumerate(batches):
            self.pieces += 1
            try:
                frame = fn(pl.from_arrow(batch))
            except NotWarc as error:
                reject(Reject(batch["id"][0].as_py(), "not_warc", str(error)))
                continue
            if number in self.lost:
                reject(Reject(batch["id"][0].as_py(), "worker_died"))
            else:
                yield frame


def read(path: Path, bound: int | None, cores: Cores | None = None) -> tuple[pa.Table, Counter, set, int]:
    """(the pages of a file without the column that names the range, the fates of its records, its rejects, its parts)
    when it is read in ranges of `bound` bytes, and by `cores`."""
    text = None if ".warc" in path.name else "text"
    rows = describe([path], "s", text_column=text, on_unusable=lambda *_: None, part_bytes=bound)
    lake = Lakehouse(root=str(path.parent / "lake"), free_disk_mb=0)  # without tables: nothing was forgotten
    files = _SnapshotFiles("s", PAGES_RECIPE, None, lake, "run", lambda line: None, cores)
    found = [batch for row in rows for batch in files._ingested({**row, "at": rows[0]["at"].replace(year=2024)})]
    fates: Counter = Counter()
    for counts in files.counts.values():
        fates.update(counts.records)
    rejects = {(reject.row_id, reject.cause) for reject in files.rejects.rows}
    times = ["fetched_at"] if text else []  # the time of the ingestion, for rows without one
    pages = pa.Table.from_batches(found, PAGES.arrow_schema()).drop_columns(["warc_file", *times])
    return pages, fates, rejects, len(rows)


def same_in_ranges(path: Path, bound: int) -> int:
    """Compare a file in ranges of `bound` bytes with the whole file; returns the number of ranges."""
    try:
        *whole, one = read(path, None)
    except IngestError:  # nothing can be read of it
        return 0
    *ranged, parts = read(path, bound)
    assert one == 1 and ranged == whole
    return parts


LINES = st.lists(
    st.one_of(
        st.text(max_size=40).map(lambda text: json.dumps({"text": text}).encode()),
        st.sampled_from([b"", b" ", b"\r", b"{broken", b"[1]", json.dumps({"other": 1}).encode()]),
    ),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(LINES, st.integers(1, 300), st.booleans())
def test_lines(written, bound, ends):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jsonl")
        path.write_bytes(b"\n".join(written) + b"\n" * ends)
        same_in_ranges(path, bound)


def test_a_long_line_of_blanks_is_not_a_row_for_anybody(tmp_path):
    """Else the rows after it would have one number in ranges of the file and another one in the whole file."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"{}\n" + b" " * 50 + b"\n" + b" " * 30 + b"x" * 20 + b"\n{}\n")
    rows = [line for line in lines(path, 10) if line is None or line.strip()]
    assert rows == [b"{}", None, b"{}"]
    assert [part.row for part in ranges(path, "jsonl", 1, Limits())] == [0, 1, 2]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.text(max_size=40) | st.none(), max_size=40), st.integers(1, 9), st.integers(1, 2_000))
def test_row_groups(texts, group, bound):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.parquet")
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path, row_group_size=group)
        same_in_ranges(path, bound)


RECORD = st.builds(
    record,
    url=st.integers(0, 9).map(lambda n: f"http://a.example/{n}"),
    body=st.binary(max_size=60).map(lambda data: b"<p>text " + data + b"\r\n\r\nWARC/1.0\r\n</p>"),
    kind=st.sampled_from(["response", "response", "metadata"]),
    status=st.sampled_from(["200 OK", "404 Not Found"]),
)
MEMBERS = st.lists(st.lists(RECORD, min_size=1, max_size=3), min_size=1, max_size=12)
DAMAGE = st.none() | st.tuples(st.integers(0, 1 << 20), st.integers(1, 255))
PACKS = {"warc": bytes, "warc.gz": member, "warc.zst": frame}


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(PACKS)),
    MEMBERS,
    st.integers(1, 1_500),
    DAMAGE,
)
def test_records_also_in_shared_and_damaged_members(ending, members, bound, damage):
    with tempfile.TemporaryDirectory() as folder:
        same_in_ranges(warc_file(Path(folder), ending, members, damage), bound)


def warc_file(folder: Path, ending: str, members: list[list[bytes]], damage: tuple[int, int] | None) -> Path:
    """A WARC file of members of some records each, of which one byte is changed."""
    data = bytearray(b"".join(PACKS[ending](b"".join(records)) for records in members))
    if damage:
        data[damage[0] % len(data)] ^= damage[1]
    path = folder / f"a.{ending}"
    path.write_bytes(data)
    return path


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(PACKS)), MEMBERS, st.integers(1, 700), DAMAGE, st.frozensets(st.integers(0, 12)))
def test_many_who_read_one_file_find_what_one_finds(ending, members, bound, damage, lost):
    """Also if bytes are damaged, if members are shared, if pages hold what looks like a record, if workers are lost."""
    with tempfile.TemporaryDirectory() as folder:
        path = warc_file(Path(folder), ending, members, damage)
        try:
            alone = read(path, None)
        except IngestError:  # nothing can be read of it
            return
        assert read(path, None, Cores(InTurn(lost), bound)) == alone


def test_workers_read_all_pieces_of_a_whole_file_and_none_of_a_small_one(tmp_path, monkeypatch):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(member(record(f"http://a.example/{n}")) for n in range(300)))
    bound, cores = path.stat().st_size // 10, InTurn()
    monkeypatch.setattr(SpreadFile, "_read_from", lambda self, at: pytest.fail("a piece was read again"))
    assert read(path, None, Cores(cores, bound)) == read(path, None) and 8 <= cores.pieces <= 11
    compute = Compute(workers=1, max_lost_rows=0)
    with contextlib.closing(compute):
        assert read(path, None, Cores(compute, bound)) == read(path, None)
    assert read(path, None, Cores(None, 1 << 20)) == read(path, None)


@pytest.mark.parametrize(("limit", "most"), [("max_file_records", 100), ("max_file_mb", 1)])
def test_many_stop_at_the_limit_at_which_one_stops(tmp_path, monkeypatch, limit, most):
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(member(record(f"http://a.example/{n}", b"x" * 9_000)) for n in range(300)))
    monkeypatch.setattr(f"{__name__}.PAGES_RECIPE", PAGES_RECIPE.model_copy(update={limit: most}))
    alone = read(path, None)
    assert 90 <= alone[0].num_rows <= 120 and alone[1]["broken_file"] == 1
    assert read(path, None, Cores(InTurn(), path.stat().st_size // 10)) == alone


@pytest.mark.parametrize("ending", sorted(PACKS))
def test_ranges_of_a_warc_file_have_about_the_size_of_the_bound(tmp_path, ending):
    (tmp_path / f"a.{ending}").write_bytes(b"".join(PACKS[ending](record(f"http://a.example/{n}")) for n in range(99)))
    size = (tmp_path / f"a.{ending}").stat().st_size
    assert 6 <= same_in_ranges(tmp_path / f"a.{ending}", size // 8) <= 8


def test_a_run_that_was_killed_goes_on_at_the_range_it_was_at(tmp_path):
    lines = [json.dumps({"text": f"text {n}", "date": "2024-01-01"}) for n in range(1_000)]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    lake = Lakehouse(root=str(tmp_path / "lake"))
    rows = describe([tmp_path / "texts.jsonl"], "s", text_column="text", part_bytes=8_000)
    assert len(rows) == 6 and {whole_file(row) for row in rows} == {"texts.jsonl"}
    lake.write(INGESTED, pa.Table.from_pylist(rows, INGESTED.arrow_schema()), partition="s")

    def killed(line: str) -> None:
        if "part 3 " in line:
            raise KeyboardInterrupt

    def ingest(run: str, log=lambda line: None):
        parts = snapshot_parts("s", PAGES_RECIPE, Crawl(source="sample"), lake, run, log)
        return lake.write(PAGES, parts, "s", run_id=run, log=log)

    with pytest.raises(KeyboardInterrupt):
        ingest("first", killed)
    again = ingest("second")
    # The counts of the third range were not stored before the kill, so that it is read again.
    assert (again.parts_skipped, again.parts_written) == (2, 4)
    stored = lake.read(PAGES, "s").scan().sort("warc_file", "warc_offset").collect()
    assert stored["html"].to_list() == [f"text {n}".encode() for n in range(1_000)]
    assert stored["warc_offset"].to_list() == list(range(1_000))
    assert set(lake.read(PAGES, "s").parts()) == {f"texts.jsonl#{n:05}" for n in range(6)}
    assert ingest("third").parts_written == 0
    assert stored.select(pl.col("host").n_unique()).item() == 10
