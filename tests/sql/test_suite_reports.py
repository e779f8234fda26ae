"""The view evaluate.suite_scores, its report, and the checks of the suite's evaluation, on answers that are known."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.evaluate.suite import checks
from nemotron_assets.evaluate.suite.comparing import comparison_rows
from nemotron_assets.evaluate.suite.tables import BUDGET_ANSWERS, SUITE_ANSWERS, SUITE_COMPARISONS
from nemotron_assets.table.parts import Part, Parts
from resources.lakehouse import Lakehouse
from tests.sql.lake import START, Opened, frame
from tests.sql.report import answer

#: Right answers of 20 items (10 of copy, then 10 of max) by model id, in the order of the stages. The first version of
#: sft-1 is replaced by the second.
RIGHT = {"base": 0, "sft-1 v1": 2, "sft-1 v2": 15, "sft-2": 5}
RECIPE = SimpleNamespace(
    evaluate=SimpleNamespace(suite=SimpleNamespace(max_items=None), budget_control=SimpleNamespace(grace=4))
)


def suite_answers(id_: str, right: int, minute: int) -> list[dict]:
    name, _, version = id_.partition(" v")
    common = {"model": name, "model_id": id_, "model_version": version or "1", "stage": name.replace("-", "_")}
    return [
        {
            "id": f"{id_}/{n}", **common, "task": "copy" if n < 10 else "max", "item": f"i{n}", "right": n < right,
            "output_tokens": 3, "finish_reason": "stop", "at": START + timedelta(minutes=minute),
        }
        for n in range(20)
    ]  # fmt: skip


def store(lake: Lakehouse, table, part: str, rows: list[dict]) -> None:
    content = frame(table, rows)
    lake.write(table, Parts([Part(part, str(len(rows)), lambda: content)], complete=False))


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("suite") / "lake"), free_disk_mb=0)
    items = [{"id": f"i{n}", "task": "copy" if n < 10 else "max", "split": "held_out", "number": n} for n in range(20)]
    for task in ("copy", "max"):
        store(lake, SUITE_ITEMS, task, [item for item in items if item["task"] == task])
    for minute, (id_, right) in enumerate(RIGHT.items()):
        store(lake, SUITE_ANSWERS, id_, suite_answers(id_, right, minute))
    models = [
        {"id": id_, "name": name, "version": version, "stage": name, "parents": parents}
        for id_, name, version, parents in (
            ("base", "base", 1, []), ("sft-1 v2", "sft-1", 2, ["base"]), ("sft-2", "sft-2", 1, ["sft-1 v2"])
        )
    ]  # fmt: skip
    made = {"input_versions": [], "run_id": "run", "at": START}
    lake.write(SUITE_COMPARISONS, comparison_rows(lake.read(SUITE_ANSWERS).scan().collect(), models, made))
    return lake


def test_scores_by_stage_and_task(lake):
    found = answer(Opened(Path(lake.root).parent), "suite_scores")
    rows = {(row["model"], row["task"]): row for row in found.iter_rows(named=True)}
    assert {key: row["score"] for key, row in rows.items()} == {
        ("base", "all"): 0, ("base", "copy"): 0, ("base", "max"): 0,
        ("sft-1", "all"): 0.75, ("sft-1", "copy"): 1, ("sft-1", "max"): 0.5,
        ("sft-2", "all"): 0.25, ("sft-2", "copy"): 0.5, ("sft-2", "max"): 0,
    }  # fmt: skip
    gained = rows["sft-1", "all"]
    assert (gained["before_model"], gained["difference"], gained["gained"], gained["lost"]) == ("base", 0.75, 15, 0)
    assert rows["base", "all"]["before_model"] is None and gained["low"] > 0.5 and gained["items"] == 20


def test_a_stage_that_did_damage_is_named(lake):
    found = checks.no_stage_did_damage(lake)
    assert not found.passed and found.metadata["damaged"].text == "sft-2"


def test_missing_answers_are_found(lake, tmp_path):
    assert checks.all_held_out_items_are_answered(lake, RECIPE).passed
    other = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    store(
        other, SUITE_ITEMS, "copy", [{"id": f"i{n}", "task": "copy", "split": "held_out", "number": n} for n in (0, 1)]
    )
    store(other, SUITE_ANSWERS, "base", suite_answers("base", 0, 0)[:1])
    found = checks.all_held_out_items_are_answered(other, RECIPE)
    assert not found.passed and found.metadata["models_with_missing_answers"].text == "base"


@pytest.mark.parametrize(("field", "value"), [("well_formed", False), ("thought_tokens", 13), (None, None)])
def test_an_enforced_budget_that_does_not_hold_is_found(tmp_path, field, value):
    """A thought of 12 tokens is within a budget of 8 and its grace of 4."""
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    good = {"mode": "enforced", "budget": 8, "well_formed": True, "thought_tokens": 12, "closed_by": "budget"}
    rows = [{"id": str(n), "model": "m", "model_id": "m", "item": str(n), **good} for n in range(3)]
    rows[2] |= {field: value} if field else {}
    rows.append({**rows[0], "id": "own", "mode": "own", "well_formed": False, "thought_tokens": 99})
    store(lake, BUDGET_ANSWERS, "m", rows)
    assert checks.enforced_budgets_hold(lake, RECIPE).passed is (field is None)
