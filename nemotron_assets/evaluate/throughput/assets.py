"""Declares the asset of the speeds of models."""

import dagster as dg

from nemotron_assets.evaluate.inputs import models_of
from nemotron_assets.evaluate.suite.tables import SUITE_ANSWERS
from nemotron_assets.evaluate.throughput.tables import THROUGHPUT
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.table.asset import table_asset
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


def measured() -> dict:
    """The tables of models whose speed is measured."""
    return models_of(current_recipe().evaluate.models.throughput)


@table_asset(
    THROUGHPUT,
    recipe=("evaluate.throughput", "evaluate.models.throughput"),
    ins={**measured(), "suite_answers": SUITE_ANSWERS},
    kinds={"vllm"},
    pool=POOL,
)
def throughput(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    suite_answers: Reader,
    **models: Reader,
):
    """Speed of the models in use beside a plain Transformer of their size in the same vLLM engine, by length and size
    of the batch: reading prompts and writing tokens apart. A model that was measured is not measured again."""
    from nemotron_assets.evaluate.in_use import Measuring
    from nemotron_assets.evaluate.throughput.measuring import Speeds, shown

    key, speeds = ("input_tokens", "output_tokens", "batch"), Speeds(recipe.evaluate.throughput, gpu)
    work = Measuring(THROUGHPUT, key, [], lake, gpu, context.run_id, context.log.info)
    answers = suite_answers.scan().select("model_id", "right").collect()
    stored = [reader for reader in models.values() if reader.exists]
    return work.parts(stored, speeds.rows, lambda made: shown(lake.read(THROUGHPUT).scan().collect(), answers))


ASSETS = [throughput]
