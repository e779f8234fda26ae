"""Assets of synthetic web data: rephrasings, questions and answers, and translations by a language model."""

import dagster as dg

from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import RETRIES, materialized, table_asset, table_spec
from nemotron_assets.table.parts import Batches, Rejects
from nemotron_assets.web.quality.tables import CURATED, MULTILINGUAL
from nemotron_assets.web.synthetic.tables import (
    DIVERSE_QA,
    NATIVE_QA,
    REPHRASED,
    TRANSLATED_DIVERSE_QA,
    TRANSLATION_OUTCOMES,
)
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# A retry goes on where the step failed, because finished generations are in the ledger.
_WRITES = {
    "kinds": {"vllm"},
    "pool": POOL,
    "retry_policy": RETRIES,
}
_DETECTOR = ("web.documents.language_model", "web.documents.language_characters")


@table_asset(
    REPHRASED,
    recipe="web.rephrased",
    code="2",  # answers that a limit of the grammar ended are rejected, and so are echoes of the prompt and loops
    ins={"curated": CURATED, "generator": GENERATOR},
    **_WRITES,
)
def rephrased(
    context: dg.AssetExecutionContext,
    curated: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """English documents rephrased with four prompts: in the style of an encyclopedia, condensed, as the knowledge in
    them, and as a list of facts (Nemotron-CC §2.4). Generations in the ledger are not asked for again."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.web.synthetic import rephrase

    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    batches, tallies = rephrase.write(curated.scan(), recipe.web.rephrased, writer)
    context.add_output_metadata(writer.metadata(tallies))
    return batches


@table_asset(
    DIVERSE_QA,
    recipe="web.diverse_qa",
    code="3",  # answers that a limit of the grammar ended are rejected, and so are echoes of the prompt and loops
    ins={"curated": CURATED, "generator": GENERATOR},
    **_WRITES,
)
def diverse_qa(
    context: dg.AssetExecutionContext,
    curated: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Questions of several kinds about English documents and their answers, written by a language model and appended to
    the text that they are about (Nemotron-CC §2.4). Generations in the ledger are not asked for again."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.web.synthetic import diverse_qa as qa

    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    batches, tallies = qa.write(curated.scan(), recipe.web.diverse_qa, writer)
    context.add_output_metadata(writer.metadata(tallies))
    return batches


@table_asset(
    TRANSLATED_DIVERSE_QA,
    recipe=("web.translation", *_DETECTOR),
    code="2",  # answers that a limit of the grammar ended are rejected, and so are echoes of the prompt and loops
    ins={"diverse_qa": DIVERSE_QA, "generator": GENERATOR},
    **_WRITES,
)
def translated_diverse_qa(
    context: dg.AssetExecutionContext,
    diverse_qa: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Diverse QA samples translated line by line into 15 languages (Nemotron Nano 2 §2.2.2). Code, formulas, addresses
    and numbers are kept unchanged. Completeness and language are verified; a line that fails is asked for again before
    its sample is rejected. web/translation_outcomes has the outcome of every sample in every language."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.web.synthetic.translation.report import metadata
    from nemotron_assets.web.synthetic.translation.snapshot import SnapshotTranslations

    writer, rejects = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info), Rejects()
    with writer.device():
        made = SnapshotTranslations(diverse_qa, recipe, writer, rejects.add)
    lake.write(TRANSLATION_OUTCOMES, made.outcomes(), context.partition_key, run_id=context.run_id)
    materialized(context, TRANSLATION_OUTCOMES, lake)
    context.add_output_metadata(metadata(made.tallies, context.partition_key))
    return Batches(made.translations(), rejects)


@table_asset(
    NATIVE_QA,
    recipe=("web.native_qa", "web.diverse_qa", "web.translation.language_min_score", *_DETECTOR),
    code="3",  # answers that a limit of the grammar ended are rejected, and so are echoes of the prompt and loops
    ins={"multilingual": MULTILINGUAL, "generator": GENERATOR},
    **_WRITES,
)
def native_qa(
    context: dg.AssetExecutionContext,
    multilingual: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Questions about pages of Wikipedia in other languages and their answers, written in the language of the page
    (Nano 2 §2.2.2). The language is checked. An optional source: without pages to write about, no model is loaded."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.web.synthetic import native_qa as native

    found = native.choose(multilingual.scan(), recipe.web.native_qa)
    if found.head(1).collect(engine="streaming").is_empty():
        return NATIVE_QA.empty()
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    rows, tallies = native.write(found, recipe.web, writer)
    context.add_output_metadata(writer.metadata(tallies))
    return rows


translation_outcomes = table_spec(TRANSLATION_OUTCOMES, made_by=translated_diverse_qa)

ASSETS = [rephrased, diverse_qa, native_qa, translated_diverse_qa, translation_outcomes]
