"""Lakes of an older program: opening one says what to do. A migration keeps rows, history and named table versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from nemotron_assets.blend.tables import TOKEN_SHARDS
from nemotron_assets.commands import maintain
from nemotron_assets.commands.tables import all_facts
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.lake import migrations
from nemotron_assets.lake.migrations import migrate_all
from nemotron_assets.lineage.walk import trace
from nemotron_assets.math.corpus.tables import MATH_WRITER
from nemotron_assets.models.registry import Identity, Made, Registry, newest
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.stages import all_tables
from nemotron_assets.table.columns import ID, PARENTS
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Column, Table
from nemotron_assets.web.quality.tables import QUALITY_SCORERS
from resources.contract import LakeError
from resources.lakehouse import Lakehouse
from tests.blend.packed_lake import documents
from tests.sql.lake import Opened, frame

START = datetime(2025, 1, 1, tzinfo=UTC)
_INPUTS = Column("input_versions", "list[string]", "", volatile=True)
_STORED = (Column("uri", "string", ""), Column("sha256", "string", ""))

#: The tables as schema version 1 declared them.
OLD_BASE = Table(
    "models",
    "base",
    "",
    (
        ID,
        Column("name", "string", ""),
        Column("version", "string", ""),
        *_STORED,
        Column("parameters", "int64", ""),
        Column("tokens_seen", "int64", ""),
        Column("steps", "int64", ""),
        Column("final_loss", "float64", ""),
        Column("parent_version", "string", "", nullable=True),
        Column("recipe_hash", "string", ""),
        _INPUTS,
        Column("run_id", "string", "", volatile=True),
        Column("at", "timestamp", ""),
        Column("source_versions", "list[string]", "", nullable=True, volatile=True),
    ),
)
_LANGUAGE_MODEL = (
    ID,
    Column("name", "string", ""),
    *_STORED,
    Column("parameters", "int64", "", nullable=True),
    Column("dtype", "string", ""),
    Column("at", "timestamp", "", volatile=True),
)
OLD_GENERATOR = Table("models", "generator", "", _LANGUAGE_MODEL)
OLD_WRITER = Table("models", "math_writer", "", _LANGUAGE_MODEL)
#: Scores had no length, and stood alone, when their schema had version 1.
_LATER = ("length", "unigram_bits_per_byte", "gzip_bits_per_byte", "low", "high", "runs")
OLD_SCORES = Table(
    "evaluate", "benchmark_scores", "", tuple(c for c in BENCHMARK_SCORES.columns if c.name not in _LATER)
)


@pytest.fixture
def lake(tmp_path) -> Lakehouse:
    """A lake of schema version 1: two base models, of which the second continued the first, and their scores."""
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    first = {"id": "b1", "name": "tiny-base", "version": "1", "input_versions": ["blend.token_shards@4"], "at": START}
    second = {
        **first, "id": "b2", "version": "2", "parent_version": "1", "source_versions": ["code.curated@3"],
        "input_versions": ["blend.token_shards@5", "models.base@0"], "at": START + timedelta(days=1),
    }  # fmt: skip
    lake.write(OLD_BASE, frame(OLD_BASE, [first]))
    lake.write(OLD_BASE, frame(OLD_BASE, [first, second]))
    model = {"name": "smol", "sha256": "abc", "dtype": "bfloat16", "at": START}
    lake.write(OLD_GENERATOR, frame(OLD_GENERATOR, [{**model, "id": "g"}]))
    lake.write(OLD_WRITER, frame(OLD_WRITER, [{**model, "id": "w"}]))
    scores = [{"id": f"s{n}", "model_id": f"b{n}", "model_version": str(n), "value": 0.5, "at": START} for n in (1, 2)]
    lake.write(OLD_SCORES, frame(OLD_SCORES, scores))
    return lake


def test_opening_an_old_lake_says_what_to_do(lake):
    with pytest.raises(LakeError, match=r"parent_version.*nemotron maintain --migrate"):
        lake.read(BASE)


def test_an_old_lake_can_be_listed_and_traced(lake, tmp_path):
    """Its models name no parents yet; the list of tables says what to do."""
    opened = Opened(tmp_path)
    _, lines = all_facts(opened.warehouse)
    described = {line[0]: line[-1] for line in lines}
    assert described["models.base"].startswith(
        "Has schema version 1 of 2: run `nemotron maintain --migrate`. Pretrained"
    )
    assert not described["quarantine.rows"].startswith("Has")
    found = trace(opened.cursor(), all_tables().values(), "b2")
    assert {node.key for node in found.reached("below") if not node.is_version} == {"s2"}
    opened.connection.close()


def test_models_get_parents_and_keep_everything_else(lake):
    done = list(migrate_all(lake))
    assert any("models.base: 2 rows" in line for line in done) and len(done) == 4
    first, second = lake.read(BASE).scan().sort("at").collect().to_dicts()
    assert (first["parents"], first["sources"], first["source_versions"]) == ([], [], [])
    assert (second["parents"], second["sources"]) == (["b1"], ["models.base"])
    assert (second["source_versions"], second["version"]) == (["code.curated@3"], "2")
    writer = newest(lake.read(MATH_WRITER))
    assert (writer["parents"], writer["sources"], writer["version"]) == (["g"], ["models.generator"], "1")
    assert newest(lake.read(GENERATOR))["input_versions"] == []
    assert set(lake.read(BASE).parts()) == {"b1", "b2"} and all(lake.read(BASE).parts().values())
    assert set(lake.read(BENCHMARK_SCORES).parts()) == {"b1", "b2"}
    assert list(migrate_all(lake)) == [], "once"


def test_table_versions_that_models_name_can_still_be_read(lake):
    before = lake.open(OLD_BASE).version()
    list(migrate_all(lake))
    delta = lake.open(BASE)
    assert delta.version() > before
    delta.load_as_version(1)  # 0 is the empty table
    assert pl.from_arrow(delta.to_pyarrow_dataset().to_table())["id"].to_list() == ["b1"]


def test_a_migrated_table_takes_further_models(lake, tmp_path):
    list(migrate_all(lake))

    def make(scratch):
        (scratch / "w").write_text("x")
        columns = {"parameters": 1, "tokens_seen": 1, "steps": 1, "final_loss": 1.0, "source_versions": []}
        return Made(scratch, columns)

    registry = Registry(lake, BASE, "run")
    registry.want(Identity("tiny-base", "b3"), make)
    lake.write(BASE, registry.parts())
    rows = lake.read(BASE).scan().sort("at").collect()
    assert rows["id"].to_list() == ["b1", "b2", "b3"] and rows["version"].to_list() == ["1", "2", "3"]


def test_parents_are_found_in_tables_that_were_migrated_earlier(lake):
    """The program is killed after it has migrated the first table."""
    lines = migrate_all(lake)
    assert next(lines).startswith("models.generator: 1 row migrated")
    lines.close()
    assert len(list(migrate_all(lake))) == 3
    assert newest(lake.read(MATH_WRITER))["parents"] == ["g"]


@pytest.mark.parametrize("damage", ["log", "data file"])
def test_tables_beside_an_unreadable_one_are_migrated_and_those_that_need_its_rows_are_named(
    lake, monkeypatch, capsys, damage
):
    """The writer of mathematics finds its parent among the generators."""
    folder = Path(lake.path(GENERATOR))
    path = folder / "_delta_log" / f"{1:020}.json" if damage == "log" else next(folder.glob("*.parquet"))
    whole = path.read_bytes()
    path.write_bytes(b"")
    monkeypatch.setattr(maintain, "lake", lake)
    assert not maintain.maintain_command(None, migrate=True, dry_run=False, verify=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("models.generator: ") and str(folder) in line]
    assert "models.math_writer was not migrated: its migration needs the rows of models.generator" in "\n".join(lines)
    assert sum(" migrated to " in line for line in lines) == 2 and lines[-1].startswith("failed: ")
    path.write_bytes(whole)
    assert maintain.maintain_command(None, migrate=True, dry_run=False, verify=False)
    assert newest(lake.read(MATH_WRITER))["parents"] == ["g"]


def test_an_old_lake_is_not_called_damaged_by_verification(lake, monkeypatch, capsys):
    monkeypatch.setattr(maintain, "lake", lake)
    how = {"migrate": False, "dry_run": False, "verify": True}
    assert not maintain.maintain_command(None, **how)
    lines = capsys.readouterr().out.splitlines()
    asked = [line for line in lines if "its data files were not checked" in line]
    assert len(asked) == 4 and all("nemotron maintain --migrate" in line for line in asked)
    assert lines[-1].startswith("failed: 4 tables could not be checked") and "damage" not in "".join(lines[:-1])
    path = max(Path(lake.path(BASE), "_delta_log").glob("*.json"))
    path.write_bytes(path.read_bytes().replace(b'"add"', b'"bdd"'))
    assert not maintain.maintain_command(None, **how)
    assert "the lake is damaged" in capsys.readouterr().out.splitlines()[-1]


def test_version_numbers_of_scorers_count_the_versions_of_a_name(tmp_path):
    """An older lake stored the number that the recipe asked for, which may repeat and leave gaps."""
    old = Table(
        "models", "quality_scorers", "",
        (ID, Column("name", "string", ""), Column("version", "int32", ""), *_STORED, Column("at", "timestamp", "")),
    )  # fmt: skip
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    rows = [{"id": f"e{n}", "name": "edu_a", "version": v, "at": START + timedelta(n)} for n, v in enumerate((1, 1, 4))]
    lake.write(old, frame(old, rows))
    list(migrate_all(lake))
    assert lake.read(QUALITY_SCORERS).scan().sort("at").collect()["version"].to_list() == ["1", "2", "3"]


def test_a_table_without_rows_is_migrated(tmp_path):
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    lake.create(OLD_BASE)
    assert list(migrate_all(lake)) == ["models.base: 0 rows migrated to schema version 2"]
    assert lake.read(BASE).rows == 0 and lake.read(BASE).parts() == {}


def test_a_migration_that_is_killed_is_done_again(lake, monkeypatch):
    """A kill between its two commits leaves a table with the new columns and the old schema version."""
    opened = Lakehouse.open

    def killed(self, table, check=True):
        if migrating and table is BASE and not check and len(migrating) > 1:
            raise KeyboardInterrupt
        if table is BASE and not check:
            migrating.append(table)
        return opened(self, table, check)

    migrating: list = []
    monkeypatch.setattr(migrations, "_MIGRATIONS", {"models.base": migrations._MIGRATIONS["models.base"]})
    monkeypatch.setattr(Lakehouse, "open", killed)
    migrating.append(None)
    with pytest.raises(KeyboardInterrupt):
        list(migrate_all(lake))
    monkeypatch.setattr(Lakehouse, "open", opened)
    with pytest.raises(LakeError, match="schema version 1"):
        lake.read(BASE)
    list(migrate_all(lake))
    rows = lake.read(BASE).scan().sort("at").collect()
    assert rows["parents"].to_list() == [[], ["b1"]] and isinstance(rows, pl.DataFrame)


def test_packed_sequences_give_way_to_documents(tmp_path):
    """Earlier versions keep the sequences that models were trained on; the table takes documents from now on."""
    old = Table(
        "blend", "token_shards", "", (ID, PARENTS, Column("part", "string", ""), Column("tokens", "list[int32]", "")),
        part_by="part",
    )  # fmt: skip
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    rows = [{"id": "s", "parents": ["d"], "part": "S1/000000", "tokens": [5, 2]}]
    lake.write(old, Parts([Part("S1/000000", "1", lambda: frame(old, rows))]))
    with pytest.raises(LakeError, match="nemotron maintain --migrate"):
        lake.read(TOKEN_SHARDS)
    before = lake.open(TOKEN_SHARDS, check=False).version()
    (told,) = migrate_all(lake)
    assert told.startswith("blend.token_shards: emptied for schema version 2: it held packed sequences")
    reader = lake.read(TOKEN_SHARDS)
    assert reader.rows == 0 and reader.parts() == {} and list(migrate_all(lake)) == []
    name = "code.qa/-/000000"
    lake.write(TOKEN_SHARDS, Parts([Part(name, "1", lambda: documents(name, [[5]]))]))
    assert lake.read(TOKEN_SHARDS).scan().select("tokens").collect().item().to_list() == [5, 2]
    earlier = DeltaTable(lake.path(TOKEN_SHARDS), version=before).to_pyarrow_table(columns=["id"])
    assert earlier["id"].to_pylist() == ["s"]
