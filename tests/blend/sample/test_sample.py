"""The sample of all published data sets: which rows are chosen, its check, and its export with ten configs."""

from __future__ import annotations

import json
import subprocess
import sys

import dagster as dg
import polars as pl
import pytest
import yaml
from pydantic import ValidationError

from nemotron_assets.blend.sample import assets, checks
from nemotron_assets.blend.sample.audit import faults
from nemotron_assets.blend.sample.choosing import sample_parts
from nemotron_assets.blend.sample.tables import DATASET_SAMPLE, SUBSETS, TABLES_READ
from nemotron_assets.export import export
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.release import SAMPLE_ROWS, DatasetSample
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse
from tests.sql.lake import frame

RECIPE = load_recipe("laptop")
SNAPSHOTS = ("S1", "S2")
EMPTY = "Nemotron-SFT-General"
MATH = {
    "category": "4plus",
    "finemath_int_scores": 4,
    "finemath_scores": 4.25,
    "models_used": ["phi"],
    "nemocurator_int_scores": 3,
    "nemocurator_scores": 2.5,
    "warc_filename": "a.warc.gz",
    "warc_id": "0:9",
}


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def rows(subset: str, partition: str | None, count: int) -> list[dict]:
    """`count` rows of the table that a subset is taken from."""
    source = SUBSETS[subset]
    found = []
    for number in range(count):
        name = f"{subset} {partition} {number}"
        row = {"id": row_id(source.table.full_name, name), "text": f"A text: {name}", "language": "en"}
        row |= {source.column: source.value} if source.column else {}
        if subset == "Nemotron-CC-MATH":
            row |= MATH
        if subset == "Nemotron-Code-Metadata":
            row |= {"repo": "owner/name", "commit_id": "abc1234", "rel_path": f"src/{number}.py", "language": "Python"}
        if subset == "Nemotron-CC-Translated-Diverse-QA":
            row["language"] = ("de", "ja")[number % 2]
        if source.table.partition_by:
            row[source.table.partition_by] = partition
        found.append({name: value for name, value in row.items() if name in source.table.column_names})
    return found


def write(lake: Lakehouse, counts: dict[str, int]) -> None:
    """Fill the tables that the sample is taken from: so many rows for each subset, in every partition."""
    for table in TABLES_READ.values():
        partitions = {"snapshot": SNAPSHOTS, "language": ("Python",), None: (None,)}[table.partition_by]
        for partition in partitions:
            made = [
                row
                for subset, source in SUBSETS.items()
                if source.table is table
                for row in rows(subset, partition, counts.get(subset, 0))
            ]
            lake.write(table, _parts(table, made), partition)


def _parts(table: Table, made: list[dict]) -> object:
    if not table.part_by:
        return frame(table, made)
    keys = sorted({row.get(table.part_by, "") for row in made})
    return Parts(
        Part(key, f"{made}", lambda key=key: frame(table, [row for row in made if row.get(table.part_by, "") == key]))
        for key in keys
    )


def sampled(lake: Lakehouse, recipe: DatasetSample) -> pl.DataFrame:
    readers = {table.full_name: lake.read(table) for table in TABLES_READ.values()}
    lake.write(DATASET_SAMPLE, Parts(sample_parts(readers, recipe)))
    found = lake.read(DATASET_SAMPLE).scan().collect()
    assert not any(faults(found.lazy(), readers, recipe).values())
    return found


ALL = dict.fromkeys(SUBSETS, 4)


def test_the_published_rows_are_the_default():
    assert tuple(SUBSETS) == tuple(SAMPLE_ROWS) and sum(SAMPLE_ROWS.values()) == 27_706
    assert load_recipe("nano2").release.sample.rows == SAMPLE_ROWS
    assert DatasetSample(rows={"Nemotron-SFT-MATH": 3}).rows == {**SAMPLE_ROWS, "Nemotron-SFT-MATH": 3}
    with pytest.raises(ValidationError, match="Nemotron-CC-Low: not a subset of the sample"):
        DatasetSample(rows={"Nemotron-CC-Low": 3})


