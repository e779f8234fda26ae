"""The recipe: every number of the pipeline, with its type, meaning, unit, allowed range and source.

`recipes/laptop.yaml` runs the whole graph on two cores. `recipes/nano2.yaml` is the published recipe of Nemotron
Nano 2. A recipe file of your own may begin with `extends: laptop` and then names only the values that differ. In the
descriptions "published" marks a value from a paper, a model card or published code, and "default" a value that was not
published, so that this project chose it. The modules mirror the stages: `recipe/web` holds the numbers of `web`, and
`recipe.web.dedup` those of the stage `web/dedup`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemotron_assets.recipe.load import BUILT_IN, current_recipe, load_recipe
    from nemotron_assets.recipe.root import Recipe
    from nemotron_assets.recipe.section import RecipeError, Section

__all__ = ["BUILT_IN", "Recipe", "RecipeError", "Section", "current_recipe", "load_recipe"]

_HOMES = {"Recipe": "root", "RecipeError": "section", "Section": "section"}


def __getattr__(name: str) -> object:
    """Import what is named when it is first used: the tables need a few lists of names, and not all sections."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'load')}"), name)
