"""Answers to the suite, comparisons of stages, and budgets, with a small model that writes letters at random."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from transformers import PreTrainedTokenizerFast

from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.chat.budget.tags import Tags
from nemotron_assets.evaluate.suite import answering, budgets, comparing
from nemotron_assets.evaluate.suite.tables import (
    BUDGET_ANSWERS,
    BUDGET_CONTROL,
    MODELS,
    SUITE_ANSWERS,
    SUITE_COMPARISONS,
)
from nemotron_assets.recipe.evaluate_suite import BudgetControl
from nemotron_assets.rollouts.transformers_engine import TransformersEngine
from nemotron_assets.table.parts import Part, Parts
from resources.generations import GENERATIONS, Ledger
from tests.rollouts.conftest import lake, letters, model, one_thread, small
from tests.sql.lake import START, frame

__all__ = ["lake", "letters", "model", "one_thread", "small"]

MADE = {"input_versions": ["evaluate.suite_answers@1"], "run_id": "run", "at": datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture
def asked(model, letters, lake):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=letters, unk_token="<unk>", eos_token="</s>", pad_token="<pad>"
    )
    engine = TransformersEngine(model, tokenizer, "small", "weights", (12, 2), 16, Tags.of(tokenizer))
    return answering.Answering(engine, Ledger(lake), "test")


def items(count: int = 3) -> pl.DataFrame:
    rows = [
        (f"{task}{n}", task, split, n, f"{task}: a b {n}", "a b", "", "x")
        for task in ("copy", "max")
        for split in ("held_out", "train")
        for n in range(count)
    ]
    return pl.DataFrame(rows, SUITE_ITEMS.empty().schema, orient="row")


def test_the_first_held_out_items_of_every_task_are_asked():
    assert answering.chosen(items(), 2)["id"].to_list() == ["copy0", "copy1", "max0", "max1"]
    assert answering.chosen(items(), None).height == 6


@pytest.mark.parametrize(
    ("said", "right"), [("a b", True), (" a  b\n", True), ("a b.", False), ("ab", False), ("", False)]
)
def test_answers_are_graded_exactly(said, right):
    assert answering.is_right(said, "a b", "stop") is right
    assert not answering.is_right(said, "a b", "length"), "the model would have written more"


def test_answers_to_the_suite(asked, lake):
    chosen = answering.chosen(items(), None)
    rows = answering.suite_rows(asked, chosen, 7, "sft_1")
    assert [row["item"] for row in rows] == chosen["id"].to_list()
    assert all(row["output_tokens"] <= 7 and row["stage"] == "sft_1" for row in rows)
    stored = lake.read(GENERATIONS).scan().collect()
    assert set(stored["id"]) == {row["generation_id"] for row in rows}
    assert stored["messages"].str.contains("<think></think>", literal=True).all(), "the thought is off"
    assert answering.suite_rows(asked, chosen, 7, "sft_1") == rows
    assert lake.read(GENERATIONS).scan().collect().height == stored.height, "nothing is asked twice"


def answers(**right: list[bool]) -> pl.DataFrame:
    """Answers of models to the same items; the first half are of the task copy."""
    return pl.DataFrame(
        [
            {"model_id": id_, "task": "copy" if n < len(own) // 2 else "max", "item": f"i{n}", "right": value}
            for id_, own in right.items()
            for n, value in enumerate(own)
        ]
    )


def row_of(id_: str, *parents: str) -> dict:
    return {"id": id_, "name": f"model-{id_}", "version": 1, "stage": id_, "parents": list(parents)}


def test_every_stage_is_compared_with_the_models_it_was_made_from():
    """Stage b gains 20 items of the task copy and loses 2 of max; c is made from b and from a model that was not
    asked."""
    first = [False] * 30 + [True] * 30
    second = [True] * 20 + [False] * 10 + [True] * 28 + [False] * 2
    models = [row_of("a"), row_of("b", "a"), row_of("c", "b", "reward")]
    rows = comparing.comparison_rows(answers(a=first, b=second, c=first), models, MADE)
    SUITE_COMPARISONS.empty().vstack(rows)
    assert rows.select("model_id", "before_id", "task").rows() == [
        (new, old, task) for new, old in (("b", "a"), ("c", "b")) for task in ("copy", "max", "all")
    ]
    whole = rows.row(2, named=True)
    assert (whole["items"], whole["gained"], whole["lost"]) == (60, 20, 2)
    assert whole["difference"] == pytest.approx(0.3) and whole["low"] > 0 and whole["p_value"] < 0.001
    assert rows.row(5, named=True)["high"] < 0, "the last stage has damaged what the stage before had learned"
    assert rows["id"].n_unique() == 6
    assert comparing.comparison_rows(answers(a=first), models, MADE).is_empty()


def test_models_are_compared_with_their_nearest_ancestors_in_use(lake):
    """The second round of DPO is made from the first, which is made from ifeval_rl: it is compared with ifeval_rl. The
    lake has no table models.rlhf yet."""
    tables = {name: MODELS[name] for name in ("ifeval_rl", "dpo", "rlhf")}
    for stage, name, id_, parents, minute in (
        ("ifeval_rl", "rl", "r1", ["s"], 0), ("dpo", "dpo", "d1", ["r1"], 1), ("dpo", "dpo", "d2", ["d1"], 2)
    ):  # fmt: skip
        row = {
            "id": id_,
            "name": name,
            "version": str(minute),
            "parents": parents,
            "at": START + timedelta(minutes=minute),
        }
        content = frame(tables[stage], [row])
        lake.write(tables[stage], Parts([Part(id_, "1", lambda content=content: content)], complete=False))
    found = answering.in_use({name: lake.read(table) for name, table in tables.items()})
    assert {id_: (row["stage"], row["parents"]) for id_, row in found.items()} == {
        "r1": ("ifeval_rl", []), "d2": ("dpo", ["r1"])
    }  # fmt: skip


def test_enforced_budgets_are_well_formed_and_own_answers_stay_as_they_are(asked, lake):
    recipe = BudgetControl(tokens=(0, 3, 20), grace=4, answer_tokens=9, max_items=None)
    chosen = answering.chosen(items(2), None)
    measured = budgets.Budgets(asked, chosen, recipe)
    rows = pl.DataFrame(measured.rows())
    assert rows.group_by("mode").len().rows() and rows.height == 2 * chosen.height * 3
    enforced, own = rows.filter(mode="enforced"), rows.filter(mode="own")
    assert enforced["well_formed"].all() and (enforced["thought_tokens"] <= enforced["budget"] + 4).all()
    assert (own["thought_tokens"] <= own["budget"] + 6).all(), "the client may end an unfinished line with a full stop"
    assert set(own["closed_by"]) == {"budget"}, "the weights are random: the model does not close its thought"
    assert own.filter(budget=0)["completion"].str.starts_with("</think>\n\n").all()
    assert own.filter(budget=20)["generation_ids"].list.len().to_list() == [2] * chosen.height
    known = lake.read(GENERATIONS).scan().select("id").collect()["id"]
    assert set(rows["generation_ids"].explode()) == set(known)
    assert measured.rows() == rows.to_dicts()
    assert lake.read(GENERATIONS).scan().collect().height == known.len(), "nothing is asked twice"


def budget_answers(**models: float) -> pl.DataFrame:
    """Answers of models, right in this share of the items (the first ones)."""
    rows = [
        {
            "id": f"{name}{mode}{budget}{n}", "model": f"laptop-sft-3{name}", "model_id": name or "cut",
            "model_version": "1",
            "mode": mode, "budget": budget, "item": f"i{n}", "right": n < 40 * (share if budget < 64 else 0.5),
            "well_formed": mode == "enforced" or n > 9, "thought_tokens": budget, "answer_tokens": 2,
            "closed_by": "budget" if n < 10 else "model", **MADE,
        }
        for name, share in {key.replace("_", "-"): value for key, value in models.items()}.items()
        for mode in (budgets.OWN, budgets.ENFORCED)
        for budget in (0, 8, 64)
        for n in range(40)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"budget": pl.Int64, "right": pl.Boolean})


def test_budget_control_has_a_row_per_model_mode_and_budget():
    frame = budget_answers(**{"": 0.5, "_untruncated": 0.25})
    rows = budgets.control_rows(frame, MADE)
    BUDGET_CONTROL.empty().vstack(rows)
    assert rows.height == 12 and rows["id"].n_unique() == 12
    cut = rows.filter(model="laptop-sft-3", mode="own", budget=8).row(0, named=True)
    assert cut["truncated"] and (cut["accuracy"], cut["well_formed"], cut["closed_by_budget"]) == (0.5, 0.75, 0.25)
    assert not rows.filter(model="laptop-sft-3-untruncated")["truncated"].any()
    assert {"accuracy", "length", "figures"} <= set(budgets.summary(rows))


@pytest.mark.parametrize(("cut", "whole", "difference"), [(0.5, 0.25, 0.25), (0.25, 0.5, -0.25)])
def test_models_with_and_without_cut_thoughts_are_compared_at_small_budgets(cut, whole, difference):
    frame = budget_answers(**{"": cut, "_untruncated": whole})
    found = budgets.with_and_without(frame, budgets.OWN)
    assert found.difference == pytest.approx(difference) and found.is_worse is (difference < 0)
    assert budgets.with_and_without(frame.filter(pl.col("model") == "laptop-sft-3"), budgets.OWN) is None


def test_tables_take_the_rows(asked):
    """The columns that say which model it is come from the evaluation, the others from here."""
    rows = answering.suite_rows(asked, answering.chosen(items(1), 1), 3, "sft_1")
    common = {"id", "model", "model_id", "model_version", "input_versions", "run_id", "at"}
    assert {*rows[0], *common} == {column.name for column in SUITE_ANSWERS.columns}
    recipe = BudgetControl(tokens=(0, 2), grace=1, answer_tokens=3, max_items=None)
    made = budgets.Budgets(asked, answering.chosen(items(1), 1), recipe).rows()
    assert {*made[0], *common} == {column.name for column in BUDGET_ANSWERS.columns}


def test_budgets_ascend():
    with pytest.raises(ValueError, match="give every budget once, the smallest first"):
        BudgetControl(tokens=(8, 0), grace=1, answer_tokens=3, max_items=None)
