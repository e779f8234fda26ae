"""Estimates of what all trainings store: rows of metrics, and events."""

from __future__ import annotations

from nemotron_assets.planning import align_reinforcement, align_tuning, compress_distilling
from nemotron_assets.planning.figures import total
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import logged_steps


@estimates("models.training_metrics")
def training_metrics(plan: Plan) -> Estimate:
    """A row per logged step of every training."""
    base = logged_steps(plan, "train.base", "blend.sequence_length")
    long_context = logged_steps(plan, "train.long_context", "blend.long_context.sequence_length")
    stages = (align_tuning, align_reinforcement, compress_distilling)
    rows = total([base, long_context, *(rows for stage in stages for rows in stage.rows_of_metrics(plan))])
    return Estimate(rows=rows, bytes=plan.stored("models.training_metrics", rows))


@estimates("models.training_events")
def training_events(plan: Plan) -> Estimate:
    """No rows are expected: a batch that harms a training is an accident."""
    return Estimate(rows=0 * ONE, bytes=plan.stored("models.training_events", 0 * ONE))
