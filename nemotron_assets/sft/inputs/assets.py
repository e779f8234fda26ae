"""Assets of what SFT data is made from: seeds, and the language models that write."""

import dagster as dg

from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.inputs.tables import SEEDS, SFT_WRITERS
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Batches, Rejects
from nemotron_assets.web.dedup.tables import DUPLICATES
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse, Reader

#: The recipe's sections that name language models.
_MODELS = (
    "sft.stem.generators", "sft.reasoning.generators", "sft.instructions.math.generators",
    "sft.instructions.code.generators", "sft.instructions.general.sets",
)  # fmt: skip


@table_asset(
    SEEDS,
    recipe="sft.inputs",
    code="3",  # the address of its page decides whether a seed is held out
    kinds={"json"},
    ins={"documents": DOCUMENTS, "duplicates": DUPLICATES},
)
def seeds(documents: Reader, duplicates: Reader, recipe: dg.ResourceParam[Recipe]):
    """Seeds of the SFT data, read from files: questions with known answers, passages, tasks. A seed that was taken from
    a page of the lake is held out from training with its page."""
    from nemotron_assets.sft.inputs.seeds import read, with_pages

    rejects = Rejects()
    found = read(recipe.sft.inputs.folder, rejects.add)
    return Batches((with_pages(frame, documents.scan(), duplicates.scan()) for frame in found), rejects)


@table_asset(
    SFT_WRITERS,
    recipe=(*_MODELS, "llm.engine", "llm.model", "llm.tokenizer"),
    kinds={"huggingface"},
    ins={"generator": GENERATOR},
)
def sft_writers(
    context: dg.AssetExecutionContext,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
):
    """The language models that write and judge SFT data: the generator of the web data, and others that the recipe
    names. Each is put into the lake once."""
    from nemotron_assets.models.registry import Registry
    from nemotron_assets.models.writer import want_writer

    registry = Registry(lake, SFT_WRITERS, context.run_id, context.log.info)
    models = [want_writer(registry, name, recipe.llm, generator, lake, named=True) for name in recipe.sft.models]
    context.add_output_metadata({"models": ", ".join(sorted(model["name"] for model in models))})
    return registry.parts()


ASSETS = [seeds, sft_writers]
