"""Declares the assets of the pretraining: the base model, the long-context model, and the metrics of all trainings."""

from typing import TYPE_CHECKING

import dagster as dg

from nemotron_assets.blend.tables import PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.models.tables import TRAINING_EVENTS, TRAINING_METRICS
from nemotron_assets.pretrain import CODE, LONG_CONTEXT_CODE
from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import materialized, table_asset, table_spec
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse

if TYPE_CHECKING:
    from nemotron_assets.training.plan import Plan


@table_asset(
    BASE,
    recipe=("model", "train.base", "tokenizer.vocabulary", "blend.sequence_length"),
    code=CODE,
    deps=[TOKENIZER, TOKEN_SHARDS, SEQUENCES, PHASES],
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def base(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """The hybrid model of the recipe, pretrained through the phases of the blend. A killed training continues from its
    last checkpoint. A model with the same inputs and recipe is not trained again."""
    from nemotron_assets.pretrain.training import base as plan

    return _trained(plan(recipe, lake), context, lake, gpu)


@table_asset(
    LONG_CONTEXT,
    recipe=("train.long_context", "blend.long_context.sequence_length"),
    code=LONG_CONTEXT_CODE,
    deps=[BASE, TOKENIZER, TOKEN_SHARDS, SEQUENCES, PHASES],
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def long_context(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """The newest base model, trained on with longer sequences: four fifths of the last phase's categories, and one
    fifth long documents with questions about them. A killed training continues from its last checkpoint."""
    from nemotron_assets.pretrain.training import long_context as plan

    return _trained(plan(recipe, lake), context, lake, gpu)


def _trained(plan: "Plan", context: dg.AssetExecutionContext, lake: Lakehouse, gpu: Gpu):
    """The parts of the table of the planned model. Its metrics and events are stored, and shown beside it."""
    from nemotron_assets.training import metrics
    from nemotron_assets.training.plan import train

    model, parts = train(plan, lake, gpu, context.run_id, context.log.info)
    curve, events = (metrics.stored(lake, model["id"], table) for table in (TRAINING_METRICS, TRAINING_EVENTS))
    materialized(context, TRAINING_METRICS, lake, steps=curve.height)
    materialized(context, TRAINING_EVENTS, lake, events=events.height)
    context.add_output_metadata(metrics.facts(model, curve, events))
    return parts


training_metrics = table_spec(TRAINING_METRICS, made_by=base)
training_events = table_spec(TRAINING_EVENTS, made_by=base)

ASSETS = [base, long_context, training_metrics, training_events]
