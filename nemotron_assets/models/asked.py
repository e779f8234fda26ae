"""Finds the model that the recipe asks for, instead of the one that was made or asked for last.

A stage that trains models has a module `training` with PLANS: {full name of a table: function of the recipe and the
lake that returns the `Plan` of the model}. A later stage names the table, and imports nothing of the stage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemotron_assets.models.registry import ModelError, by_id
from nemotron_assets.stages import module_beside

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from resources.lakehouse import Lakehouse, Reader


def asked_for(models: Reader, recipe: Recipe, lake: Lakehouse) -> dict[str, Any]:
    """The row of the model in the table `models` that the recipe asks for, with the inputs that the lake has now.

    Raises `ModelError` if it is not trained yet, and what its plan raises if inputs are missing.
    """
    table = models.table
    wanted = module_beside(table, "training").PLANS[table.full_name](recipe, lake).identity
    try:
        return by_id(models, wanted.id)
    except ModelError:
        raise ModelError(
            f"{table.full_name} does not have the model {wanted.name} that the recipe and the present inputs ask for "
            f"(id {wanted.id}): materialise {table.schema}/{table.name} first"
        ) from None
