"""Estimates of training the base model."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates


def parameters(plan: Plan) -> Value:
    """Parameters of the recipe's model."""
    count = plan.recipe.model.parameters(plan.recipe.tokenizer.vocabulary)
    return plan.value("model", count)


@estimates("models.base")
def base(plan: Plan) -> Estimate:
    """Six floating-point operations per parameter and token: two forward, four backward."""
    tokens = plan.value("train.base.tokens")
    flops = 6 * parameters(plan) * tokens
    stored = plan.stored("models.base", ONE) + parameters(plan) * plan.size("models.weights_bytes", "sample")
    made = {"rows": ONE, "tokens": tokens, "bytes": stored, "flops": flops}
    if plan.recipe.train.base.precision == "fp32":  # only a CPU trains with this precision
        spent = plan.taking("models.base") + flops / plan.rate("cpu.training_flops")
        return Estimate(**made, core_seconds=spent)
    seconds = flops / (plan.rate("gpu.flops") * plan.rate("gpu.training_share"))
    energy = seconds / 3_600 * plan.rate("gpu.kilowatts") / 1_000  # in MWh
    return Estimate(**made, core_seconds=plan.taking("models.base"), gpu_seconds=seconds, by_part={"energy": energy})


@estimates("models.training_metrics")
def training_metrics(plan: Plan) -> Estimate:
    own = plan.recipe.train.base
    step = plan.value("train.base.batch_sequences") * plan.value("blend.sequence_length")
    rows = plan.value("train.base.tokens") / step / plan.value("train.base.log_every", own.log_every)
    return Estimate(rows=rows, bytes=plan.stored("models.training_metrics", rows))


@estimates("models.training_events")
def training_events(plan: Plan) -> Estimate:
    """None are expected: a batch that harms a training is an accident."""
    return Estimate(rows=0 * ONE, bytes=plan.stored("models.training_events", 0 * ONE))
