"""The files of an export: `datasets` and other readers can read them, and they have only published columns."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml

from nemotron_assets.export import ExportError, export, exportable
from nemotron_assets.export.card import size_category
from nemotron_assets.table.columns import CONTENT_HASH, ID
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Column, Published, Table
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from resources.lakehouse import Lakehouse
from tests.export.dataset import COUNTS, LAPTOP, SUBSETS, card, fill, read, recipe, rows
from tests.sql.lake import frame


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
    assert "NVIDIA has neither made nor reviewed it" in text


def test_card_names_the_settings_and_no_secret(lake, tmp_path):
    fill(lake, COUNTS)
    web = LAPTOP.web
    privacy = web.documents.privacy.model_copy(update={"fake_key": "planted-secret"})
    opt_outs = web.documents.opt_outs.model_copy(update={"lines": ["gone.example", "left.example"]})
    documents = web.documents.model_copy(update={"privacy": privacy, "opt_outs": opt_outs})
    perplexity = web.perplexity.model_copy(update={"model": "/home/me/secret-place/ngrams"})
    web = web.model_copy(update={"documents": documents, "perplexity": perplexity})
    export(lake, NEMOTRON_CC_V2, tmp_path / "out", recipe().model_copy(update={"web": web}))
    _, text = card(tmp_path / "out")
    for row in (
        "| `web.documents.privacy.email.action` | replace |",
        "| `web.documents.opt_outs.lines` | 2 values |",
        f"| `web.dedup.min_similarity` | {web.dedup.min_similarity} |",
        f"| `web.substring.min_bytes` | {web.substring.min_bytes} |",
        "| `web.heuristics.rules.words.min` | 50.0 |",
        "| `web.perplexity.model` | ngrams (a local file or folder) |",
    ):
        assert row in text, row
    for secret in ("planted-secret", "gone.example", "secret-place"):
        assert not any(secret in file.read_text() for file in (tmp_path / "out").glob("*.*") if file.is_file()), secret


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
            "import sys; from pathlib import Path; import tests.export.dataset as t\n"
            "from nemotron_assets.export import export\n"
            "export(t.Lakehouse(root=sys.argv[1], free_disk_mb=0), t.NEMOTRON_CC_V2, Path(sys.argv[2]),\n"
            "         t.recipe(shard_mb=16, row_group_mb=4), partitions=[sys.argv[3]])\n"
        )
        return measure([sys.executable, "-c", script, lake.root, str(tmp_path / snapshot), snapshot]).peak_rss

    small, large = peak("S1", 4), peak("S2", 40)
    assert len(read(tmp_path / "S2", "High-Quality")) == 100_000
    assert large < small + (100 << 20)


def test_same_table_same_bytes(lake, tmp_path):
    fill(lake, COUNTS)
    for name in ("one", "two"):
        export(lake, NEMOTRON_CC_V2, tmp_path / name, recipe())
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert len(files) == 7
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


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
    assert f"| `code.licences.min_score` | {LAPTOP.code.licences.min_score} |" in card
    card = (tmp_path / "qa" / "README.md").read_text()
    assert "| **languages** | C++, Python |" in card and "| **generators** | tiny (2 texts) |" in card
