"""Estimates of the evaluation: benchmark items, and scores of models."""

from __future__ import annotations

from nemotron_assets.planning.figures import Unknown, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import parameters


@estimates("evaluate.benchmarks")
def benchmarks(plan: Plan) -> Estimate:
    folder = plan.recipe.evaluate.benchmarks
    rows = plan.size("evaluate.benchmarks.rows", "sample")
    if folder != "sample":
        rows = Unknown("number of items in the folder evaluate.benchmarks")
    stored = plan.stored("evaluate.benchmarks", rows)
    return Estimate(rows=rows, bytes=stored, core_seconds=plan.taking("evaluate.benchmarks"))


@estimates("evaluate.benchmark_scores")
def benchmark_scores(plan: Plan) -> Estimate:
    """Two floating-point operations per parameter and token read: items with their worked examples, held-out texts."""
    own, item = plan.recipe.evaluate, plan.size("evaluate.item_tokens", "sample")
    items = plan.size("evaluate.items", "sample").up_to(own.max_items)
    read = [items * item * plan.value(f"shots of {task.name}", task.shots + 1) * 4 for task in own.tasks]
    rows = plan.value("evaluate.tasks", len(own.tasks) + 3)  # and bits per byte of documents, code and foreign texts
    held_out = plan.of("blend.token_shards").tokens * plan.value("blend.held_out_share")
    if own.max_held_out_documents is not None:
        held_out = held_out.up_to(plan.value("evaluate.max_held_out_documents") * 3 * plan.value("evaluate.window"))
    work = 2 * parameters(plan) * (total(read) + held_out)
    made = {"rows": rows, "bytes": plan.stored("evaluate.benchmark_scores", rows)}
    start = plan.taking("evaluate.benchmark_scores")
    if plan.recipe.train.base.precision == "fp32":
        return Estimate(**made, core_seconds=start + work / plan.rate("cpu.scoring_flops"))
    seconds = work / (plan.rate("gpu.flops") * plan.rate("gpu.reading_share"))
    return Estimate(**made, core_seconds=start, gpu_seconds=seconds)
