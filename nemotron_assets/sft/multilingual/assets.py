"""The asset of SFT data in other languages."""

import dagster as dg

from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.multilingual.tables import MULTILINGUAL_SFT, SOURCES
from nemotron_assets.table.asset import RETRIES, table_asset
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    MULTILINGUAL_SFT,
    recipe=(
        "sft.multilingual",
        "sft.release.unverified",
        "web.documents.language_model",
        "web.documents.language_characters",
    ),
    code="2",  # answers that a limit of the grammar ended are rejected
    ins={"generator": GENERATOR, **{table.name: table for table in SOURCES}},
    kinds={"vllm"},
    pool=POOL,
    retry_policy=RETRIES,  # a retry goes on where the step failed, because finished generations are in the ledger
)
def multilingual_sft(
    context: dg.AssetExecutionContext,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
    **sources: Reader,
):
    """Rows of SFT data translated into 15 languages, line by line and in strict brackets. Lines without words, code,
    formulas, addresses and numbers are kept unchanged, and the language is checked (Nano 2 §3.1)."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.sft.multilingual.translating import write

    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    tables = {reader.table.full_name: reader.scan() for reader in sources.values()}
    detector = recipe.web.documents.language_model, recipe.web.documents.language_characters
    rows, tally = write(tables, recipe.sft.multilingual, recipe.sft.release.unverified, writer, *detector)
    context.add_output_metadata(tally.metadata(writer.rate))
    return rows


ASSETS = [multilingual_sft]
