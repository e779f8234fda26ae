"""The asset of fundamental reasoning."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.inputs.tables import SEEDS, SFT_WRITERS
from nemotron_assets.sft.reasoning.tables import FUNDAMENTAL_REASONING
from nemotron_assets.table.asset import RETRIES, table_asset
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    FUNDAMENTAL_REASONING,
    recipe=("sft.reasoning", "sft.max_model_len"),
    code="3",  # answers that a limit of the grammar ended are rejected
    ins={"seeds": SEEDS, "sft_writers": SFT_WRITERS},
    kinds={"vllm"},
    pool=POOL,
    # A retry continues where the failed step stopped, because all finished generations are in the ledger.
    retry_policy=RETRIES,
)
def fundamental_reasoning(
    context: dg.AssetExecutionContext,
    seeds: Reader,
    sft_writers: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Logical, reading and analytical questions with options, written after the example of seeds. Every question is
    answered several times with a chain of thought; most answers must agree, or the row is failed (Nemotron Nano 2
    §2.3.2)."""
    from nemotron_assets.sft.reasoning.writing import ReasoningWriter
    from nemotron_assets.sft.writing import Session

    numbers, session = recipe.sft.reasoning, Session(context, sft_writers, recipe, gpu, lake)
    sets = {name for kind in numbers.kinds.values() for name in (kind.examples, kind.passages) if name}
    chosen = {name: session.seeds(seeds, [name]) for name in sets}
    return session.write(
        FUNDAMENTAL_REASONING, lambda tally: ReasoningWriter(numbers, session.writers, tally, chosen).rows()
    )


ASSETS = [fundamental_reasoning]
