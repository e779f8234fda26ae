"""Assets of questions about code: snippets of the corpus, and problems with solutions written about them."""

import dagster as dg

from nemotron_assets.code.qa.tables import QA, SNIPPETS
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import RETRIES, table_asset
from nemotron_assets.table.parts import Batches, Rejects
from resources.compute import Compute
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    SNIPPETS,
    recipe=("code.qa.languages", "code.qa.snippets"),
    code="2",  # origin_hash
    kinds={"treesitter"},
    ins={"curated": CURATED},
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

    numbers = recipe.code.qa.snippets
    languages = list(recipe.code.qa.languages)
    batches = (
        batch.filter(pc.is_in(batch["language"], value_set=_strings(languages, batch["language"].type)))
        for batch in curated.batches(cutting.READ, numbers.batch_rows)
    )
    work, rejects = functools.partial(cutting.snippets, recipe=numbers), Rejects()
    pieces = compute.map(batches, work, reject=rejects.add, stage=SNIPPETS.full_name)
    return Batches(cutting.sampled(pieces, numbers), rejects)


def _strings(values: list[str], kind):
    import pyarrow as pa

    return pa.array(values, kind)


@table_asset(
    QA,
    recipe="code.qa",
    code="2",  # origin_hash
    ins={
        "snippets": SNIPPETS,
        "benchmarks": BENCHMARKS,
        "generator": GENERATOR,
    },
    kinds={"vllm", "treesitter"},
    pool=POOL,
    # A step that ends in an error goes on where it was: what the model has written is in the ledger.
    retry_policy=RETRIES,
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
    from nemotron_assets.generation.asking import Tally
    from nemotron_assets.generation.writing import Writer

    numbers, language, tally = recipe.code.qa, context.partition_key, Tally()
    items = decontamination.Items(
        benchmarks.scan().select(decontamination.READ).collect().iter_rows(named=True), numbers
    )
    execute = Executor(numbers.execution, language)
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    written = writer.write(
        QA,
        lambda reject: solving.rows(snippets.scan(), language, writer, numbers, items, reject, tally, execute),
    )
    context.add_output_metadata(report.metadata(language, tally, execute.counts))
    return written


ASSETS = [snippets, qa]
