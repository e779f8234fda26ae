"""Declares the compressed models, the models on the way to them, and the pairs and rollouts of their training."""

import dagster as dg

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.reinforcement.tables import REWARD_MODEL
from nemotron_assets.align.tuning import tables as tuning
from nemotron_assets.blend import tables as blend
from nemotron_assets.compress.distilling import CODE
from nemotron_assets.compress.distilling.tables import (
    COMPRESSED,
    COMPRESSED_BASE,
    COMPRESSION_STEPS,
    PREFERENCES,
    ROLLOUTS,
)
from nemotron_assets.compress.tables import CANDIDATES, IMPORTANCE
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import RETRIES, table_asset, table_spec
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse

_TEXTS = [blend.TOKEN_SHARDS, blend.SEQUENCES, blend.PHASES]
_SHAPE = [IMPORTANCE, CANDIDATES]


@table_asset(
    COMPRESSED_BASE,
    recipe=("compress.base",),
    code=CODE,
    deps=[LONG_CONTEXT, ALIGNED, *_SHAPE, *_TEXTS],
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def compressed_base(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """The long-context model, pruned to the chosen shape and distilled from itself: layers first, then widths. A killed
    run goes on from the last checkpoint of the step that it was in."""
    from nemotron_assets.compress.distilling.chain import Chain
    from nemotron_assets.compress.distilling.report import shown

    chain = Chain(recipe, lake, gpu, context.run_id, context.log.info)
    model, parts = chain.base()
    shown(context, lake, chain.made, model)
    return parts


@table_asset(
    COMPRESSED,
    recipe=("compress.aligned", "align.rollouts", "grading", "quarantine.max_share"),
    code=CODE,
    deps=[ALIGNED, REWARD_MODEL, PROMPTS, *_SHAPE, *_TEXTS, tuning.TOKEN_SHARDS, tuning.SEQUENCES],
    kinds={"pytorch", "huggingface"},
    pool=POOL,
    retry_policy=RETRIES,
)
def compressed(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """The aligned model, pruned to the chosen shape and distilled from itself, then DPO, GRPO, a short distillation,
    RLHF, and the merge of the last two. A killed run goes on from the last checkpoint of the step that it was in."""
    from nemotron_assets.compress.distilling.chain import Chain
    from nemotron_assets.compress.distilling.report import shown

    chain = Chain(recipe, lake, gpu, context.run_id, context.log.info)
    model, parts = chain.aligned()
    shown(context, lake, chain.made, model)
    return parts


compression_steps = table_spec(COMPRESSION_STEPS, made_by=(COMPRESSED_BASE.full_name, COMPRESSED.full_name))
preferences = table_spec(PREFERENCES, made_by=compressed)
rollouts = table_spec(ROLLOUTS, made_by=compressed)

ASSETS = [compressed_base, compressed, compression_steps, preferences, rollouts]
