"""The rounds of DPO of the post-training: where they start, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nemotron_assets.align.preference import CODE
from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL
from nemotron_assets.models.asked import asked_for
from nemotron_assets.training.preference.rounds import Rounds

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from nemotron_assets.training.plan import Plan
    from resources.gpu import Gpu
    from resources.lakehouse import Lakehouse


def rounds(recipe: Recipe, lake: Lakehouse, gpu: Gpu, run_id: str, log: Callable[[str], None]) -> Rounds:
    """The rounds that the recipe asks for. They start from the model of the first reinforcement learning. Raises
    `ModelError` if the lake does not have it."""
    policies = lake.read(IFEVAL_RL)
    return Rounds(
        recipe,
        lake,
        gpu,
        run_id,
        log,
        settings=recipe.align.preference,
        section="align.preference",
        pairs=PREFERENCES,
        models=DPO,
        name=f"{recipe.name}-dpo",
        code=CODE,
        start=(policies, asked_for(policies, recipe, lake)),
    )


def dpo(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The training of the last round that the recipe asks for. Raises as `Rounds.last` does."""
    from resources.gpu import Gpu

    return rounds(recipe, lake, Gpu(), "", lambda line: None).last()


#: The model that a later stage continues.
PLANS = {DPO.full_name: dpo}
