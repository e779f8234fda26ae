"""Declares the assets of the pretraining: the base model, and the metrics of all trainings."""

import dagster as dg

from nemotron_assets.blend.tables import PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.models.tables import TRAINING_EVENTS, TRAINING_METRICS
from nemotron_assets.pretrain import CODE
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import materialized, table_asset, table_spec
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse


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
    from nemotron_assets.pretrain.training import plan
    from nemotron_assets.training import metrics
    from nemotron_assets.training.plan import train

    model, parts = train(plan(recipe, lake), lake, gpu, context.run_id, context.log.info)
    curve, events = (metrics.stored(lake, model["id"], table) for table in (TRAINING_METRICS, TRAINING_EVENTS))
    materialized(context, TRAINING_METRICS, lake, steps=curve.height)
    materialized(context, TRAINING_EVENTS, lake, events=events.height)
    context.add_output_metadata(metrics.facts(model, curve, events))
    return parts


training_metrics = table_spec(TRAINING_METRICS, made_by=base)
training_events = table_spec(TRAINING_EVENTS, made_by=base)

ASSETS = [base, training_metrics, training_events]
