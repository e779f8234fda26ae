"""Declares the assets of the post-training's data."""

import dagster as dg

from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS, SUITE_ITEMS, sft_inputs
from nemotron_assets.conditions import follow_inputs
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.release.tables import CONTAMINATED
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts
from nemotron_assets.table.schema import Table
from resources.lakehouse import Lakehouse, Reader


@table_asset(SUITE_ITEMS, recipe="align.suite", kinds={"python"}, automation=follow_inputs(after=PAGES))
def suite_items(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Items of small procedural tasks, made from a seed: last word, reverse, count, largest digit, sums. Held-out items
    are never trained on."""
    from nemotron_assets.align.conversations import suite

    return Parts(suite.parts(recipe.align.suite), metadata=lambda: suite.metadata(lake.read(SUITE_ITEMS).scan()))


def _inputs() -> dict[str, Table]:
    """What conversations and prompts are made from."""
    return {"suite_items": SUITE_ITEMS, "contaminated": CONTAMINATED, **sft_inputs()}


@table_asset(CONVERSATIONS, recipe=("align.conversations", "blend.held_out_share"), ins=_inputs(), kinds={"polars"})
def conversations(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse], **tables: Reader):
    """Conversations that the supervised stages learn from, in the published chat format."""
    from nemotron_assets.align.conversations import report
    from nemotron_assets.align.conversations.inputs import Inputs
    from nemotron_assets.align.conversations.making import conversation_parts

    parts = conversation_parts(Inputs.of(recipe, lake, tables))
    return Parts(parts, metadata=lambda: report.of_conversations(lake.read(CONVERSATIONS).scan()))


@table_asset(PROMPTS, recipe=("align.prompts", "blend.held_out_share"), ins=_inputs(), kinds={"polars"})
def prompts(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse], **tables: Reader):
    """Prompts of the reinforcement learning and the preference tuning, with the verifiers that judge the answers."""
    from nemotron_assets.align.conversations import report
    from nemotron_assets.align.conversations.inputs import Inputs
    from nemotron_assets.align.conversations.making import prompt_parts

    parts = prompt_parts(Inputs.of(recipe, lake, tables))
    return Parts(parts, metadata=lambda: report.of_prompts(lake.read(PROMPTS).scan()))


ASSETS = [suite_items, conversations, prompts]
