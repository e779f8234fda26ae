"""Estimates of the suite's evaluation: answers of all stages, comparisons of them, answers within budgets; and of the
report."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import parameters

_MODELS = 10  # models that answer: the nine stages, and a third supervised stage for comparison
_MODES = 2  # by the model itself, and enforced


@estimates("evaluate.suite_answers")
def suite_answers(plan: Plan) -> Estimate:
    """Every model answers every held-out item."""
    rows = plan.value("models that answer", _MODELS) * _items(plan, plan.recipe.evaluate.suite.max_items)
    return _answered(plan, "evaluate.suite_answers", rows, rows * plan.value("evaluate.suite.max_output_tokens"))


@estimates("evaluate.suite_comparisons")
def suite_comparisons(plan: Plan) -> Estimate:
    """A row per task, and for all tasks, of every model but the first."""
    tasks = len(plan.recipe.align.suite.tasks) + 1
    rows = plan.value("comparisons of models by task", (_MODELS - 1) * tasks)
    stored = plan.stored("evaluate.suite_comparisons", rows)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("evaluate.suite_comparisons"))


@estimates("evaluate.budget_answers")
def budget_answers(plan: Plan) -> Estimate:
    """The models of the third stage answer within every budget, in two ways. A thought has up to its budget."""
    own = plan.recipe.evaluate.budget_control
    asked = _budgeted(plan) * _items(plan, own.max_items)
    rows = asked * plan.value("evaluate.budget_control.tokens", len(own.tokens))
    most = sum(own.tokens) + len(own.tokens) * (own.grace + own.answer_tokens)
    written = asked * plan.value("sum of thoughts and answers of all budgets", most)
    return _answered(plan, "evaluate.budget_answers", rows, written)


@estimates("evaluate.budget_control")
def budget_control(plan: Plan) -> Estimate:
    """A row per model, way and budget."""
    rows = _budgeted(plan) * plan.value("budgets", len(plan.recipe.evaluate.budget_control.tokens))
    stored = plan.stored("evaluate.budget_control", rows)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("evaluate.budget_control"))


@estimates("evaluate.report")
def report(plan: Plan) -> Estimate:
    """One page."""
    rows = plan.value("pages", 1)
    stored = plan.stored("evaluate.report", rows)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("evaluate.report"))


def _budgeted(plan: Plan) -> Value:
    compared = plan.recipe.align.tuning.without_truncated
    return plan.value("models of sft_3 and ways to keep a budget", (2 if compared else 1) * _MODES)


def _items(plan: Plan, most: int | None) -> Value:
    tasks = plan.recipe.align.suite.tasks.values()
    counts = (own.held_out_items if most is None else min(most, own.held_out_items) for own in tasks)
    return plan.value("held-out items of the suite", sum(counts))


def _answered(plan: Plan, asset: str, rows: Value, written: Value) -> Estimate:
    """The cost of answers in batches. The questions are short beside them."""
    made = {"rows": rows, "tokens": written, "bytes": plan.stored(asset, rows)}
    if plan.recipe.train.base.precision == "fp32":
        spent = plan.taking(asset) + written / plan.rate("cpu.batched_tokens")
        return Estimate(**made, core_seconds=spent)
    seconds = 2 * parameters(plan) * written / (plan.rate("gpu.flops") * plan.rate("gpu.writing_share"))
    return Estimate(**made, core_seconds=plan.taking(asset), gpu_seconds=seconds)
