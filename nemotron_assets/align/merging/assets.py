"""Declares the merged model, and the scores of all merges."""

import dagster as dg

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.merging import CODE
from nemotron_assets.align.merging.tables import ALIGNED, MERGE_SCORES
from nemotron_assets.align.preference.tables import DPO
from nemotron_assets.align.reinforcement.tables import RLHF
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import RETRIES, materialized, table_asset, table_spec
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse


@table_asset(
    ALIGNED,
    recipe=("align.merging", "align.rollouts", "grading"),
    code=CODE,
    deps=[DPO, RLHF, PROMPTS],
    kinds={"pytorch", "huggingface"},
    pool=POOL,
    retry_policy=RETRIES,
)
def aligned(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """The linear merge of the model that reasons and the model that chats. Every share of the recipe is merged and
    scored on held-out prompts, beside the two models; the share with the best scores is kept."""
    from nemotron_assets.align.merging import report
    from nemotron_assets.align.merging.sweep import Sweep

    model, parts = Sweep(recipe, lake, gpu, context.run_id, context.log.info).run()
    shown = report.of_scores(lake.read(MERGE_SCORES).scan())
    materialized(context, MERGE_SCORES, lake, **shown)
    context.add_output_metadata({"alpha": model["alpha"], "parameters": model["parameters"], **shown})
    return parts


merge_scores = table_spec(MERGE_SCORES, made_by=aligned)

ASSETS = [aligned, merge_scores]
