"""Declares the assets of the pretraining: the base model and the long-context model."""

import dagster as dg

from nemotron_assets.blend.tables import PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.pretrain import CODE, LONG_CONTEXT_CODE
from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
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
    from nemotron_assets.pretrain.training import base as plan
    from nemotron_assets.training.shown import trained

    return trained([plan(recipe, lake)], context, lake, gpu)


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
    """The recipe's base model, trained on with longer sequences: four fifths of the last phase's categories, and one
    fifth long documents with questions about them. A killed training continues from its last checkpoint."""
    from nemotron_assets.pretrain.training import long_context as plan
    from nemotron_assets.training.shown import trained

    return trained([plan(recipe, lake)], context, lake, gpu)


ASSETS = [base, long_context]
