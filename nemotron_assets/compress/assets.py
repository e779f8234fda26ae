"""Declares the assets of the compression: the budget, the importance of the models' parts, the candidates."""

import dagster as dg

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.tuning import tables as tuning
from nemotron_assets.blend import tables as blend
from nemotron_assets.compress import CODE
from nemotron_assets.compress.tables import BUDGET, CANDIDATES, IMPORTANCE
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse


@table_asset(BUDGET, recipe="compress.budget", code=CODE, deps=[LONG_CONTEXT, ALIGNED])
def budget(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """What the device of the recipe leaves for a model, and what the models that are compressed need: weights, KV
    cache, states and convolutions, and the pages that the engine makes of them."""
    from nemotron_assets.compress import report
    from nemotron_assets.compress.budget import rows

    found = rows(recipe, lake, context.run_id)
    context.add_output_metadata(report.of_budget(found))
    return found


@table_asset(
    IMPORTANCE,
    recipe=("compress.importance", "compress.search.layers", "compress.search.attention"),
    code=CODE,
    deps=[LONG_CONTEXT, ALIGNED, tuning.TOKEN_SHARDS, tuning.SEQUENCES, blend.TOKEN_SHARDS, blend.SEQUENCES],
    kinds={"pytorch"},
    pool=POOL,
)
def importance(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """How important the layers, channels, neurons and Mamba-2 heads of both models are, from their activations on
    calibration sequences. What was measured so far is kept when a run is killed."""
    import dataclasses

    from nemotron_assets.compress import report
    from nemotron_assets.compress.importance import Measuring

    parts = Measuring(recipe, lake, gpu, context.run_id, context.log.info).parts()
    return dataclasses.replace(parts, metadata=lambda: report.of_importance(lake.read(IMPORTANCE).scan()))


@table_asset(
    CANDIDATES,
    recipe=("compress.budget", "compress.search", "compress.importance.scale_norms"),
    code=CODE,
    deps=[
        ALIGNED, IMPORTANCE, tuning.TOKEN_SHARDS, tuning.SEQUENCES, blend.TOKEN_SHARDS, blend.SEQUENCES, blend.PHASES,
    ],
    kinds={"pytorch", "vllm"},
    pool=POOL,
)  # fmt: skip
def candidates(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
):
    """All shapes that the aligned model can be pruned to, with their memory. The largest that fit are pruned, distilled
    briefly, scored and timed; the best is chosen for both models."""
    import dataclasses

    from nemotron_assets.compress import report
    from nemotron_assets.compress.search import Searching

    parts = Searching(recipe, lake, gpu, context.run_id, context.log.info).parts()
    return dataclasses.replace(parts, metadata=lambda: report.of_candidates(lake.read(CANDIDATES).scan()))


ASSETS = [budget, importance, candidates]
