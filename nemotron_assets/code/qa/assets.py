"""Assets of questions about code: snippets of the corpus, and problems with solutions written about them."""

import dagster as dg

from nemotron_assets.code.qa.tables import QA, SNIPPETS
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import RETRIES, table_asset
from resources.compute import Compute
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    SNIPPETS,
    recipe=("code.qa.languages", "code.qa.snippets"),
    code="2",  # adds origin_hash
    kinds={"treesitter"},
    ins={"curated": CURATED},
)
def snippets(curated: Reader, recipe: dg.ResourceParam[Recipe], compute: dg.ResourceParam[Compute]):
    """Short pieces of curated files (1 to 15 lines), cut along the syntax: whole functions and methods, or statements
    if a file has none (Nemotron-H §2.3). Of each language the snippets with the lowest hashes are taken."""
    from nemotron_assets.code.qa.snippets import snippet_rows

    return snippet_rows(curated, recipe.code.qa, compute)


@table_asset(
    QA,
    recipe="code.qa",
    code="3",  # no sentence mark is forced at a limit; echoes of the prompt and loops are rejected
    ins={
        "snippets": SNIPPETS,
        "benchmarks": BENCHMARKS,
        "generator": GENERATOR,
    },
    kinds={"vllm", "treesitter"},
    pool=POOL,
    # A retry continues where the failed step stopped, because all finished generations are in the ledger.
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
    §2.2.2). The code of a solution must parse; duplicates and items of HumanEval and MBPP are rejected. If the recipe
    says so, the code is run in a sandbox. A generation that is in the ledger is not asked for again."""
    from nemotron_assets.code.decontamination import read_items
    from nemotron_assets.code.qa.report import metadata
    from nemotron_assets.code.qa.solving import QuestionWriter
    from nemotron_assets.generation.writing import Writer
    from nemotron_assets.grading.execution import Executor

    numbers, language = recipe.code.qa, context.partition_key
    executor = Executor(numbers.execution, language)
    writer = Writer(generator, gpu, lake, run_id=context.run_id, log=context.log.info)
    questions = QuestionWriter(language, writer, numbers, read_items(benchmarks.scan(), numbers), executor)
    written = writer.write(QA, lambda reject: questions.rows(snippets.scan(), reject))
    context.add_output_metadata(metadata(language, questions.tally, executor.counts))
    return written


ASSETS = [snippets, qa]
