"""Two models compared item by item: in Python, by the SQL macros, and by `nemotron compare`; all three agree."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from nemotron_assets.commands import compare as command
from nemotron_assets.commands.cli import cli
from nemotron_assets.evaluate.results.comparing import (
    NothingInCommon,
    against_teacher,
    compared,
    flipped,
    item_scores,
    pairs,
)
from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.evaluate.suite.tables import SUITE_ANSWERS
from nemotron_assets.evaluate.tables import RULER_ANSWERS
from nemotron_assets.models.registry import ModelError
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.table.parts import Part, Parts
from resources.lakehouse import Lakehouse
from tests.sql.lake import START, Opened, frame

FIRST, SECOND, OTHER = "a" * 32, "b" * 32, "c" * 32
#: Right answers of 40 items by model: the second loses items 0 to 2 and gains items 20 to 33.
RIGHT = {FIRST: set(range(20)), SECOND: set(range(3, 34))}


def results(id_: str) -> list[dict]:
    """40 items of gsm8k with one answer each, two texts, and an item of ARC with two answers."""
    rows = [{"task": "gsm8k", "item": f"g{n:02}", "metric": "exact_match", "score": float(n in RIGHT[id_]),
             "answer": f"{id_[0]} says {n}"} for n in range(40)]  # fmt: skip
    bits = {FIRST: (2.0, 3.0), SECOND: (1.5, 3.5)}[id_]
    rows += [{"task": "held_out_code", "item": f"t{n}", "metric": "bits_per_byte", "score": bits[n],
              "weight": (300.0, 100.0)[n], "answer": None} for n in range(2)]  # fmt: skip
    scores = {FIRST: (0.0, 1.0), SECOND: (1.0, 1.0)}[id_]
    rows += [{"task": "arc", "item": "x", "metric": "acc", "run": run, "score": scores[run]} for run in (0, 1)]
    shots = {FIRST: 0, SECOND: 5}[id_]  # after more worked examples it is another question
    rows.append({"task": "agieval", "item": "y", "metric": "acc", "score": 1.0, "shots": shots})
    return [{"weight": 1.0, **row, "id": f"{id_[0]}{n}"} for n, row in enumerate(rows)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Lakehouse:
    lake = Lakehouse(root=str(tmp_path_factory.mktemp("compare") / "lake"), free_disk_mb=0)

    def store(table, id_: str, rows: list[dict]) -> None:
        common = {"model": f"model-{id_[0]}", "model_id": id_, "model_version": "1"}
        content = frame(table, [common | row for row in rows])
        lake.write(table, Parts([Part(id_, "1", lambda: content)], complete=False))

    for number, id_ in enumerate((FIRST, SECOND, OTHER)):
        row = {"id": id_, "name": f"model-{id_[0]}", "version": "1", "uri": "u", "sha256": id_, "at": START}
        lake.write(BASE, Parts([Part(id_, "1", lambda row=row: frame(BASE, [row]))], complete=False))
        if id_ == OTHER:
            store(ITEM_RESULTS, id_, [{"id": "c", "task": "mmlu", "item": "m", "metric": "acc", "weight": 1.0}])
            continue
        store(ITEM_RESULTS, id_, results(id_))
        suite = [{"task": task, "item": f"s{task}{n}", "right": n < 3 + number, "id": f"{id_[0]}s{task}{n}"}
                 for task in ("copy", "max") for n in range(6)]  # fmt: skip
        store(SUITE_ANSWERS, id_, suite)
        store(RULER_ANSWERS, id_, [{"task": "words", "length": n, "item": f"r{n}", "recall": 0.5 * number,
                                    "id": f"{id_[0]}r{n}"} for n in (512, 1024)])  # fmt: skip
    return lake


def test_every_item_is_compared_with_itself(lake):
    found = pairs(item_scores(lake, FIRST), item_scores(lake, SECOND))
    by_task = {(one.task, one.length): one for one in compared(found)}
    assert {key: one.items for key, one in by_task.items()} == {
        ("arc", None): 1, ("gsm8k", None): 40, ("held_out_code", None): 2, ("ruler_words", 512): 1,
        ("ruler_words", 1024): 1, ("suite_copy", None): 6, ("suite_max", None): 6, ("suite", None): 12,
    }  # fmt: skip
    gsm = by_task["gsm8k", None]
    assert (gsm.first, gsm.second, gsm.better, gsm.worse, gsm.test) == (0.5, 31 / 40, 14, 3, "McNemar")
    from scipy.stats import binomtest

    assert gsm.p == pytest.approx(binomtest(3, 17).pvalue) and 0 < gsm.low < gsm.difference < gsm.high
    text = by_task["held_out_code", None]
    assert (text.first, text.second, text.test) == (2.25, 2.0, "permutation")
    assert (text.better, text.worse) == (1, 1), "fewer bits are better"
    assert by_task["arc", None].difference == 0.5, "the mean of both answers"
    assert by_task["suite", None].better == 2
    names = [(row["gained"], row["item"]) for row in flipped(found) if row["task"] == "gsm8k"]
    assert names == [*((False, f"g{n:02}") for n in range(3)), *((True, f"g{n}") for n in range(20, 34))]


def test_the_macros_say_the_same(lake):
    found = pairs(item_scores(lake, FIRST), item_scores(lake, SECOND))
    with Opened(Path(lake.root).parent).cursor() as connection:
        rows = connection.execute("from evaluate.compared(?, ?)", [FIRST, SECOND]).pl()
        flips = connection.execute("from evaluate.flipped(?, ?)", [FIRST, SECOND]).pl()
        odd = connection.execute("select mcnemar(0, 0), mcnemar(900, 700), mcnemar(0, 6)").fetchone()
        assert not connection.execute("from evaluate.compared('no model', ?)", [FIRST]).fetchall()
    sql = {(row["task"], row["length"]): row for row in rows.iter_rows(named=True)}
    ours = {(one.task, one.length): one for one in compared(found)}
    assert sql.keys() == ours.keys()
    for key, one in ours.items():
        row = sql[key]
        for name in ("items", "first", "second", "difference", "better", "worse"):
            assert row[name] == pytest.approx(getattr(one, name)), (key, name)
        assert row["p_value"] == (pytest.approx(one.p) if one.test == "McNemar" else None), key
    gsm = sql["gsm8k", None]
    assert gsm["plus_minus"] == pytest.approx((ours["gsm8k", None].high - ours["gsm8k", None].low) / 2, rel=0.1)
    assert [(row["gained"], row["item"]) for row in flipped(found)] == flips.select("gained", "item").rows()
    from scipy.stats import binomtest

    assert odd == pytest.approx((1.0, binomtest(700, 1600).pvalue, 2 / 64), rel=1e-6)


def test_a_compressed_model_keeps_up_with_its_teacher_or_not(lake):
    first, second = item_scores(lake, FIRST), item_scores(lake, SECOND)
    passed, said = against_teacher(pairs(first, second))  # two items gained of 12, and fewer bits
    assert passed and said["held_out_code"].startswith("-11.11% (") and said["suite"].endswith(", 12 items")
    assert not against_teacher(pairs(second, first))[0], "two items lost, and more bits"
    assert not against_teacher(pairs(first, second).filter(pl.col("metric") != "bits_per_byte"))[0], "no text measured"
    same = pairs(first, first)
    worse = same.with_columns(second=pl.when(metric="bits_per_byte").then(pl.col("second") * 1.04).otherwise("second"))
    assert against_teacher(same)[0] and not against_teacher(worse)[0], "4% more bits"


def nemotron(*arguments: str) -> str:
    return CliRunner().invoke(cli, ["compare", *arguments], standalone_mode=False, catch_exceptions=False).output


def test_the_command_prints_the_comparison_and_the_flipped_items(lake, monkeypatch):
    monkeypatch.setattr(command, "lake", lake)
    said = nemotron("model-a", "model-b", "--items", "4")
    assert "second: model-b 1" in said and "McNemar" in said and "+0.2750" in said and "21 items flipped" not in said
    assert "19 items flipped, of which 4 are shown" in said and "b says 0" in said and "b says 33" not in said
    only = json.loads(nemotron(FIRST[:8], "model-b", "--task", "suite", "--json"))
    assert {one["task"] for one in only["tasks"]} == {"suite", "suite_copy", "suite_max"} and len(only["flipped"]) == 2


def test_models_that_cannot_be_compared_are_named(lake, monkeypatch):
    monkeypatch.setattr(command, "lake", lake)
    with pytest.raises(ModelError, match=r"(?s)no model .nobody..*models.base@1  model-a"):
        nemotron("model-a", "nobody")
    with pytest.raises(NothingInCommon, match=r"no item in common: the first has results for agieval, arc.*for mmlu"):
        nemotron("model-a", "model-c")
    with pytest.raises(NothingInCommon, match=r"no item of the task 'gsm' in common, only of arc, gsm8k"):
        nemotron("model-a", "model-b", "--task", "gsm")
