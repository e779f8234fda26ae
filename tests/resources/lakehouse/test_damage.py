"""Damaged files are found: every data file has a recorded hash, and errors name the table, the file and a way out."""

import dataclasses
import os
import random
import types
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from deltalake import write_deltalake

from nemotron_assets.commands import maintain
from nemotron_assets.lake import upkeep
from nemotron_assets.recipe.lake import Maintenance
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.schema import Column, Table
from resources.contract import LakeError
from resources.lakehouse.stored import live_files
from resources.lakehouse.verify import damaged_files, why_unreadable
from resources.warehouse import Warehouse
from tests.resources.lakehouse.rows import DOCS, PLAIN, data_files, docs, parts

UPKEEP = Maintenance.model_construct(target_file_mb=1, min_files=2, retention_hours=0)


def files(lake, table=DOCS) -> list[Path]:
    return [Path(lake.path(table), file.path) for file in lake.read(table).stored()]


def problems(lake, table=DOCS) -> list[str]:
    return [damage.problem for damage in damaged_files(lake.read(table))]


def compact(lake, table=DOCS):
    return upkeep.maintain_table(lake, table, lake.open(table), UPKEEP, (), dry_run=False)


def test_every_file_of_every_kind_of_write_has_its_hash_in_its_name(lake):
    lake.write(DOCS, parts("A", [], x=[1, 2], y=[3], z=[4]), "A")
    lake.write(DOCS, docs("B", "f", [1]), "B")
    assert compact(lake).files_written == 1
    lake.write(DOCS, parts("A", [], x=[1, 2], y=[5]), "A")  # y is changed and z dropped, in the compacted file
    for n in range(3):
        lake.append(PLAIN, pl.DataFrame({"id": [f"{n}", f"{n}b"], "n": [n, n]}))
    lake.replace(PLAIN, pl.DataFrame({"id": ["1"], "n": [7]}), {"id": "1"})
    for table in (DOCS, PLAIN):
        lake.open(table).create_checkpoint()
        stored = lake.read(table).stored()
        assert stored and [file.hash for file in stored] == [
            xxhash.xxh3_128_hexdigest(path.read_bytes()) for path in files(lake, table)
        ]
        assert problems(lake, table) == []
    assert sorted(lake.read(PLAIN).scan().collect().rows()) == [
        ("0", 0),
        ("0b", 0),
        ("1", 7),
        ("1b", 1),
        ("2", 2),
        ("2b", 2),
    ]


def test_every_flipped_bit_of_a_data_file_is_found(lake):
    lake.write(DOCS, docs("A", "f", range(300)), "A")
    path, chance = files(lake)[0], random.Random(5)
    whole = path.read_bytes()
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        assert len(problems(lake)) == 1
    path.write_bytes(whole)
    assert problems(lake) == []


def test_a_changed_page_is_an_error_when_it_is_read(lake):
    """Pages carry a checksum. Without it, a flipped bit in a number would be another number."""
    table = Table("web", "raw", "", PLAIN.columns, uncompressed=("n",))
    lake.write(table, pl.DataFrame({"id": [f"{n}" for n in range(1000)], "n": [0x0123456789ABCDEF] * 1000}))
    path = files(lake, table)[0]
    whole = bytearray(path.read_bytes())
    whole[pq.ParquetFile(path).metadata.row_group(0).column(1).dictionary_page_offset + 30] ^= 1
    path.write_bytes(whole)
    with pytest.raises(
        LakeError, match=r"web\.raw: the data file .*parquet cannot be read: .*nemotron run --force web/raw"
    ):
        list(lake.read(table).batches())


@pytest.mark.parametrize("columns", [None, ["n"]])
def test_a_missing_file_is_named(lake, columns):
    lake.write(DOCS, docs("A", "f", [1]), "A")
    path = files(lake)[0]
    path.rename(path.with_suffix(".gone"))
    with pytest.raises(LakeError, match=r"web\.docs: the data file .*nemotron run --force web/docs --partition A"):
        list(lake.read(DOCS).batches(columns))
    assert problems(lake) == ["is missing"]
    lake.write(DOCS, docs("A", "f", [1]), "A", force=True)
    assert problems(lake) == [], "the way out of the message works"


def test_a_file_of_several_parts_leads_to_the_whole_table(lake):
    lake.write(DOCS, parts("A", [], x=[1], y=[2]), "A")
    compact(lake)
    files(lake)[0].write_bytes(b"PAR1")
    with pytest.raises(LakeError, match=r"maintain --set-aside web\.docs.*nemotron run --force web/docs"):
        lake.write(DOCS, parts("A", [], x=[3], y=[2]), "A")


