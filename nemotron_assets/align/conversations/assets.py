"""Declares the assets of the post-training's data."""

import dagster as dg

from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS, SUITE_ITEMS, sft_inputs
from nemotron_assets.blend.tables import TOKENIZER
from nemotron_assets.conditions import follow_inputs
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.inputs.tables import SFT_WRITERS
from nemotron_assets.sft.release.tables import CONTAMINATED
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import RETRIES, table_asset
from nemotron_assets.table.parts import Parts
from nemotron_assets.table.schema import Table
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(SUITE_ITEMS, recipe="align.suite", kinds={"python"}, automation=follow_inputs(after=PAGES))
def suite_items(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Items of small procedural tasks, made from a seed: last word, reverse, count, largest digit, sums. Held-out items
    are never trained on."""
    from nemotron_assets.align.conversations import suite

    return Parts(suite.parts(recipe.align.suite), metadata=lambda: suite.metadata(lake.read(SUITE_ITEMS).scan()))


def _inputs() -> dict[str, Table]:
    """What conversations and prompts are made from."""
    named = (SUITE_ITEMS, CONTAMINATED, BENCHMARKS, TOKENIZER)
    return {**{table.name: table for table in named}, **sft_inputs()}


_SHARED = ("align.prompts.held_out_share", "blend.held_out_share", "sft.release.contamination")


@table_asset(
    CONVERSATIONS,
    recipe=("align.conversations", "align.prompts.sft", "align.tuning.held_out_share", *_SHARED),
    ins={"sft_writers": SFT_WRITERS, **_inputs()},
    kinds={"polars"},
    pool=POOL,  # a recipe may have a language model judge the safety data
    retry_policy=RETRIES,
)
def conversations(
    context: dg.AssetExecutionContext,
    sft_writers: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
    **tables: Reader,
):
    """Conversations that the supervised stages learn from, in the published chat format: SFT data, the suite, tasks
    with tools, the project's own, local files and sets of the hub; with copies without and with cut thoughts."""
    from nemotron_assets.align.conversations import report
    from nemotron_assets.align.conversations.inputs import Inputs
    from nemotron_assets.align.conversations.making import conversation_parts
    from nemotron_assets.generation.several import Writers

    writers = Writers(sft_writers, gpu, lake, run_id=context.run_id, log=context.log.info)
    inputs = Inputs.of(recipe, lake, tables, writers.get)
    shown = lambda: report.of_conversations(lake.read(CONVERSATIONS))  # noqa: E731
    return Parts(conversation_parts(inputs), metadata=shown, rejects=inputs.rejects)


@table_asset(
    PROMPTS,
    recipe=("align.prompts", "grading", *_SHARED),
    code="2",  # a prompt with other instructions has another id
    ins=_inputs(),
    kinds={"polars"},
    retry_policy=RETRIES,
)
def prompts(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse], **tables: Reader):
    """Prompts of the reinforcement learning and the preference tuning, with the verifiers that judge the answers."""
    from nemotron_assets.align.conversations import report
    from nemotron_assets.align.conversations.inputs import Inputs, no_writer
    from nemotron_assets.align.conversations.making import prompt_parts

    inputs = Inputs.of(recipe, lake, tables, no_writer)
    return Parts(prompt_parts(inputs), metadata=lambda: report.of_prompts(lake.read(PROMPTS)), rejects=inputs.rejects)


ASSETS = [suite_items, conversations, prompts]
