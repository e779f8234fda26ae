"""Declares the assets of the suite's evaluation: answers of all stages, comparisons of them, and thinking budgets."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.evaluate.suite.tables import (
    BUDGET_ANSWERS,
    BUDGET_CONTROL,
    BUDGETED,
    MODELS,
    SUITE_ANSWERS,
    SUITE_COMPARISONS,
)
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from resources.generations import Ledger
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    SUITE_ANSWERS,
    recipe=("evaluate.suite", "align.rollouts.engine", "align.rollouts.dtype"),
    code="2",  # an answer that was cut is wrong
    ins={**MODELS, "suite_items": SUITE_ITEMS},
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def suite_answers(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    suite_items: Reader,
    **models: Reader,
):
    """The answers of the models in use to the held-out items of the suite, without a thought and graded exactly. A
    model whose items did not change is not asked again."""
    from nemotron_assets.evaluate.answering import Answering
    from nemotron_assets.evaluate.in_use import Measuring
    from nemotron_assets.evaluate.suite import answering

    own, rows, ledger = recipe.evaluate.suite, answering.in_use(models), Ledger(lake, run_id=context.run_id)
    items = answering.chosen(suite_items.scan().collect(), own.max_items)

    def answers(folder: Path, device: str, model_id: str) -> list:
        asked = Answering.of(rows[model_id], folder, recipe.align.rollouts, gpu, ledger, "suite")
        return answering.suite_rows(asked, items, own.max_output_tokens, rows[model_id]["stage"])

    work = Measuring(SUITE_ANSWERS, ("item",), [suite_items], lake, gpu, context.run_id, context.log.info)
    return work.parts(answering.stored(models), answers, lambda made: answering.summary(lake.read(SUITE_ANSWERS), rows))


@table_asset(SUITE_COMPARISONS, recipe=(), ins={**MODELS, "suite_answers": SUITE_ANSWERS}, kinds={"polars"})
def suite_comparisons(context: dg.AssetExecutionContext, suite_answers: Reader, **models: Reader):
    """Each model in use against the models that it was made from, on the same items: the difference of the share of
    right answers with its interval and a paired test, by task and over all tasks."""
    from nemotron_assets.evaluate.suite import answering, comparing

    made = {"input_versions": [suite_answers.input_version], "run_id": context.run_id, "at": datetime.now(UTC)}
    in_use = list(answering.in_use(models).values())
    rows = comparing.comparison_rows(suite_answers.scan().collect(), in_use, made)
    context.add_output_metadata(comparing.summary(rows))
    return rows


@table_asset(
    BUDGET_ANSWERS,
    recipe=("evaluate.budget_control", "align.rollouts.engine", "align.rollouts.dtype"),
    code="2",  # an answer that was cut is wrong
    ins={**BUDGETED, "suite_items": SUITE_ITEMS},
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def budget_answers(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    suite_items: Reader,
    **models: Reader,
):
    """Answers within thinking budgets, of models with and without cut thoughts in their training: by the model itself
    with the client of two requests, and with the budget enforced token by token."""
    from nemotron_assets.evaluate.answering import Answering
    from nemotron_assets.evaluate.in_use import Measuring
    from nemotron_assets.evaluate.suite import answering, budgets

    own, rows, ledger = recipe.evaluate.budget_control, answering.in_use(models), Ledger(lake, run_id=context.run_id)
    items = answering.chosen(suite_items.scan().collect(), own.max_items)

    def answers(folder: Path, device: str, model_id: str) -> list:
        asked = Answering.of(rows[model_id], folder, recipe.align.rollouts, gpu, ledger, "budgets")
        return budgets.Budgets(asked, items, own).rows()

    key, inputs = ("mode", "budget", "item"), [suite_items]
    work = Measuring(BUDGET_ANSWERS, key, inputs, lake, gpu, context.run_id, context.log.info)
    return work.parts(answering.stored(models), answers, lambda made: {"models": ", ".join(made) or "none"})


@table_asset(BUDGET_CONTROL, recipe=(), ins={**BUDGETED, "budget_answers": BUDGET_ANSWERS}, kinds={"polars"})
def budget_control(context: dg.AssetExecutionContext, budget_answers: Reader, **models: Reader):
    """Accuracy, form and length of answers against the thinking budget, of the models in use."""
    from nemotron_assets.evaluate.suite import answering, budgets

    made = {"input_versions": [budget_answers.input_version], "run_id": context.run_id, "at": datetime.now(UTC)}
    answers = answering.of_models(budget_answers.scan(), answering.in_use(models))
    rows = budgets.control_rows(answers, made)
    context.add_output_metadata(budgets.summary(rows))
    return rows


ASSETS = [suite_answers, suite_comparisons, budget_answers, budget_control]
