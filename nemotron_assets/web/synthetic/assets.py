"""Assets of synthetic web data: what language models write about documents."""

import dagster as dg

from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import RETRIES, materialized, table_asset, table_spec
from nemotron_assets.table.parts import Batches, Rejects
from nemotron_assets.web.quality.tables import CURATED
from nemotron_assets.web.synthetic.tables import DIVERSE_QA, REPHRASED, TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# A step that ends in an error goes on where it was: what the model has written is in the ledger.
_WRITES = {
    "kinds": {"vllm"},
    "pool": POOL,
    "retry_policy": RETRIES,
}


@table_asset(
    REPHRASED,
    recipe="web.rephrased",
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
    """Documents in other words, by four prompts: as an encyclopedia has them, condensed, as the knowledge in them and
    as a list of it (Nemotron-CC §2.4). Generations that are in the ledger are not asked for again."""
    from nemotron_assets.generation.asking import Tally
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.web.synthetic import rephrase

    numbers, writer = recipe.web.rephrased, Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    tallies = {name: Tally() for name in numbers.prompts()}
    chosen = rephrase.chosen(curated.scan(), numbers, writer)
    written = writer.write(
        REPHRASED,
        lambda reject: rephrase.rows(
            chosen,
            numbers,
            generator=writer.name,
            count=writer.count,
            generate=writer.ask,
            reject=reject,
            tallies=tallies,
        ),
    )
    context.add_output_metadata(writer.metadata(tallies))
    return written


@table_asset(
    DIVERSE_QA,
    recipe="web.diverse_qa",
    code="2",
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
    """Questions of several kinds and their answers about English documents, written by a language model and appended
    to the text they are about (Nemotron-CC §2.4). Generations that are in the ledger are not asked for again."""
    from nemotron_assets.generation.asking import Tally
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.web.synthetic import diverse_qa as qa

    numbers, tally = recipe.web.diverse_qa, Tally()
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    chosen = qa.chosen(curated.scan(), numbers, writer)
    written = writer.write(
        DIVERSE_QA,
        lambda reject: qa.rows(
            chosen, numbers, generator=writer.name, count=writer.count, generate=writer.ask, reject=reject, tally=tally
        ),
    )
    context.add_output_metadata(writer.metadata({qa.DIVERSE_QA.name: tally}))
    return written


@table_asset(
    TRANSLATED_DIVERSE_QA,
    recipe=("web.translation", "web.documents.language_model", "web.documents.language_characters"),
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
    """Diverse QA in 15 languages, translated line by line (Nemotron Nano 2 §2.2.2): code, formulas, addresses and
    numbers are carried over untouched, language and completeness are verified, failures are asked for again, then
    rejected. What became of every sample in every language goes to web/translation_outcomes."""
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.web.synthetic.translation_report import metadata
    from nemotron_assets.web.synthetic.translations import SnapshotTranslations

    writer, rejects = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info), Rejects()
    with writer.device():
        made = SnapshotTranslations(diverse_qa, recipe, writer, rejects.add)
    lake.write(TRANSLATION_OUTCOMES, made.outcomes(), context.partition_key, run_id=context.run_id)
    materialized(context, TRANSLATION_OUTCOMES, lake)
    context.add_output_metadata(metadata(made.tallies, context.partition_key))
    return Batches(made.translations(), rejects)


translation_outcomes = table_spec(TRANSLATION_OUTCOMES, made_by=translated_diverse_qa)

ASSETS = [rephrased, diverse_qa, translated_diverse_qa, translation_outcomes]
