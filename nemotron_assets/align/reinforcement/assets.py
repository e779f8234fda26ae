"""Declares the assets of the reinforcement learning: two policies, the reward model, and the rollouts."""

import dagster as dg

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.align.reinforcement import CODE
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, REWARD_MODEL, RLHF, ROLLOUTS
from nemotron_assets.align.tuning.tables import SFT_3
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import materialized, table_asset, table_spec
from nemotron_assets.table.schema import Table
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse


def _model(table: Table, deps: list[Table], description: str, *sections: str) -> dg.AssetsDefinition:
    def model(
        context: dg.AssetExecutionContext,
        recipe: dg.ResourceParam[Recipe],
        lake: dg.ResourceParam[Lakehouse],
        gpu: dg.ResourceParam[Gpu],
    ):
        from nemotron_assets.align.reinforcement.training import PLANS
        from nemotron_assets.training.reinforcement import report
        from nemotron_assets.training.shown import trained

        plan = PLANS[table.full_name](recipe, lake)
        parts = trained([plan], context, lake, gpu)
        if plan.wraps is not None:  # it has rollouts
            materialized(context, ROLLOUTS, lake)
            context.add_output_metadata(report.of_rollouts(lake.read(ROLLOUTS).scan(), plan.id))
        return parts

    model.__doc__ = description
    own = (f"align.reinforcement.{table.name}", *sections)
    return table_asset(table, recipe=own, code=CODE, deps=deps, kinds={"pytorch", "huggingface"}, pool=POOL)(model)


ifeval_rl = _model(
    IFEVAL_RL,
    [SFT_3, PROMPTS],
    "The model of the third supervised stage, trained with GRPO on prompts whose answers programs can verify. Rollouts "
    "come from the current weights. A killed training goes on from its last checkpoint and samples no answer twice.",
    "align.rollouts",
    "grading",
)
reward_model = _model(
    REWARD_MODEL,
    [SFT_3, DPO, PREFERENCES],  # the step of models.dpo writes the pairs, so it must come first in a run
    "A model that gives an answer a number, trained on pairs of a better and a worse answer. A killed training goes on "
    "from its last checkpoint.",
)
rlhf = _model(
    RLHF,
    [DPO, REWARD_MODEL, PROMPTS],
    "The model of DPO, trained with GRPO against the reward model, on answers with and without thinking. A killed "
    "training goes on from its last checkpoint and samples no answer twice.",
    "align.rollouts",
)
rollouts = table_spec(ROLLOUTS, made_by=(IFEVAL_RL.full_name, RLHF.full_name))

ASSETS = [ifeval_rl, reward_model, rlhf, rollouts]
