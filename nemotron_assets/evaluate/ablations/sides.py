"""Says what each side of an ablation makes again, and with which recipe.

A side makes the tables that do not depend on the seed once, and for every seed those that do: the model. A table that
neither the change nor the seed concerns is made by nobody; it is read from the lake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nemotron_assets.planning.changes import Node, above, made_again
from nemotron_assets.recipe import Recipe, RecipeError
from nemotron_assets.recipe.ablation import Ablation
from nemotron_assets.recipe.load import changed_recipe

UNCHANGED, CHANGED = "unchanged", "changed"


@dataclass(frozen=True)
class Step:
    """Assets that are made with one recipe, in one branch. The branch reads from the branch of the step `after`, or
    from the lake if that is empty."""

    name: str
    after: str
    recipe: Recipe
    assets: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """The steps of one side: one for the data, if the side has data of its own, and one for every seed."""

    name: str
    data: Step | None
    models: dict[int, Step]

    def steps(self) -> list[Step]:
        """All steps, each after the step that it reads from."""
        return [*([self.data] if self.data else []), *self.models.values()]


def sides(ablation: Ablation, recipe: Recipe, graph: Mapping[str, Node]) -> tuple[Side, Side]:
    """The side without the change and the side with it. `graph` are the assets in topological order.

    Raises `RecipeError` for a value or a table that does not exist, and if the change does not concern the model.
    """
    if ablation.model not in graph:
        raise RecipeError(f"ablation {ablation.name}: {ablation.model} is not a table of models")
    if unknown := sorted(set(ablation.keep) - set(graph)):
        raise RecipeError(f"ablation {ablation.name}: keep names {', '.join(unknown)}, which no asset makes")
    wanted = above(graph, ablation.model, ablation.keep)
    without = _side(UNCHANGED, ablation, recipe, {}, graph, wanted)
    having = _side(CHANGED, ablation, recipe, ablation.change, graph, wanted)
    seed = ablation.seeds[0]
    if not made_again(graph, without.models[seed].recipe, having.models[seed].recipe, ablation.keep).keys() & wanted:
        raise RecipeError(
            f"ablation {ablation.name}: {', '.join(ablation.change)} changes nothing that {ablation.model} is made "
            "from, so both sides would be the same"
        )
    return without, having


def _side(
    name: str,
    ablation: Ablation,
    recipe: Recipe,
    change: Mapping[str, Any],
    graph: Mapping[str, Node],
    wanted: set[str],
) -> Side:
    values = {**ablation.both, f"{ablation.training}.tokens": ablation.tokens, **change}
    try:
        recipes = {s: changed_recipe(recipe, {**values, f"{ablation.training}.seed": s}) for s in ablation.seeds}
    except RecipeError as error:
        raise RecipeError(f"ablation {ablation.name}: {error}") from None
    first, second = (recipes[seed] for seed in ablation.seeds[:2])
    by_seed = [asset for asset in made_again(graph, first, second) if asset in wanted]
    if ablation.model not in by_seed:
        raise RecipeError(
            f"ablation {ablation.name}: {ablation.training}.seed does not decide {ablation.model}; name the section "
            "with the training of this model"
        )
    again = made_again(graph, recipe, first, ablation.keep)
    own = tuple(asset for asset in again if asset in wanted and asset not in by_seed)
    data = Step(name, "", first, own) if own else None
    return Side(
        name,
        data,
        {s: Step(f"{name}-{s}", data.name if data else "", r, tuple(by_seed)) for s, r in recipes.items()},
    )
