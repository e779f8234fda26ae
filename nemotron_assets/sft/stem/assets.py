"""Assets of science questions: questions made from seeds, and all questions with their answers."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.inputs.tables import SEEDS, SFT_WRITERS
from nemotron_assets.sft.stem.tables import STEM_EXPANSIONS, STEM_QUESTIONS
from nemotron_assets.table.asset import RETRIES, table_asset
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

# A retry continues where the failed step stopped, because all finished generations are in the ledger.
_WRITES = {"kinds": {"vllm"}, "pool": POOL, "retry_policy": RETRIES}


@table_asset(
    STEM_EXPANSIONS,
    recipe=("sft.stem.seeds", "sft.stem.max_seeds", "sft.stem.generators", "sft.stem.expansion", "sft.stem.near",
            "sft.max_model_len"),
    code="2",  # answers that a limit of the grammar ended are rejected
    ins={"seeds": SEEDS, "sft_writers": SFT_WRITERS},
    **_WRITES,
)  # fmt: skip
def stem_expansions(
    context: dg.AssetExecutionContext,
    seeds: Reader,
    sft_writers: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """New science questions made from seeds in rounds: similar, harder and varied ones, by every model of the recipe.
    Questions that repeat a seed or an earlier question, exactly or nearly, are rejected (Nemotron Nano 2 §2.2.2)."""
    from nemotron_assets.sft.stem import expanding
    from nemotron_assets.sft.writing import Session

    numbers, session = recipe.sft.stem, Session(context, sft_writers, recipe, gpu, lake)
    chosen = session.seeds(seeds, numbers.seeds, numbers.max_seeds)
    return session.write(STEM_EXPANSIONS, lambda tally: expanding.rows(chosen, numbers, session.writers, tally))


@table_asset(
    STEM_QUESTIONS,
    recipe=("sft.stem", "sft.max_model_len"),
    code="2",  # answers that a limit of the grammar ended are rejected
    ins={"seeds": SEEDS, "expansions": STEM_EXPANSIONS, "sft_writers": SFT_WRITERS},
    **_WRITES,
)
def stem_questions(
    context: dg.AssetExecutionContext,
    seeds: Reader,
    expansions: Reader,
    sft_writers: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Science questions with answers, as open questions and as multiple choice with 4 and 10 options. The known answer
    of a seed verifies what most samples say; other questions are decided by the majority (Nemotron Nano 2 §2.2.2)."""
    from nemotron_assets.sft.choosing import Lowest
    from nemotron_assets.sft.stem.answering import Answering
    from nemotron_assets.sft.writing import Session

    numbers, session = recipe.sft.stem, Session(context, sft_writers, recipe, gpu, lake)
    chosen, known = session.seeds(seeds, numbers.seeds, numbers.max_seeds), session.seeds(seeds, numbers.seeds)
    return session.write(
        STEM_QUESTIONS,
        lambda tally: Answering(numbers, session.writers, tally, known).rows(chosen, Lowest(expansions.scan())),
    )


ASSETS = [stem_expansions, stem_questions]
