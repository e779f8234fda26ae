"""Declares the assets of the preference tuning: the model of the last round of DPO, and the pairs of its rounds."""

import dagster as dg

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.preference import CODE
from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import RETRIES, materialized, table_asset, table_spec
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse


@table_asset(
    DPO,
    recipe=("align.preference", "align.rollouts", "grading", "quarantine.max_share"),
    code=CODE,
    deps=[IFEVAL_RL, PROMPTS],
    kinds={"pytorch", "huggingface"},
    pool=POOL,
    retry_policy=RETRIES,
)
def dpo(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """DPO on tool tasks, in rounds: the policy answers each prompt several times, the final state of the tools says
    which answers are right, and the pairs train the policy of the next round. The last policy also writes the pairs for
    the reward model. A killed run continues from its last checkpoint, and asks for no answer twice."""
    from nemotron_assets.align.preference import report
    from nemotron_assets.align.preference.training import rounds as planned
    from nemotron_assets.training.shown import show

    rounds = planned(recipe, lake, gpu, context.run_id, context.log.info)
    models, parts = rounds.run()
    materialized(context, PREFERENCES, lake, **report.of_pairs(lake.read(PREFERENCES).scan(), rounds.made))
    show(models[-1], context, lake)
    context.add_output_metadata({"rounds": report.of_rounds(models)})
    return parts


preferences = table_spec(PREFERENCES, made_by=dpo)

ASSETS = [dpo, preferences]
