"""Assets of synthetic web data: what language models write about documents."""

import dagster as dg

from nemotron_assets.models import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.table import snapshot_partitions, table_asset
from nemotron_assets.web.quality.tables import CURATED
from nemotron_assets.web.synthetic.tables import DIVERSE_QA, REPHRASED, TRANSLATED_DIVERSE_QA, TRANSLATION_OUTCOMES
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# A step that ends in an error goes on where it was: what the model has written is in the ledger.
_WRITES = {
    "kinds": {"vllm"},
    "pool": POOL,
    "retry_policy": dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL),
}


@table_asset(
    REPHRASED,
    recipe="rephrased",
    ins={"curated": dg.AssetIn(CURATED.asset_key), "generator": dg.AssetIn(GENERATOR.asset_key)},
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
    from nemotron_assets.spool import spooled
    from nemotron_assets.web.synthetic import rephrase
    from nemotron_assets.web.synthetic.asking import Tally, frames
    from nemotron_assets.web.synthetic.passages import passages, room
    from nemotron_assets.web.synthetic.writing import Writer

    numbers, prompts = recipe.rephrased, recipe.rephrased.prompts()
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    rooms = {
        name: room(name, limits, writer.prompt_tokens(rephrase.request(name, numbers, "")))
        for name, limits in prompts.items()
    }
    tallies = {name: Tally() for name in prompts}
    with gpu.lock(context.log.info):
        rows = rephrase.rows(
            passages(curated.scan(), prompts, rooms, writer.count),
            numbers,
            generator=writer.name,
            count=writer.count,
            generate=writer.ask,
            reject=lake.rejects(REPHRASED, context.partition_key).add,
            tallies=tallies,
        )
        written = spooled(frames(rows, REPHRASED))
    context.add_output_metadata(writer.metadata(tallies))
    return written


@table_asset(
    DIVERSE_QA,
    recipe="diverse_qa",
    code="2",
    ins={"curated": dg.AssetIn(CURATED.asset_key), "generator": dg.AssetIn(GENERATOR.asset_key)},
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
    from nemotron_assets.spool import spooled
    from nemotron_assets.web.synthetic import diverse_qa as qa
    from nemotron_assets.web.synthetic.asking import Tally, frames
    from nemotron_assets.web.synthetic.passages import passages, room
    from nemotron_assets.web.synthetic.writing import Writer

    numbers, name, tally = recipe.diverse_qa, qa.DIVERSE_QA.name, Tally()
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    rooms = {name: room(name, numbers, writer.prompt_tokens(qa.request(numbers, "")))}
    with gpu.lock(context.log.info):
        rows = qa.rows(
            passages(curated.scan(), {name: numbers}, rooms, writer.count),
            numbers,
            generator=writer.name,
            count=writer.count,
            generate=writer.ask,
            reject=lake.rejects(DIVERSE_QA, context.partition_key).add,
            tally=tally,
        )
        written = spooled(frames(rows, DIVERSE_QA))
    context.add_output_metadata(writer.metadata({name: tally}))
    return written


@table_asset(
    TRANSLATED_DIVERSE_QA,
    recipe=("translation", "documents.language_model", "documents.language_characters"),
    ins={"diverse_qa": dg.AssetIn(DIVERSE_QA.asset_key), "generator": dg.AssetIn(GENERATOR.asset_key)},
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
    from nemotron_assets.web.synthetic.translation_report import metadata
    from nemotron_assets.web.synthetic.translations import SnapshotTranslations
    from nemotron_assets.web.synthetic.writing import Writer

    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    reject = lake.rejects(TRANSLATED_DIVERSE_QA, context.partition_key).add
    with gpu.lock(context.log.info):
        made = SnapshotTranslations(diverse_qa, recipe, writer, reject)
    lake.write(TRANSLATION_OUTCOMES, made.outcomes(), context.partition_key, run_id=context.run_id)
    counts = {"dagster/partition_row_count": sum(tally.samples for tally in made.tallies.values())}
    context.log_event(
        dg.AssetMaterialization(TRANSLATION_OUTCOMES.asset_key, partition=context.partition_key, metadata=counts)
    )
    context.add_output_metadata(metadata(made.tallies, context.partition_key))
    return made.translations()


translation_outcomes = dg.AssetSpec(
    TRANSLATION_OUTCOMES.asset_key,
    deps=[translated_diverse_qa],
    description=f"{TRANSLATION_OUTCOMES.description} Written by web/translated_diverse_qa in the same pass.",
    group_name=TRANSLATION_OUTCOMES.schema,
    partitions_def=snapshot_partitions,
    kinds={"delta"},
    owners=["team:lakehouse"],
    metadata={
        "dagster/column_schema": TRANSLATION_OUTCOMES.column_schema(),
        "dagster/table_name": TRANSLATION_OUTCOMES.full_name,
    },
)


ASSETS = [rephrased, diverse_qa, translated_diverse_qa, translation_outcomes]
