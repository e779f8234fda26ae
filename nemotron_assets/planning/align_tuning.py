"""Estimates of the supervised stages: conversations as tokens, sequences of each stage, and the models."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import logged_steps, parameters, trained
from nemotron_assets.recipe.align.tuning import Stage

_NAMES = ("sft_1", "sft_2", "sft_3")


@estimates("align.token_shards")
def token_shards(plan: Plan) -> Estimate:
    """A row per answer. Beside its conversation, a row has the marks of the template."""
    above = plan.of("align.conversations")
    rows = above.rows * plan.size("align.answers", "sample")
    tokens = rows * (above.tokens / above.rows + plan.size("align.template_tokens", "sample"))
    stored, spent = plan.stored("align.token_shards", rows), plan.taking("align.token_shards", rows)
    return Estimate(rows=rows, tokens=tokens, bytes=stored, core_seconds=spent)


@estimates("align.sequences")
def sequences(plan: Plan) -> Estimate:
    """At most a sequence per row and stage."""
    rows = plan.of("align.token_shards").rows * plan.size("align.sequences.share", "sample")
    spent = plan.taking("align.sequences", plan.of("align.token_shards").rows)
    return Estimate(rows=rows, bytes=plan.stored("align.sequences", rows), core_seconds=spent)


def _stage(name: str) -> None:
    """Register the estimator of a stage. Tokens count with the full length of every sequence, and a stage that does not
    pack computes a part of them."""

    @estimates(f"models.{name}")
    def estimate(plan: Plan) -> Estimate:
        own: Stage = plan.recipe.align.tuning.stages()[name]
        section = f"align.tuning.{name}.training"
        tokens = plan.value(f"{section}.tokens")
        computed = tokens if own.packed else tokens * plan.size("align.unpacked_share", "sample")
        models = _models(plan, name)
        flops = models * (6 * parameters(plan) * computed)
        return trained(plan, f"models.{name}", section, _length(name), models * tokens, flops)


for _name in _NAMES:
    _stage(_name)


def _models(plan: Plan, name: str) -> Value:
    """Models that a stage trains: stage 3 trains a second one for the comparison of thinking budgets."""
    compared = name == "sft_3" and plan.recipe.align.tuning.without_truncated
    return plan.value(f"models of {name}", 2 if compared else 1)


def _length(name: str) -> str:
    """The value of the recipe with the tokens of a sequence."""
    return f"align.tuning.{name}.sequence_length"


def rows_of_metrics(plan: Plan) -> list[Value]:
    """Rows of metrics of each stage."""
    return [_models(plan, name) * logged_steps(plan, f"align.tuning.{name}.training", _length(name)) for name in _NAMES]
