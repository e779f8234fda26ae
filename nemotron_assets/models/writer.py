"""Puts the language model that a stage writes with into the lake: the generator of the web data, or another model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.models.generator import fetch
from nemotron_assets.models.registry import Identity, Made, Parent, Registry, newest
from nemotron_assets.table.ids import row_id

if TYPE_CHECKING:
    from nemotron_assets.recipe.llm import Llm
    from resources.lakehouse import Lakehouse, Reader


def want_writer(
    registry: Registry, model: str, llm: Llm, generator: Reader, lake: Lakehouse, *, named: bool = False
) -> dict[str, Any]:
    """The row of the registry's table for `model`: "generator" is the newest model of `models.generator`; anything else
    names a language model that `fetch` puts into the lake. The model is made if the lake does not have it. With
    `named`, the table has the column `recipe_name`, and `model` stands in it."""
    table, own = registry.table, {"recipe_name": model} if named else {}
    if model != "generator":
        return registry.want(Identity(model, None), fetch(model, llm, table, own))
    parent = newest(generator)
    columns = {"parameters": parent["parameters"], "dtype": parent["dtype"], **own}
    identity = Identity(
        parent["name"],
        row_id(table.full_name, parent["name"], parent["sha256"], *own.values()),
        inputs=(generator.input_version,),
        parents=(Parent(generator.table.full_name, parent["id"]),),
    )

    def make(scratch: Path) -> Made:
        return Made(lake.get_weights(parent["uri"]), columns)

    return registry.want(identity, make)