def test_a_file_of_an_earlier_version_is_decoded_and_counted(lake):
    lake.write(DOCS, docs("A", "f", range(5)), "A")
    lake.open(DOCS).optimize.compact()
    rows = pa.table({"id": ["a"], "parents": [["p"]], "snapshot": ["B"], "file": ["g"], "n": [1]})
    rows = rows.append_column("at", pa.array([None], pa.timestamp("us", "UTC")))
    write_deltalake(lake.path(DOCS), rows, mode="append")
    assert [file.hash is None for file in live_files(lake.open(DOCS), DOCS, ["B"])] == [True]
    assert problems(lake) == []
    path = Path(lake.path(DOCS), live_files(lake.open(DOCS), DOCS, ["B"])[0].path)
    path.write_bytes(path.read_bytes()[:-100] + bytes(100))
    assert len(problems(lake)) == 1


def test_verify_prints_each_damaged_file_and_says_so(lake, monkeypatch, capsys):
    monkeypatch.setattr(upkeep, "all_tables", lambda: {t.full_name: t for t in (DOCS, PLAIN)})
    monkeypatch.setattr(maintain, "lake", lake)
    lake.write(DOCS, parts("A", [], x=[1], y=[2]), "A")
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    how = {"migrate": False, "dry_run": False, "verify": True}
    assert maintain.maintain_command(None, **how)
    printed = capsys.readouterr().out
    assert "web.docs: 2 files, 0 damaged" in printed
    assert printed.splitlines()[-1] == "every file is as its commit recorded it"
    path = files(lake)[1]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert not maintain.maintain_command(None, **how)
    printed = capsys.readouterr().out
    assert str(path) in printed and "nemotron run --force web/docs --partition A" in printed
    assert "web.docs: 2 files, 1 damaged" in printed and "web.plain: 1 file, 0 damaged" in printed
    assert printed.splitlines()[-1].startswith("failed: the lake is damaged")


def test_damaged_weights_are_found(lake, monkeypatch, tmp_path):
    models = Table("models", "toy", "", (*PLAIN.columns, Column("uri", "string", ""), Column("sha256", "string", "")))
    monkeypatch.setattr(upkeep, "all_tables", lambda: {"models.toy": models})
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(name.encode() * 1000)
    stored = [lake.put_weights(tmp_path / name, "toy") for name in ("a", "b")]
    lake.write(models, pl.DataFrame([{"id": u, "n": 1, "uri": u, "sha256": s} for u, s in stored]))
    assert all(whole for whole, _ in upkeep.verify_all(lake))
    file = lake.get_weights(stored[0][0]) / "model.safetensors"
    file.write_bytes(b"b" + b"a" * 999)
    found = [line for whole, line in upkeep.verify_all(lake) if not whole]
    assert len(found) == 1 and f"models.toy: {file} has the sha256" in found[0]
    file.unlink()
    assert f"models.toy: {file} is missing" in next(line for whole, line in upkeep.verify_all(lake) if not whole)


def test_a_catalog_refuses_queries_of_a_table_whose_last_commit_is_empty(lake, tmp_path):
    for n in range(2):
        lake.write(DOCS, docs("A", "f", [n]), "A")
    warehouse = Warehouse(root=lake.root, catalog=str(tmp_path / "lake.duckdb"))
    warehouse.refresh([DOCS], sql_folder=None)
    assert warehouse.current([DOCS])
    last = Path(lake.path(DOCS), "_delta_log", f"{lake.read(DOCS).version:020}.json")
    whole = last.read_bytes()
    last.write_bytes(b"")
    assert not warehouse.current([DOCS]), "an open catalog notices it"
    warehouse.refresh([DOCS], sql_folder=None)
    with warehouse.connect(refresh=False) as connection:
        with pytest.raises(duckdb.Error, match=r"web\.docs cannot be read: the file .*2\.json of its log is empty"):
            connection.execute("select count(*) from web.docs")
    assert warehouse.current([DOCS]), "the catalog remembers the table, and is not rebuilt by every query"
    last.write_bytes(whole)
    assert not warehouse.current([DOCS]), "the catalog notices that the file was put back"
    warehouse.refresh([DOCS], sql_folder=None)
    assert warehouse.current([DOCS])


def test_a_catalog_remembers_a_table_whose_log_is_damaged_until_the_log_changes(lake, tmp_path):
    for n in range(3):
        lake.write(DOCS, docs("A", "f", [n]), "A")
    first = Path(lake.path(DOCS), "_delta_log", f"{1:020}.json")
    whole = first.read_bytes()
    first.write_bytes(b"{")
    warehouse = Warehouse(root=lake.root, catalog=str(tmp_path / "lake.duckdb"))
    assert "web.docs" in warehouse.refresh([DOCS], sql_folder=None).unreadable
    assert warehouse.current([DOCS])
    first.write_bytes(whole)
    assert not warehouse.current([DOCS])
    assert not warehouse.refresh([DOCS], sql_folder=None).unreadable
    with warehouse.connect(refresh=False) as connection:
        assert connection.execute("select n from web.docs").fetchall() == [(2,)]


