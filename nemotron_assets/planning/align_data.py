"""Estimates of the post-training's data: items of the suite, conversations, and prompts."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import Estimate, Plan, estimates


def _suite(plan: Plan, split: str) -> Value:
    """Items of the suite in one split: "train_items" or "held_out_items"."""
    own = plan.recipe.align.suite.tasks
    return plan.value(f"{split} of align.suite.tasks", sum(getattr(task, split) for task in own.values()))


def _rows(plan: Plan, asset: str, rows: Value, tokens: str) -> Estimate:
    made = rows * plan.size(tokens, "sample")
    return Estimate(rows=rows, tokens=made, bytes=plan.stored(asset, rows), core_seconds=plan.taking(asset, rows))


@estimates("align.suite_items")
def suite_items(plan: Plan) -> Estimate:
    rows = _suite(plan, "train_items") + _suite(plan, "held_out_items")
    return _rows(plan, "align.suite_items", rows, "align.suite.tokens")


@estimates("align.conversations")
def conversations(plan: Plan) -> Estimate:
    """Train items of the suite, each as one conversation."""
    return _rows(plan, "align.conversations", _suite(plan, "train_items"), "align.suite.tokens")


@estimates("align.prompts")
def prompts(plan: Plan) -> Estimate:
    """Items of the suite in both splits."""
    rows = _suite(plan, "train_items") + _suite(plan, "held_out_items")
    return _rows(plan, "align.prompts", rows, "align.suite.tokens")
