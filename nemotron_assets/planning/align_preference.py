"""Estimates of the preference tuning and of the merge: pairs, DPO, scores of the merges, the merged model."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import parameters

_KINDS = ("tools", "preference")


def _prompts(plan: Plan, kind: str) -> Value:
    """Prompts that are asked in a round, if `align.prompts` has so many of the kind."""
    own = f"align.preference.{kind}"
    kinds = plan.value(f"{own}.prompt_kinds", len(getattr(plan.recipe.align.preference, kind).prompt_kinds))
    return kinds * (plan.value(f"{own}.prompts") + plan.value(f"{own}.held_out_prompts"))


def _rounds(plan: Plan, kind: str) -> Value:
    return plan.value("align.preference.rounds") if kind == "tools" else ONE


def _pairs(plan: Plan, kind: str) -> Value:
    return _rounds(plan, kind) * _prompts(plan, kind) * plan.size("align.preferences.share", "sample")


@estimates("align.preferences")
def preferences(plan: Plan) -> Estimate:
    """A pair for each prompt whose answers differ. What sampling takes is in models.dpo."""
    rows = _pairs(plan, "tools") + _pairs(plan, "preference")
    return Estimate(rows=rows, bytes=plan.stored("align.preferences", rows))


@estimates("models.dpo")
def dpo(plan: Plan) -> Estimate:
    """Sampling answers, and six operations per parameter and token of both sides of every pair, two more for the
    reference."""
    written = [
        _rounds(plan, kind)
        * _prompts(plan, kind)
        * plan.value(f"align.preference.{kind}.samples")
        * plan.value(f"align.preference.{kind}.max_output_tokens")
        * plan.size("align.answer_share", "sample")
        for kind in _KINDS
    ]
    prompt = plan.size("align.prompt_tokens", "sample")
    answer = plan.value("align.preference.tools.max_output_tokens") * plan.size("align.answer_share", "sample")
    pairs = _pairs(plan, "tools") * plan.value("align.preference.dpo.epochs")
    tokens = 2 * pairs * (prompt + answer)
    flops = 8 * parameters(plan) * tokens
    rows = plan.value("align.preference.rounds")
    stored = plan.stored("models.dpo", rows) + rows * parameters(plan) * plan.size("models.weights_bytes", "sample")
    made = {"rows": rows, "tokens": tokens, "bytes": stored, "flops": flops}
    return _spent(plan, "models.dpo", made, flops, written[0] + written[1])


@estimates("align.merge_scores")
def merge_scores(plan: Plan) -> Estimate:
    """A row per share and suite, the two models included. What scoring takes is in models.aligned."""
    rows = _models(plan) * plan.size("align.merge_scores.suites", "sample")
    return Estimate(rows=rows, bytes=plan.stored("align.merge_scores", rows))


@estimates("models.aligned")
def aligned(plan: Plan) -> Estimate:
    """Answers of every merge and of both models to the held-out prompts."""
    items = plan.size("align.merge_scores.items", "sample").up_to(plan.recipe.align.merging.max_items)
    asked = _models(plan) * plan.size("align.merge_scores.suites", "sample") * items
    longest = plan.value("align.merging.max_output_tokens")
    written = asked * longest * plan.size("align.answer_share", "sample")
    stored = plan.stored("models.aligned", ONE) + parameters(plan) * plan.size("models.weights_bytes", "sample")
    made = {"rows": ONE, "bytes": stored}
    return _spent(plan, "models.aligned", made, 0 * parameters(plan), written)


def _models(plan: Plan) -> Value:
    return plan.value("align.merging.alphas and both models", 2 + len(plan.recipe.align.merging.alphas))


def _spent(plan: Plan, asset: str, made: dict[str, Value], flops: Value, written: Value) -> Estimate:
    """The time of a training with `flops` and of sampling `written` tokens, on cores or on GPUs."""
    started = plan.taking(asset)
    if plan.recipe.align.preference.dpo.precision == "fp32":  # only a CPU trains with this precision
        spent = flops / plan.rate("cpu.training_flops") + written / plan.rate("cpu.rollout_tokens")
        return Estimate(**made, core_seconds=started + spent)
    training = flops / (plan.rate("gpu.flops") * plan.rate("gpu.training_share"))
    sampling = 2 * parameters(plan) * written / (plan.rate("gpu.flops") * plan.rate("gpu.writing_share"))
    return Estimate(**made, core_seconds=started, gpu_seconds=training + sampling)
