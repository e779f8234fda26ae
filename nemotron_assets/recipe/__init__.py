"""Every number of the recipe, typed: its meaning, unit, allowed range and where it was published.

`recipes/laptop.yaml` runs the whole graph on two cores, `recipes/nano2.yaml` is the published recipe of Nemotron
Nano 2. A recipe of your own may start with `extends: laptop` and name only what differs. Where a source is given as
"default", the value was not published. The modules of this package mirror the stages: `recipe.web.dedup` holds the
numbers of the stage `web/dedup`.
"""

from nemotron_assets.recipe.load import BUILT_IN, current_recipe, load_recipe
from nemotron_assets.recipe.root import Recipe
from nemotron_assets.recipe.section import RecipeError, Section

__all__ = ["BUILT_IN", "Recipe", "RecipeError", "Section", "current_recipe", "load_recipe"]
