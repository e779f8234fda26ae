"""Checks of the suite's evaluation: all items are answered, no stage did damage, and budgets hold."""

import dagster as dg

from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.evaluate.suite.tables import BUDGET_ANSWERS, BUDGET_CONTROL, SUITE_ANSWERS, SUITE_COMPARISONS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(SUITE_ANSWERS, blocking=True, reads=[SUITE_ITEMS])
def all_held_out_items_are_answered(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The newest answers are to exactly the held-out items that the recipe asks for, so models can be compared."""
    import polars as pl

    from nemotron_assets.evaluate.suite.answering import chosen

    items = chosen(lake.read(SUITE_ITEMS).scan().collect(), recipe.evaluate.suite.max_items)
    answers = lake.read(SUITE_ANSWERS).scan().select("model", "model_id", "item", "at").collect()
    newest = answers.sort("at").group_by("model").agg(pl.col("model_id").last())
    own = answers.join(newest, on=["model", "model_id"])
    of_items = own.filter(pl.col("item").is_in(items["id"].implode())).group_by("model").len()
    wrong = of_items.filter(pl.col("len") != items.height)["model"].to_list()
    strange = own.height - int(of_items["len"].sum())
    return dg.AssetCheckResult(
        passed=bool(own.height) and not wrong and not strange,
        metadata={"items": items.height, "models_with_missing_answers": ", ".join(wrong), "other_items": strange},
    )


@table_check(SUITE_COMPARISONS)
def no_stage_did_damage(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No model answers fewer items of the suite right than a model that it was made from: the 95% interval of no
    difference over all tasks lies wholly below zero."""
    import polars as pl

    rows = lake.read(SUITE_COMPARISONS).scan().collect()
    worse = rows.filter(pl.col("high") < 0)
    damaged = worse.filter(task="all")["model"].to_list()
    tasks = [f"{row['model']}: {row['task']} {row['difference']:+.1%}" for row in worse.iter_rows(named=True)]
    return dg.AssetCheckResult(
        passed=not damaged,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"comparisons": rows.height, "damaged": ", ".join(damaged), "worse_tasks": "; ".join(tasks)},
    )


@table_check(BUDGET_CONTROL)
def enforced_budgets_hold(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """With the budget enforced, every answer has exactly one pair of thinking tags at every budget, and no thought is
    longer than the budget and its grace."""
    import polars as pl

    own = recipe.evaluate.budget_control
    rows = lake.read(BUDGET_ANSWERS).scan().filter(mode="enforced").collect()
    broken = rows.filter(~pl.col("well_formed"))
    longer = rows.filter(pl.col("thought_tokens") > pl.col("budget") + own.grace)
    return dg.AssetCheckResult(
        passed=bool(rows.height) and broken.is_empty() and longer.is_empty(),
        metadata={
            "answers": rows.height,
            "budgets": str(sorted(rows["budget"].unique())),
            "not_well_formed": str(broken["id"].to_list()[:20]),
            "too_long": str(longer["id"].to_list()[:20]),
        },
    )


@table_check(BUDGET_CONTROL)
def cut_thoughts_do_not_hurt(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """At small budgets the model that has learned from cut thoughts answers no worse than the model that has not: the
    95% interval of the paired difference does not lie wholly below zero, by the model itself and enforced."""
    from nemotron_assets.evaluate.suite.budgets import ENFORCED, OWN, with_and_without

    answers = lake.read(BUDGET_ANSWERS).scan().collect()
    found = {mode: with_and_without(answers, mode) for mode in (OWN, ENFORCED)}
    shown = {
        mode: f"{one.difference:+.1%} ({one.low:+.1%} to {one.high:+.1%}, p {one.p:.4f}, {one.items} items)"
        for mode, one in found.items()
        if one is not None
    }
    return dg.AssetCheckResult(
        passed=not any(one is not None and one.is_worse for one in found.values()),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=shown or {"note": "the recipe trains no model without cut thoughts (align.tuning.without_truncated)"},
    )


CHECKS = [
    all_held_out_items_are_answered, no_stage_did_damage, enforced_budgets_hold, cut_thoughts_do_not_hurt,
]  # fmt: skip
