"""Declares the asset of the results by item."""

import dagster as dg

from nemotron_assets.evaluate.inputs import HELD_OUT, models_of
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.table.asset import table_asset
from resources.generations import Ledger
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


def measured() -> dict:
    """The tables of models with a result for every item."""
    models = current_recipe().evaluate.models
    return models_of(models.texts, models.suites, models.chat_suites)


@table_asset(
    ITEM_RESULTS,
    code="3",  # which letters and short texts an answer states
    recipe=(
        "evaluate.benchmarks", "evaluate.tasks", "evaluate.max_items", "evaluate.max_output_tokens",
        "evaluate.max_held_out_documents",
        "evaluate.max_held_out_characters", "evaluate.window", "evaluate.window_overlap", "evaluate.batch_size",
        "evaluate.chat_tasks", "evaluate.models.texts", "evaluate.models.suites", "evaluate.models.chat_suites",
        "align.rollouts.engine", "align.rollouts.dtype", "grading", "blend.held_out_share", "web.heuristics.languages",
    ),
    ins={**measured(), **HELD_OUT, "benchmarks": BENCHMARKS},
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)  # fmt: skip
def item_results(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    **readers: Reader,
):
    """The results of the models in use, item by item: benchmarks of lm-evaluation-harness, and bits per byte of every
    held-out text beside gzip and single bytes. A model whose inputs did not change is not measured again. The results
    of earlier versions stay in the table."""
    from nemotron_assets.evaluate.in_use import Measuring
    from nemotron_assets.evaluate.results.items import Items, in_use, summary

    models = {name: reader for name in measured() if (reader := readers.pop(name)).exists}
    key, inputs = ("task", "metric", "item", "run"), list(readers.values())
    ledger, rows = Ledger(lake, run_id=context.run_id), in_use(models)
    items = Items(recipe, readers, rows, gpu, ledger, context.log.info)
    work = Measuring(ITEM_RESULTS, key, inputs, lake, gpu, context.run_id, context.log.info)
    return work.parts(list(models.values()), items.rows, summary)


ASSETS = [item_results]
