"""The SFT release as Dagster runs it, and its export: rows of several tables, checks, and `datasets.load_dataset`."""

from __future__ import annotations

import dagster as dg
import pytest

from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.export import export
from nemotron_assets.recipe import load_recipe
from nemotron_assets.sft.academic.tables import ACADEMIC_QA
from nemotron_assets.sft.multilingual.tables import MULTILINGUAL_SFT
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.sft.release import assets, checks
from nemotron_assets.sft.release.tables import CONFIGS, CONTAMINATED, NEMOTRON_SFT, SFT_TABLES
from resources.compute import Compute
from resources.lakehouse import Lakehouse
from tests.sft.release.test_release import PROBLEM, item, row
from tests.sql.lake import frame

ROWS = {
    ACADEMIC_QA: [
        row("clean", "Why is ice lighter than water?", subset="General"),
        row("dirty", PROBLEM, subset="General"),
        row("failed", "Why is lead light?", subset="General", status="failed"),
        row("maths", "input: 2 + 2\noutput: 4", status="majority"),
    ],
    MULTILINGUAL_SFT: [
        row("german", "Warum ist Eis leicht?", subset="General", language="de", status="unverified", parents=["clean"],
            sources=["sft.academic_qa"]),
        row("of dirty", "Eine Fähre?", subset="General", language="de", status="unverified", parents=["dirty"],
            sources=["sft.academic_qa"]),
    ],
    PROCEDURAL: [row("task", "Spell owl backward.", subset=None, split="train", task="spell_backward"),
                 row("scored", "Spell fox backward.", subset=None, split="test", task="spell_backward")],
}  # fmt: skip


@pytest.fixture
def made(tmp_path):
    """(the lake, the recipe, what the run gave)."""
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    lake.write(BENCHMARKS, frame(BENCHMARKS, [item("i", PROBLEM)]))
    for table, rows in ROWS.items():
        lake.write(table, frame(table, rows))
    recipe = load_recipe("laptop")
    release = recipe.sft.release.model_copy(update={"unverified": [MULTILINGUAL_SFT.full_name]})
    recipe, compute = recipe.with_sections({"sft.release": release}), Compute(workers=1)
    given = [dg.AssetSpec(t.asset_key).with_io_manager_key("io_manager") for t in (*SFT_TABLES, BENCHMARKS)]
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*assets.ASSETS, *checks.CHECKS, *given],
            instance=instance,
            selection=assets.ASSETS,
            resources={"io_manager": lake, "lake": lake, "recipe": recipe, "compute": compute},
        )
    compute.close()
    return lake, recipe, result


def test_the_release_takes_what_may_be_published_and_exports_it(made, tmp_path, monkeypatch):
    lake, recipe, result = made
    found = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert len(found) == 4 and all(check.passed for check in found.values()), found
    rows = lake.read(NEMOTRON_SFT).scan().collect()
    assert sorted(rows["parents"].explode()) == ["clean", "german", "maths"]
    assert lake.read(CONTAMINATED).rows == 1
    events = [e for e in result.all_events if e.is_step_materialization]
    metadata = events[-1].step_materialization_data.materialization.metadata
    assert "| sft.academic_qa | 2 | 1 | 0 | 0 | 1 | 2 | 0 | 1 | 1 | 0 |" in metadata["rows_by_table"].value
    assert "| sft.procedural | 2 | 0 | 0 | 0 | 0 | 0 | 2 | 0 | 0 | 0 |" in metadata["rows_by_table"].value

    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    written = export(lake, NEMOTRON_SFT, tmp_path / "out", recipe)
    assert list(written.configs) == list(CONFIGS.values())
    from datasets import load_dataset

    for config, wanted in (("Nemotron-SFT-General", 2), ("Nemotron-SFT-MATH", 1)):
        loaded = load_dataset(str(tmp_path / "out"), config, split="train", cache_dir=str(tmp_path / "cache"))
        assert loaded.column_names == ["id", "text"] and loaded.num_rows == wanted
    assert loaded["text"][:] == ["input: 2 + 2\noutput: 4"]
