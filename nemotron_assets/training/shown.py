"""Trains the models of a Dagster step, and shows their curves beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nemotron_assets.models.tables import TRAINING_EVENTS, TRAINING_METRICS
from nemotron_assets.table.asset import materialized
from nemotron_assets.training import metrics
from nemotron_assets.training.plan import train_all

if TYPE_CHECKING:
    import dagster as dg

    from nemotron_assets.table.parts import Parts
    from nemotron_assets.training.plan import Plan
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse


def trained(plans: Sequence[Plan], context: dg.AssetExecutionContext, lake: Lakehouse, gpu: Gpu) -> Parts:
    """The parts of the table of the planned models, which are trained if they are missing. Their metrics and events are
    stored; those of the last model are shown beside the asset."""
    models, parts = train_all(plans, lake, gpu, context.run_id, context.log.info)
    show(models[-1], context, lake)
    return parts


def show(model: dict, context: dg.AssetExecutionContext, lake: Lakehouse) -> None:
    """Show the curves of a trained model (its row), and tell Dagster that its metrics and events were stored."""
    curve, events = (metrics.stored(lake, model["id"], table) for table in (TRAINING_METRICS, TRAINING_EVENTS))
    materialized(context, TRAINING_METRICS, lake, steps=curve.height)
    materialized(context, TRAINING_EVENTS, lake, events=events.height)
    context.add_output_metadata(metrics.facts(model, curve, events))
