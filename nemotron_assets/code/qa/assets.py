"""Assets of questions about code: snippets of the corpus, and problems with solutions written about them."""

import dagster as dg

from nemotron_assets.code.qa.tables import QA, SNIPPETS
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.evaluate.tables import BENCHMARKS
from nemotron_assets.models import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.table import table_asset
from resources.compute import Compute
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    SNIPPETS,
    recipe=("code_qa.languages", "code_qa.snippets"),
    code="2",  # origin_hash
    kinds={"treesitter"},
    ins={"curated": dg.AssetIn(CURATED.asset_key)},
)
def snippets(
    curated: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Short pieces of curated code, 1 to 15 lines, cut on the borders of the syntax: whole functions and methods, or
    statements where there are none (Nemotron-H §2.3). Of every language those with the lowest hashes."""
    import functools

    import pyarrow.compute as pc

    from nemotron_assets.code.qa import snippets as cutting

    numbers = recipe.code_qa.snippets
    languages = list(recipe.code_qa.languages)
    batches = (
        batch.filter(pc.is_in(batch["language"], value_set=_strings(languages, batch["language"].type)))
        for batch in curated.batches(cutting.READ, numbers.batch_rows)
    )
    work, reject = functools.partial(cutting.snippets, recipe=numbers), lake.rejects(SNIPPETS).add
    return cutting.sampled(compute.map(batches, work, reject=reject, stage=SNIPPETS.full_name), numbers)


def _strings(values: list[str], kind):
    import pyarrow as pa

    return pa.array(values, kind)


@table_asset(
    QA,
    recipe="code_qa",
    code="2",  # origin_hash
    ins={
        "snippets": dg.AssetIn(SNIPPETS.asset_key),
        "benchmarks": dg.AssetIn(BENCHMARKS.asset_key),
        "generator": dg.AssetIn(GENERATOR.asset_key),
    },
    kinds={"vllm", "treesitter"},
    pool=POOL,
    # A step that ends in an error goes on where it was: what the model has written is in the ledger.
    retry_policy=dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL),
)
def qa(
    context: dg.AssetExecutionContext,
    snippets: Reader,
    benchmarks: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Programming problems inspired by snippets and their solutions, both written by a language model (Nemotron Nano 2
    §2.2.2). The code of a solution must parse; duplicates and items of HumanEval and MBPP are left out. If the recipe
    wants it, the code is run in a sandbox. Generations that are in the ledger are not asked for again."""
    from nemotron_assets.code import decontamination
    from nemotron_assets.code.qa import report, solving
    from nemotron_assets.code.qa.execution import Executor
    from nemotron_assets.spool import spooled
    from nemotron_assets.web.synthetic.asking import Tally, frames
    from nemotron_assets.web.synthetic.writing import Writer

    numbers, language, tally = recipe.code_qa, context.partition_key, Tally()
    items = decontamination.Items(
        benchmarks.scan().select(decontamination.READ).collect().iter_rows(named=True), numbers
    )
    execute = Executor(numbers.execution, language)
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    with gpu.lock(context.log.info):
        reject = lake.rejects(QA, language).add
        rows = solving.rows(snippets.scan(), language, writer, numbers, items, reject, tally, execute)
        written = spooled(frames(rows, QA))
    context.add_output_metadata(report.metadata(language, tally, execute.counts))
    return written


ASSETS = [snippets, qa]
