"""Estimates of the pretraining: the base model, and its extension to long context."""

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
    return trained(plan, "models.base", "train.base", "blend.sequence_length", tokens, flops)


@estimates("models.long_context")
def long_context(plan: Plan) -> Estimate:
    """As the base model; besides, attention over long documents costs as much again at the published length. A token
    sees on average half of its document, for each of the queries, in products with keys and with values."""
    own = plan.recipe.model
    tokens, length = plan.value("train.long_context.tokens"), plan.value("blend.long_context.sequence_length")
    width = plan.value("attention layers x width", own.pattern.count("*") * own.attention_heads * own.head_dim)
    attention = 6 * width * length * plan.size("blend.long_context.document_share", "sample")
    flops = (6 * parameters(plan) + attention) * tokens
    return trained(
        plan, "models.long_context", "train.long_context", "blend.long_context.sequence_length", tokens, flops
    )


def trained(plan: Plan, asset: str, section: str, length: str, tokens: Value, flops: Value) -> Estimate:
    """The estimate of a model with so many tokens and operations. `section` is the recipe section of the training,
    `length` the value of the recipe with the tokens of a sequence."""
    stored = plan.stored(asset, ONE) + parameters(plan) * plan.size("models.weights_bytes", "sample")
    made = {"rows": ONE, "tokens": tokens, "bytes": stored, "flops": flops}
    if plan.recipe.section(section).precision == "fp32":  # only a CPU trains with this precision
        return Estimate(**made, core_seconds=plan.taking(asset) + flops / plan.rate("cpu.training_flops"))
    seconds = flops / (plan.rate("gpu.flops") * plan.rate("gpu.training_share"))
    energy = seconds / 3_600 * plan.rate("gpu.kilowatts") / 1_000  # in MWh
    steps = tokens / _batch(plan, section, length)
    return Estimate(
        **made, core_seconds=plan.taking(asset), gpu_seconds=seconds, by_part={"energy": energy, "steps": steps}
    )


def logged_steps(plan: Plan, section: str, length: str) -> Value:
    """Rows of metrics of a training; see `trained`."""
    return plan.value(f"{section}.tokens") / _batch(plan, section, length) / plan.value(f"{section}.log_every")


def _batch(plan: Plan, section: str, length: str) -> Value:
    """Tokens of an optimizer step."""
    return plan.value(f"{section}.batch_sequences") * plan.value(length)
