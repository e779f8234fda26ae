"""Estimates of the compression: memory of models, importance of their parts, and candidates."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import parameters

_MODELS = 2  # models that are compressed: the base model, and the aligned model
_PUBLISHED = 3  # shapes whose memory is published


@estimates("compress.budget")
def budget(plan: Plan) -> Estimate:
    """A row per model and published shape."""
    rows = plan.value("models and published shapes", _MODELS + _PUBLISHED)
    return Estimate(rows=rows, bytes=plan.stored("compress.budget", rows), core_seconds=plan.taking("compress.budget"))


@estimates("compress.importance")
def importance(plan: Plan) -> Estimate:
    """A row per layer and axis. One forward pass gives the widths. Each removal of a layer takes a pass through the
    whole model, and one through the layers behind each layer that may go: half of the model on average."""
    own, search, pattern = plan.recipe.compress.importance, plan.recipe.compress.search, plan.recipe.model.pattern
    models = plan.value("models that are compressed", _MODELS)
    rows = models * plan.value("axes of all layers", 4 * len(pattern))
    length = plan.value(f"align.tuning.{own.stage}.sequence_length")
    removed = range(len(pattern) - min(search.layers))
    passes = own.samples + own.layer_samples * sum(1.5 + (len(pattern) - step) / 2 for step in removed)
    tokens = models * plan.value("passes over calibration sequences", passes) * length
    return forward(plan, "compress.importance", rows, tokens, 2 * parameters(plan) * tokens)


@estimates("compress.candidates")
def candidates(plan: Plan) -> Estimate:
    """A row per shape and depth. The largest shapes are distilled, and so are the depths if there are several: six
    operations per parameter and token for the student, two for the teacher."""
    own = plan.recipe.compress.search
    depths = len(own.layers) if len(own.layers) > 1 else 0
    shapes = len(own.hidden) * len(own.ffn) * len(own.heads) * len(own.head_dim)
    tokens = own.top * own.distillation.training.tokens
    tokens += depths * (own.depth_tokens or own.distillation.training.tokens)
    distilled = plan.value("tokens of the distillations of candidates", tokens)
    rows = plan.value("shapes and depths", shapes + depths)
    return forward(plan, "compress.candidates", rows, distilled, 8 * parameters(plan) * distilled)


def forward(plan: Plan, asset: str, rows: Value, tokens: Value, flops: Value) -> Estimate:
    """The estimate of an asset that runs models over so many tokens."""
    made = {"rows": rows, "tokens": tokens, "bytes": plan.stored(asset, rows)}
    if plan.recipe.train.base.precision == "fp32":
        return Estimate(**made, core_seconds=plan.taking(asset) + flops / plan.rate("cpu.training_flops"))
    seconds = flops / (plan.rate("gpu.flops") * plan.rate("gpu.training_share"))
    return Estimate(**made, core_seconds=plan.taking(asset), gpu_seconds=seconds)
