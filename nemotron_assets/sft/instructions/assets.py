"""Assets of instructions with responses: mathematics, code, general."""

import dagster as dg

from nemotron_assets.code.qa.tables import QA
from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.inputs.tables import SEEDS, SFT_WRITERS
from nemotron_assets.sft.instructions.tables import CODE_SFT, GENERAL_SFT, MATH_SFT
from nemotron_assets.table.asset import RETRIES, table_asset
from nemotron_assets.web.quality.tables import CURATED
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# A retry continues where the failed step stopped, because all finished generations are in the ledger.
_WRITES = {"pool": POOL, "retry_policy": RETRIES}


@table_asset(
    MATH_SFT,
    recipe=("sft.instructions.math", "sft.max_model_len", "grading"),
    code="3",  # answers that a limit of the grammar ended are rejected
    ins={"seeds": SEEDS, "pages": NEMOTRON_CC_MATH, "sft_writers": SFT_WRITERS},
    kinds={"vllm", "sympy"},
    **_WRITES,
)
def math_sft(
    context: dg.AssetExecutionContext,
    seeds: Reader,
    pages: Reader,
    sft_writers: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Problems of mathematics with solutions, several per problem: problems from seeds with known answers, and problems
    that a model writes about pages. math-verify compares answers with known ones; without one the samples vote."""
    from nemotron_assets.grading import maths
    from nemotron_assets.sft.instructions.problems import pages_to_ask
    from nemotron_assets.sft.instructions.solutions import SolutionWriter
    from nemotron_assets.sft.writing import Session

    numbers, session = recipe.sft.instructions.math, Session(context, sft_writers, recipe, gpu, lake)
    known, about = session.seeds(seeds, numbers.seeds), pages_to_ask(pages.scan(), numbers)
    with maths.grader(recipe.grading) as grader:
        return session.write(
            MATH_SFT, lambda tally: SolutionWriter(numbers, session.writers, grader, tally).rows(known, about)
        )


@table_asset(
    CODE_SFT,
    recipe=("sft.instructions.code", "sft.max_model_len", "grading"),
    code="3",  # answers that a limit of the grammar ended are rejected
    ins={"seeds": SEEDS, "problems": QA, "sft_writers": SFT_WRITERS},
    kinds={"vllm", "treesitter"},
    **_WRITES,
)
def code_sft(
    context: dg.AssetExecutionContext,
    seeds: Reader,
    problems: Reader,
    sft_writers: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Programming tasks with reasoned solutions. The reasoning has no code, the code parses, and where a task has tests
    the sandbox runs them: solutions that pass are verified (Nemotron-H §2.3)."""
    from nemotron_assets.grading.code import CodeGrader
    from nemotron_assets.sft.instructions.programs import ProgramWriter, problems_to_solve, with_tests
    from nemotron_assets.sft.writing import Session

    numbers, session = recipe.sft.instructions.code, Session(context, sft_writers, recipe, gpu, lake)
    tasks = session.seeds(seeds, numbers.seeds, numbers.max_seeds), problems_to_solve(problems.scan(), numbers)
    with CodeGrader(recipe.grading.code) as grader:
        return session.write(
            CODE_SFT, lambda tally: ProgramWriter(numbers, session.writers, with_tests(grader), tally).rows(*tasks)
        )


@table_asset(
    GENERAL_SFT,
    recipe=("sft.instructions.general", "sft.max_model_len"),
    code="3",  # answers that a limit of the grammar ended are rejected
    ins={"seeds": SEEDS, "curated": CURATED, "sft_writers": SFT_WRITERS},
    kinds={"vllm"},
    **_WRITES,
)
def general_sft(
    context: dg.AssetExecutionContext,
    seeds: Reader,
    curated: Reader,
    sft_writers: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """General instructions with responses, in the named sets of the recipe, written about curated pages and seeds. A
    response is unverified, unless the recipe names a language model that judges it."""
    from nemotron_assets.sft.instructions.general import InstructionWriter, Texts
    from nemotron_assets.sft.writing import Session

    numbers, session = recipe.sft.instructions.general, Session(context, sft_writers, recipe, gpu, lake)
    texts = {name: Texts(one, curated.scan(), seeds.scan()) for name, one in numbers.sets.items()}
    return session.write(GENERAL_SFT, lambda tally: InstructionWriter(numbers, session.writers, tally).rows(texts))


ASSETS = [math_sft, code_sft, general_sft]