def test_the_rows_with_the_lowest_ids_are_chosen_from_all_partitions(lake):
    write(lake, {**ALL, EMPTY: 0})
    recipe = DatasetSample(rows={"Nemotron-CC-High-Quality": 3, "Nemotron-CC-MATH": 5, "Nemotron-Synthetic-Code": 0})
    found = sampled(lake, recipe)
    counts = dict(found.group_by("subset").len().iter_rows())
    assert counts == {
        "Nemotron-CC-High-Quality": 3,
        "Nemotron-CC-High-Quality-Synthetic": 8,
        "Nemotron-CC-Diverse-QA": 8,
        "Nemotron-CC-Translated-Diverse-QA": 8,
        "Nemotron-CC-MATH": 5,
        "Nemotron-Code-Metadata": 4,
        "Nemotron-SFT-Code": 4,
        "Nemotron-SFT-MATH": 4,
    }
    for subset, source in SUBSETS.items():
        there = [row["id"] for part in SNAPSHOTS for row in rows(subset, part, 4)]
        chosen = found.filter(subset=subset)["parents"].list.first().to_list()
        if source.table.partition_by == "snapshot":
            assert sorted(chosen) == sorted(there)[: counts[subset]]
    maths = found.filter(subset="Nemotron-CC-MATH")
    assert maths.row(0, named=True).items() >= MATH.items()
    assert found.filter(pl.col("subset") != "Nemotron-CC-MATH")["category"].null_count() == found.height - 5
    again = sampled(lake, recipe)
    assert again.sort("id").equals(found.sort("id"))


def test_a_subset_is_made_again_only_when_its_table_or_its_number_changes(lake):
    write(lake, ALL)
    readers = {table.full_name: lake.read(table) for table in TABLES_READ.values()}
    before = {part.key: part.fingerprint for part in sample_parts(readers, DatasetSample())}
    fewer = {part.key: part.fingerprint for part in sample_parts(readers, DatasetSample(rows={EMPTY: 1}))}
    assert [key for key in before if before[key] != fewer[key]] == [EMPTY]
    write(lake, {**ALL, "Nemotron-CC-MATH": 5})
    readers = {table.full_name: lake.read(table) for table in TABLES_READ.values()}
    after = {part.key: part.fingerprint for part in sample_parts(readers, DatasetSample())}
    assert [key for key in before if before[key] != after[key]] == ["Nemotron-CC-MATH"]


