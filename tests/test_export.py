"""An export: `datasets` can read it, it goes on after a kill, and files that no export wrote are never lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from nemotron_assets.commands.cli import cli
from nemotron_assets.commands.tables import find
from nemotron_assets.export import ExportError, export, exportable
from nemotron_assets.export.card import CardError, size_category
from nemotron_assets.recipe import load_recipe
from nemotron_assets.table.columns import CONTENT_HASH, ID
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Column, Published, Table
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from resources.lakehouse import Lakehouse
from tests.sql.lake import frame

LAPTOP = load_recipe("laptop")
SUBSETS = NEMOTRON_CC_V2.published.configs


def recipe(**changes):
    return LAPTOP.model_copy(update={"release": LAPTOP.release.model_copy(update=changes)})


def rows(subset: str, snapshot: str, count: int, width: int = 40) -> pl.DataFrame:
    translated = subset.startswith("Translated")
    names = [f"{subset} {snapshot} {k} é " for k in range(count)]
    texts = [name + random.Random(name).randbytes(width // 2).hex() for name in names]  # compresses by half
    source = "web.curated" if subset.endswith("y") else "web.diverse_qa"
    return pl.DataFrame(
        {
            "id": [row_id(NEMOTRON_CC_V2.full_name, subset, snapshot, k) for k in range(count)],
            "parents": [[f"parent {k}"] for k in range(count)],
            "sources": [[source]] * count,
            "snapshot": snapshot,
            "subset": subset,
            "language": [("de", "ja")[k % 2] if translated else "en" for k in range(count)],
            "text": texts,
            "characters": [len(text) for text in texts],
            "origin_hash": [content_hash(text) for text in texts],
        },
        schema_overrides={
            "characters": pl.Int64,
            "text": pl.String,
            "id": pl.String,
            "language": pl.String,
            "origin_hash": pl.String,
            "parents": pl.List(pl.String),
            "sources": pl.List(pl.String),
        },
    )


def fill(lake: Lakehouse, counts: dict[str, int], snapshots=("S1", "S2"), width: int = 40) -> pl.DataFrame:
    frames = []
    for snapshot in snapshots:
        made = {subset: rows(subset, snapshot, count, width) for subset, count in counts.items()}
        parts = [Part(s, content_hash(str(f.hash_rows().sum())), lambda f=f: f) for s, f in made.items()]
        lake.write(NEMOTRON_CC_V2, Parts(parts), snapshot, run_id="run 7", code_version="c0de")
        frames += made.values()
    return pl.concat(frames)


COUNTS = {"High-Quality": 5, "Medium-Quality": 3, "Diverse-QA": 4, "Translated-Diverse-QA": 6}


@pytest.fixture
def lake(tmp_path) -> Lakehouse:
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def read(folder: Path, config: str) -> pl.DataFrame:
    files = sorted((folder / "data" / config).iterdir())
    count = len(files)
    assert [f.name for f in files] == [f"train-{n:05d}-of-{count:05d}.parquet" for n in range(count)]
    return pl.concat(pl.read_parquet(file) for file in files)


def card(folder: Path) -> tuple[dict, str]:
    _, matter, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(matter), text


def test_datasets_reads_every_config_offline(lake, tmp_path, monkeypatch):
    table = fill(lake, COUNTS)
    out = tmp_path / "out"
    done = export(lake, NEMOTRON_CC_V2, out, recipe())
    assert done.written and {name: c.rows for name, c in done.configs.items()} == {
        name: 2 * COUNTS.get(name, 0) for name in SUBSETS
    }
    script = (
        "import datasets, json, sys\n"
        f"out = {str(out)!r}\n"
        "configs = datasets.get_dataset_config_names(out)\n"
        "loaded = {c: datasets.load_dataset(out, c) for c in configs}\n"
        "assert all(list(d) == ['train'] for d in loaded.values())\n"
        "streamed = [r['id'] for r in datasets.load_dataset(out, 'High-Quality', split='train', streaming=True)]\n"
        "print(json.dumps([{c: d['train'].to_list() for c, d in loaded.items()},"
        " {c: str(d['train'].features) for c, d in loaded.items()}, streamed]))\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    loaded, features, streamed = json.loads(result.stdout.splitlines()[-1])
    assert set(loaded) == set(COUNTS), "`datasets` cannot load a config without rows, so the card does not list it"
    for name, found in loaded.items():
        columns = ["id", "text"] + (["language"] if name == "Translated-Diverse-QA" else [])
        expected = table.filter(subset=name).select(columns).sort("id").to_dicts()
        assert sorted(found, key=lambda row: row["id"]) == expected
        assert "large" not in features[name]
    assert sorted(streamed) == sorted(table.filter(subset="High-Quality")["id"])


def test_only_published_columns_are_written(lake, tmp_path):
    fill(lake, COUNTS)
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
    for name in COUNTS:
        for file in (tmp_path / "out" / "data" / name).iterdir():
            schema = pq.read_schema(file)
            assert schema.names == ["id", "text"] + (["language"] if name.startswith("Translated") else [])
            assert {str(kind) for kind in schema.types} == {"string"}
            assert not schema.metadata or b"parents" not in schema.metadata


def test_card(lake, tmp_path):
    table = fill(lake, COUNTS)
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
    matter, text = card(tmp_path / "out")
    assert matter["license"] == "other" and matter["license_name"] and matter["license_link"] == "LICENSE.md"
    assert "Unidecode" in (tmp_path / "out" / "LICENSE.md").read_text()
    assert matter["language"] == ["de", "en", "ja"]
    assert matter["size_categories"] == ["n<1K"]
    assert [c["config_name"] for c in matter["configs"]] == list(COUNTS)
    info = {i["config_name"]: i for i in matter["dataset_info"]}
    assert info["Diverse-QA"]["splits"][0]["num_examples"] == 8
    assert [f["name"] for f in info["Translated-Diverse-QA"]["features"]] == ["id", "text", "language"]
    tokens = table.filter(subset="High-Quality")["characters"].sum() // 4
    assert f"| High-Quality | 10 | {tokens:,} | 1 |" in text
    assert "| de | 6 | " in text and "| S1 | 18 | 50.0% |" in text
    version = lake.read(NEMOTRON_CC_V2).version
    for word in (f"Delta version {version}", "run 7", "c0de", f"laptop, hash {LAPTOP.hash()}", "S1, S2"):
        assert word in text, word
    assert str(tmp_path) not in text, "no local path is published"


def test_shards_and_row_groups_are_bounded(lake, tmp_path):
    table = fill(lake, {"High-Quality": 1_500}, width=4_096)
    small = recipe(shard_mb=1, row_group_mb=1)
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", small)
    files = sorted((tmp_path / "out" / "data" / "High-Quality").iterdir())
    assert len(files) > 2
    for file in files:
        assert file.stat().st_size <= 1 << 20
        groups = pq.ParquetFile(file).metadata
        assert all(groups.row_group(n).total_byte_size <= (1 << 18) + 8_192 for n in range(groups.num_row_groups))
    assert sorted(read(tmp_path / "out", "High-Quality")["id"]) == sorted(table["id"])


def test_memory_does_not_grow_with_the_table(tmp_path):
    from benchmarks.harness import measure

    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0, row_group_mb=8)

    def peak(snapshot: str, frames: int) -> int:
        frame = rows("High-Quality", snapshot, 2_500, 4_096)  # 10 MB of text
        lake.write(NEMOTRON_CC_V2, Parts([Part("High-Quality", "1", lambda: [frame] * frames)]), snapshot)
        script = (
            "import sys; from pathlib import Path; import tests.test_export as t\n"
            "t.export(t.Lakehouse(root=sys.argv[1], free_disk_mb=0), t.NEMOTRON_CC_V2, Path(sys.argv[2]),\n"
            "         t.recipe(shard_mb=16, row_group_mb=4), partitions=[sys.argv[3]])\n"
        )
        return measure([sys.executable, "-c", script, lake.root, str(tmp_path / snapshot), snapshot]).peak_rss

    small, large = peak("S1", 4), peak("S2", 40)
    assert len(read(tmp_path / "S2", "High-Quality")) == 100_000
    assert large < small + (100 << 20)


def test_a_second_export_does_nothing_and_a_changed_table_replaces(lake, tmp_path):
    out = tmp_path / "out"
    fill(lake, COUNTS)
    export(lake, NEMOTRON_CC_V2, out, recipe())
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    assert not export(lake, NEMOTRON_CC_V2, out, recipe()).written
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == before
    fill(lake, COUNTS)  # the same rows again: another Delta version, the same content
    assert not export(lake, NEMOTRON_CC_V2, out, recipe()).written
    fill(lake, {**COUNTS, "High-Quality": 7})
    done = export(lake, NEMOTRON_CC_V2, out, recipe())
    assert done.written and done.moved_aside is None
    assert len(read(out, "High-Quality")) == 14
    (next((out / "data" / "Diverse-QA").iterdir())).write_bytes(b"damaged")
    assert export(lake, NEMOTRON_CC_V2, out, recipe()).written, "a damaged export is made again"
    assert len(read(out, "Diverse-QA")) == 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake", "out"], "no other folder is left"


def test_same_table_same_bytes(lake, tmp_path):
    fill(lake, COUNTS)
    for name in ("one", "two"):
        export(lake, NEMOTRON_CC_V2, tmp_path / name, recipe())
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) == 7
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_partition(lake, tmp_path):
    table = fill(lake, COUNTS)
    done = export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(), partitions=["S2"])
    assert sum(c.rows for c in done.configs.values()) == table.filter(snapshot="S2").height
    assert set(read(tmp_path / "out", "High-Quality")["id"]) == set(
        table.filter(snapshot="S2", subset="High-Quality")["id"]
    )
    with pytest.raises(ExportError, match=r"no partition S3; it has S1, S2"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(), partitions=["S3"])


@pytest.mark.parametrize("where", ["a file", "in an export", "a folder", "a file in place of the folder"])
def test_other_files_are_refused_and_moved_aside_by_force(lake, tmp_path, where):
    fill(lake, COUNTS)
    out = tmp_path / "out"
    notes = out / "sub" / "notes.txt" if where == "a folder" else out / "notes.txt"
    if where == "in an export":
        export(lake, NEMOTRON_CC_V2, out, recipe())
    if where == "a file in place of the folder":
        notes = out
    notes.parent.mkdir(parents=True, exist_ok=True)
    notes.write_text("my notes")
    with pytest.raises(ExportError, match="no export wrote"):
        export(lake, NEMOTRON_CC_V2, out, recipe())
    assert notes.read_text() == "my notes"
    done = export(lake, NEMOTRON_CC_V2, out, recipe(), force=True)
    moved = done.moved_aside if notes == out else done.moved_aside / notes.relative_to(out)
    assert moved.read_text() == "my notes"
    assert len(read(out, "High-Quality")) == 10


def test_an_empty_folder_is_used(lake, tmp_path):
    fill(lake, COUNTS)
    (tmp_path / "out").mkdir()
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake", "out"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [1, 3, 6])
def test_it_goes_on_after_the_last_complete_shard(lake, tmp_path, after):
    table = fill(lake, {"High-Quality": 900, "Diverse-QA": 300}, width=4_096)
    small, out = recipe(shard_mb=1, row_group_mb=1), tmp_path / "out"
    lines = []

    def die(line: str) -> None:
        lines.append(line)
        if len(lines) == after:
            raise Killed

    with pytest.raises(Killed):
        export(lake, NEMOTRON_CC_V2, out, small, progress=die)
    assert not out.exists(), "the target appears only when the export is complete"
    work = tmp_path / "out.partial"
    with (work / "journal.jsonl").open("a") as journal:
        journal.write('{"config": "High-Qu')  # the kill cut this line
    (work / "data" / "High-Quality" / "train-00099.tmp").write_bytes(b"half")
    kept = {p: p.stat().st_mtime_ns for p in work.glob("data/*/*.parquet")}
    assert len(kept) == after
    lines = []
    export(lake, NEMOTRON_CC_V2, out, small, progress=lines.append)
    assert lines[0].startswith(f"going on after {after} shards")
    times = {p.stat().st_mtime_ns for p in out.glob("data/*/*.parquet")}
    assert set(kept.values()) <= times, "complete shards are not written again"
    reference = tmp_path / "reference"
    export(lake, NEMOTRON_CC_V2, reference, small)
    for config in ("High-Quality", "Diverse-QA"):
        assert read(out, config).equals(read(reference, config))
    assert (out / "export.json").read_bytes() == (reference / "export.json").read_bytes()
    assert len(read(out, "High-Quality")) + len(read(out, "Diverse-QA")) == len(table)


def test_a_changed_table_is_not_mixed_with_an_interrupted_export(lake, tmp_path):
    fill(lake, {"High-Quality": 900}, width=4_096)
    small, out, shards = recipe(shard_mb=1, row_group_mb=1), tmp_path / "out", []

    def die(line: str) -> None:
        shards.append(line)
        raise Killed

    with pytest.raises(Killed):
        export(lake, NEMOTRON_CC_V2, out, small, progress=die)
    table = fill(lake, {"High-Quality": 901}, width=4_096)
    export(lake, NEMOTRON_CC_V2, out, small)
    assert sorted(read(out, "High-Quality")["id"]) == sorted(table["id"])


@pytest.mark.faults
def test_sigkill(lake, tmp_path):
    """A process is killed by SIGKILL while it writes, and a second process finishes the export."""
    fill(lake, {"High-Quality": 4_000}, width=4_096)
    out = tmp_path / "out"
    script = (
        "import sys; from pathlib import Path; import tests.test_export as t\n"
        "t.export(t.Lakehouse(root=sys.argv[1], free_disk_mb=0), t.NEMOTRON_CC_V2, Path(sys.argv[2]),\n"
        "         t.recipe(shard_mb=1, row_group_mb=1), progress=lambda line: print(line, flush=True))\n"
    )
    arguments = [sys.executable, "-c", script, lake.root, str(out)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    for _ in range(3):
        assert "shard" in process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not out.exists()
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 0 and "going on after" in done.stdout, done.stderr[-2000:]
    assert read(out, "High-Quality")["id"].n_unique() == 8_000


def test_two_exports_into_one_folder(lake, tmp_path):
    fill(lake, COUNTS)
    refused = []

    def other(line: str) -> None:
        if not refused:
            with pytest.raises(ExportError, match="another export is writing"):
                export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
            refused.append(line)

    export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(), progress=other)
    assert refused


def test_a_full_disk_is_an_error_and_complete_shards_are_kept(lake, tmp_path, monkeypatch):
    fill(lake, {"High-Quality": 900}, width=4_096)
    small = recipe(shard_mb=1, row_group_mb=1)
    free = iter([10_000 << 20, 10_000 << 20])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=next(free, 0)))
    with pytest.raises(ExportError, match=r"0 MB of free disk.*run the same command again"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", small)
    monkeypatch.undo()
    lines = []
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", small, progress=lines.append)
    assert lines[0].startswith("going on after 2 shards")


def test_an_error_says_why_a_table_cannot_be_exported(lake, tmp_path):
    lake.write(NEMOTRON_CC_V2, Parts([]), "S1")
    with pytest.raises(ExportError, match="has no rows"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "none", recipe())
    lake = Lakehouse(root=str(tmp_path / "lake2"), free_disk_mb=0)
    with pytest.raises(ExportError, match=r"web\.documents is not published as a dataset; .*web\.nemotron_cc_v2"):
        export(lake, find("web/documents"), tmp_path / "out", recipe())
    with pytest.raises(Exception, match=r"there is no table 'web/nemotron'; perhaps web\.nemotron_cc_v2"):
        find("web/nemotron")
    with pytest.raises(ExportError, match=r"has not been written yet: `nemotron run \+web/nemotron_cc_v2`"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe())
    fill(lake, COUNTS)
    with pytest.raises(CardError, match=r"release\.licence_text: .*nowhere\.txt cannot be read"):
        export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe(licence_text=str(tmp_path / "nowhere.txt")))
    assert not list(tmp_path.glob("out*")), "no export was started"


def test_a_config_cannot_leave_the_folder(lake, tmp_path):
    table = Table(
        "t",
        "bad",
        "configs from the data",
        (ID, Column("kind", "string", "kind"), Column("text", "string", "text")),
        published=Published("Bad", ("id", "text"), configs_by="kind", configs=()),
    )
    lake.write(table, pl.DataFrame({"id": ["1"], "kind": ["../../up"], "text": ["x"]}))
    with pytest.raises(ExportError, match=r"kind '\.\./\.\./up' cannot be the name of a config"):
        export(lake, table, tmp_path / "out", recipe())


def test_a_table_without_configs_and_with_other_types(lake, tmp_path):
    columns = (
        ID, Column("text", "string", "text"), Column("tags", "list[string]", "tags"), Column("score", "float64", "s"),
        Column("count", "int32", "n", nullable=True), Column("at", "timestamp", "when"), CONTENT_HASH,
    )  # fmt: skip
    names = ("id", "text", "tags", "score", "count", "at")
    table = Table("t", "plain", "no configs, no partitions", columns, published=Published("Plain", names))
    frame = pl.DataFrame(
        {"id": ["a", "b"], "text": ["é", "|\n"], "tags": [["x"], []], "score": [0.5, 1.0],
         "count": pl.Series([1, None], dtype=pl.Int32), "content_hash": ["h", "i"],
         "at": pl.Series([0, 1]).cast(pl.Datetime("us", "UTC"))}
    )  # fmt: skip
    lake.write(table, frame)
    out = tmp_path / "out"
    done = export(lake, table, out, recipe(licence="odc-by", licence_text=None))
    assert done.configs["default"].characters == 3
    assert read(out, "default").equals(frame.select(names))
    matter, _ = card(out)
    assert matter["license"] == "odc-by" and "license_name" not in matter and not (out / "LICENSE.md").exists()
    assert {"name": "tags", "list": "string"} in matter["dataset_info"][0]["features"]
    from datasets import load_dataset

    loaded = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["tags"][:] == [["x"], []] and loaded["count"][:] == [1, None]
    with pytest.raises(ExportError, match="has no partitions"):
        export(lake, table, out, recipe(), partitions=["S1"])


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("NEMOTRON_LAKE", raising=False)
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    monkeypatch.setattr("nemotron_assets.commands.export.lake", lake)
    fill(lake, COUNTS)
    run = CliRunner()
    arguments = ["export", "web/nemotron_cc_v2", str(tmp_path / "out")]
    result = run.invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert "Translated-Diverse-QA" in result.output and "written in" in result.output
    assert "up to date, nothing to do" in run.invoke(cli, arguments, catch_exceptions=False).output
    with pytest.raises(ExportError, match="the published tables are"):
        run.invoke(cli, ["export", "web/documents", str(tmp_path / "two")], catch_exceptions=False)


def test_every_published_layout_can_be_exported():
    assert NEMOTRON_CC_V2.full_name in exportable()
    for table in exportable().values():
        names = set(table.published.columns)
        assert table.published.title and ("id" in names or {"repo", "commit_id", "rel_path"} <= names)
    with pytest.raises(ValueError, match="no column 'nothing' to publish"):
        Table("t", "t", "t", (ID,), published=Published("T", ("nothing",)))


@pytest.mark.parametrize(
    ("count", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (8_790_000_000, "1B<n<10B"), (10**12, "n>1T"), (10**15, "n>1T")],
)
def test_size_category(count, name):
    assert size_category(count) == name


def test_source_code_in_the_published_layout(tmp_path):
    """Metadata and questions about code, read as a user would: with DuckDB and with pyarrow."""
    import duckdb

    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    tables, commit = exportable(), "c" * 40
    files = [
        {
            "id": str(k),
            "repo": "o/r",
            "commit_id": commit,
            "rel_path": f"a b/{k}.x",
            "language": language,
            "license": "MIT",
            "content_hash": str(k),
        }
        for k, language in enumerate(("C++", "Python", "Python"))
    ]
    lake.write(tables["code.metadata"], frame(tables["code.metadata"], files))
    for language in ("C++", "Python"):
        pair = {"id": language, "language": language, "text": f"Write it in {language}.", "generator": "tiny"}
        lake.write(tables["code.qa"], frame(tables["code.qa"], [pair]), language)

    export(lake, tables["code.metadata"], tmp_path / "metadata", LAPTOP)
    read = duckdb.sql(f"select * from '{tmp_path}/metadata/data/Nemotron-Code-Metadata/*.parquet' order by rel_path")
    assert read.columns[:4] == ["repo", "commit_id", "rel_path", "language"]
    assert read.fetchall()[0][:5] == ("o/r", commit, "a b/0.x", "C++", "MIT")
    card = (tmp_path / "metadata" / "README.md").read_text()
    matter = yaml.safe_load(card.split("---")[1])
    assert matter["language"] == ["code"], "the Hub knows no programming languages"
    assert "| MIT | 3 | 100.0% |" in card and "| Nemotron-Code-Metadata | 3 | - | 2 |" in card

    export(lake, tables["code.qa"], tmp_path / "qa", LAPTOP)
    written = pq.read_table(tmp_path / "qa" / "data" / "Synthetic-Code")
    assert written.column_names == ["id", "text"]
    assert sorted(written["text"].to_pylist()) == ["Write it in C++.", "Write it in Python."]
    card = (tmp_path / "qa" / "README.md").read_text()
    assert "| **languages** | C++, Python |" in card and "| **generators** | tiny (2 texts) |" in card
