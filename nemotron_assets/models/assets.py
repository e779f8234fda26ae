"""Declares the assets that several stages write or use: the language model that writes synthetic data, and the metrics
and events of all trainings."""

import dagster as dg

from nemotron_assets.conditions import follow_inputs
from nemotron_assets.models.tables import GENERATOR, TRAINING_EVENTS, TRAINING_METRICS, TRAININGS
from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset, table_spec
from resources.lakehouse import Lakehouse


@table_asset(
    GENERATOR,
    recipe=("llm.engine", "llm.model", "llm.tokenizer"),
    code="2",
    kinds={"huggingface"},
    automation=follow_inputs(after=PAGES),
)
def generator(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The language model that writes synthetic data. It comes from an installed package ("embedded"), from a folder, or
    from Hugging Face, where it is downloaded once."""
    from nemotron_assets.models.generator import fetch
    from nemotron_assets.models.registry import Identity, Registry

    registry = Registry(lake, GENERATOR, context.run_id, context.log.info)
    model = registry.want(Identity(recipe.llm.model, None), fetch(recipe.llm.model, recipe.llm, GENERATOR))
    context.add_output_metadata(
        {"model": model["name"], "parameters": model["parameters"] or 0, "sha256": model["sha256"]}
    )
    return registry.parts()


training_metrics = table_spec(TRAINING_METRICS, made_by=TRAININGS)
training_events = table_spec(TRAINING_EVENTS, made_by=TRAININGS)

ASSETS = [generator, training_metrics, training_events]