def test_the_check_finds_rows_that_are_not_published(lake):
    write(lake, ALL)
    found, readers = sampled(lake, DatasetSample()), {t.full_name: lake.read(t) for t in TABLES_READ.values()}

    def count(changed: pl.DataFrame, recipe: DatasetSample = DatasetSample()) -> dict[str, int]:
        return {name: number for name, number in faults(changed.lazy(), readers, recipe).items() if number}

    one = pl.int_range(pl.len()) == 0
    assert count(found) == {}
    assert count(pl.concat([found, found.head(1)]))["repeated_ids"] == 1
    assert count(found, DatasetSample(rows={"Nemotron-SFT-Code": 3})) == {"too_many_rows": 1}
    text = found.filter(pl.col("text").is_not_null())
    assert count(text.with_columns(text=pl.when(one).then(pl.lit("other")).otherwise("text"))) == {"not_in_table": 1}
    assert count(text.with_columns(text=pl.when(one).then(None).otherwise("text"))) == {
        "missing_values": 1,
        "not_in_table": 1,
    }
    moved = found.with_columns(sources=pl.when(one).then(pl.concat_list(pl.lit("web.pages"))).otherwise("sources"))
    assert count(moved) == {"not_in_table": 1}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The asset with its check, and the folder of its export. One subset is empty."""
    folder = tmp_path_factory.mktemp("sample")
    lake = Lakehouse(root=str(folder / "lake"), free_disk_mb=0)
    write(lake, {**ALL, EMPTY: 0})
    inputs = [dg.AssetSpec(table.asset_key).with_io_manager_key("io_manager") for table in TABLES_READ.values()]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*assets.ASSETS, *checks.CHECKS, *inputs],
            instance=instance,
            resources={"io_manager": lake, "lake": lake, "recipe": RECIPE},
            selection=dg.AssetSelection.assets(DATASET_SAMPLE.asset_key),
        )
        (evaluation,) = result.get_asset_check_evaluations()
        (made,) = result.get_asset_materialization_events()
    export(lake, DATASET_SAMPLE, folder / "out", RECIPE)
    return evaluation, made.materialization.metadata, folder / "out"


def test_the_asset_names_the_empty_subset(exported):
    evaluation, metadata, _ = exported
    assert evaluation.passed
    assert metadata["empty_subsets"].value == [EMPTY]
    assert "| Nemotron-SFT-Code | 4 | 4 | 1,000 | sft.nemotron\\_sft |" in metadata["rows_by_subset"].value


def test_datasets_loads_every_config_offline(exported, tmp_path):
    """A subset without rows is a config with its columns; `datasets` refuses to load no rows but as a stream."""
    script = (
        "import json, sys, datasets\n"
        "out, empty, *configs = sys.argv[1:]\n"
        "assert set(datasets.get_dataset_config_names(out)) == {empty, *configs}\n"
        "found = {}\n"
        "for name in configs:\n"
        "    rows = datasets.load_dataset(out, name, split='train')\n"
        "    found[name] = [rows.num_rows, rows.column_names, rows[0]]\n"
        "stream = datasets.load_dataset(out, empty, split='train', streaming=True)\n"
        "found[empty] = [len(list(stream)), list(stream.features), None]\n"
        "print(json.dumps(found))\n"
    )
    _, _, out = exported
    configs = [name for name in SUBSETS if name != EMPTY]
    environment = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(out), EMPTY, *configs], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout.splitlines()[-1])
    columns = {name: found[name][1] for name in SUBSETS}
    assert columns == {key: ["id", "text"] for key in SUBSETS} | {
        "Nemotron-CC-Translated-Diverse-QA": ["id", "text", "language"],
        "Nemotron-CC-MATH": ["id", "text", "metadata"],
        "Nemotron-Code-Metadata": ["repo", "commit_id", "rel_path"],
    }
    assert {name: found[name][0] for name in SUBSETS} == {
        name: 0 if name == EMPTY else 4 * (2 if source.table.partition_by == "snapshot" else 1)
        for name, source in SUBSETS.items()
    }
    assert found["Nemotron-CC-MATH"][2]["metadata"] == MATH
    assert found["Nemotron-Code-Metadata"][2]["repo"] == "owner/name"


def test_the_card_has_an_example_of_every_subset(exported):
    _, _, out = exported
    _, matter, text = (out / "README.md").read_text().split("---\n", 2)
    matter = yaml.safe_load(matter)
    assert [config["config_name"] for config in matter["configs"]] == list(SUBSETS)
    counts = {info["config_name"]: info["splits"][0]["num_examples"] for info in matter["dataset_info"]}
    assert counts[EMPTY] == 0 and counts["Nemotron-CC-MATH"] == 8
    examples = text.split("## Examples")[1].split("\n## ")[0]
    for name in SUBSETS:
        assert (f"### {name}\n" in examples) == (name != EMPTY)
    shown = examples.split("### Nemotron-Code-Metadata\n")[1].split("```")[1].removeprefix("json\n")
    assert json.loads(shown) == {
        "repo": "owner/name",
        "commit_id": "abc1234",
        "rel_path": json.loads(shown)["rel_path"],
    }
    assert "| repo | string |" in text and "| Nemotron-Code-Metadata |" in text
    assert f"| {EMPTY} | 0 |" in text


def test_an_export_that_was_killed_goes_on_and_is_the_same(exported, tmp_path):
    """Also past the file without rows. The same export written twice has the same files."""
    _, _, out = exported
    lake = Lakehouse(root=str(out.parent / "lake"), free_disk_mb=0)

    class Killed(BaseException):
        pass

    lines: list[str] = []

    def stop(line: str) -> None:
        lines.append(line)
        if "Nemotron-SFT-MATH" in line:
            raise Killed

    with pytest.raises(Killed):
        export(lake, DATASET_SAMPLE, tmp_path / "out", RECIPE, progress=stop)
    lines.clear()
    export(lake, DATASET_SAMPLE, tmp_path / "out", RECIPE, progress=lines.append)
    assert lines[0].startswith("going on after 10 shards")
    files = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert files == {
        p.relative_to(tmp_path / "out"): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert not export(lake, DATASET_SAMPLE, tmp_path / "out", RECIPE).written