@pytest.mark.parametrize("damage", [b"", b'{"add":{"path":"x', b"\0" * 100])
def test_a_damaged_last_commit_is_an_error_with_the_name_of_the_table(lake, damage):
    for n in range(3):
        lake.write(DOCS, docs("A", "f", [n]), "A")
    last = Path(lake.path(DOCS), "_delta_log", f"{lake.read(DOCS).version:020}.json")
    whole = last.read_bytes()
    last.write_bytes(damage)
    for use in (lambda: lake.read(DOCS), lambda: lake.write(DOCS, docs("A", "f", [5]), "A")):
        with pytest.raises(LakeError, match=r"web\.docs: .*_delta_log") as error:
            use()
        assert "\n" not in str(error.value)
    last.write_bytes(whole)
    assert lake.read(DOCS).scan().collect()["n"].to_list() == [2]


def test_a_named_version_that_is_gone_is_reported(lake):
    for n in range(3):
        lake.write(DOCS, docs("A", "f", [n]), "A")
    lake.open(DOCS).create_checkpoint()
    for version in (0, 1):  # Delta deletes log entries before a checkpoint when they are old
        os.remove(Path(lake.path(DOCS), "_delta_log", f"{version:020}.json"))
    done = upkeep.maintain_table(lake, DOCS, lake.open(DOCS), UPKEEP, (1, 3), dry_run=False)
    assert (done.versions_kept, done.versions_gone) == ((3,), (1,))
    assert "version 1 is gone from the log, and models or scores were made from it" in str(done)


def test_maintain_names_every_unreadable_table_and_goes_on_with_the_others(lake, monkeypatch, capsys):
    tables = {name: dataclasses.replace(PLAIN, name=name) for name in ("a", "b", "c")}
    versions = Column("input_versions", "list[string]", "versions of the tables it was made from")
    tables["d"] = dataclasses.replace(PLAIN, name="d", columns=(*PLAIN.columns, versions))
    monkeypatch.setattr(upkeep, "all_tables", lambda: {table.full_name: table for table in tables.values()})
    monkeypatch.setattr(maintain, "lake", lake)
    monkeypatch.setattr(maintain, "current_recipe", lambda: types.SimpleNamespace(maintenance=UPKEEP))
    for table in tables.values():
        for n in range(2):
            rows = {"id": ["x"], "n": [n]} | ({"input_versions": [["web.b@1"]]} if table.name == "d" else {})
            lake.write(table, pl.DataFrame(rows))
    for name in ("a", "c"):
        Path(lake.path(tables[name]), "_delta_log", f"{2:020}.json").write_bytes(b"{")
    how = {"migrate": False, "dry_run": False, "verify": False}
    assert not maintain.maintain_command(None, **how)
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in printed] == ["web.a", "web.b", "web.c", "web.d", "failed"]
    assert "maintain --set-aside web.c" in printed[2]
    assert len(files(lake, tables["b"])) == 1 and len(data_files(lake, tables["b"])) == 2, "a model names the old one"

    Path(lake.path(tables["d"]), "_delta_log", f"{2:020}.json").write_bytes(b"{")
    lake.write(tables["b"], pl.DataFrame({"id": ["x"], "n": [5]}))
    assert not maintain.maintain_command(None, **how)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("web.d: ") and "Until then no old file is deleted" in printed[0]
    assert len(data_files(lake, tables["b"])) == 3


@pytest.mark.parametrize("late", [False, True])
def test_a_failed_asset_names_the_damaged_file(lake, monkeypatch, late):
    """Frames of polars are read late: in the asset, or when the lake writes what the asset returned."""
    source = Table("web", "source", "", PLAIN.columns)
    tables = {t.full_name: t for t in (source, PLAIN)}
    monkeypatch.setattr("resources.lakehouse.lake.all_tables", lambda: tables)

    @table_asset(PLAIN, recipe="storage", ins={"source": source})
    def plain(source):
        return source.scan() if late else source.scan().collect()

    lake.write(source, pl.DataFrame({"id": [f"{n}" for n in range(1000)], "n": range(1000)}))
    path = files(lake, source)[0]
    whole = bytearray(path.read_bytes())
    whole[20:400] = bytes(380)
    path.write_bytes(whole)
    assets = [dg.AssetSpec(source.asset_key).with_io_manager_key("io_manager"), plain]
    result = dg.materialize(assets, resources={"io_manager": lake}, raise_on_error=False)
    error = result.failure_data_for_node("web__plain").error
    while error.cause:
        error = error.cause
    assert f"web.source: the data file {path} has the xxh3-128 hash" in error.message
    assert "nemotron run --force web/source" in error.message


def test_a_missing_file_is_noticed_without_reading(lake):
    lake.write(DOCS, docs("A", "f", [1]), "A")
    lake.write(DOCS, docs("B", "f", [2]), "B")
    reader = lake.read(DOCS)
    (gone,) = reader.within("A").stored()
    Path(lake.path(DOCS), gone.path).unlink()
    assert f"{gone.path} is missing" in why_unreadable(reader.within("A"))
    assert why_unreadable(reader.within("B")) == ""
