"""Declares the asset of the evaluation: the scores of the models in use."""

import dagster as dg

from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader

#: The tables of models that are scored. Of each table the newest version of every model name is scored.
SCORED = (BASE,)


@table_asset(
    BENCHMARK_SCORES,
    recipe=("evaluate", "blend.held_out_share"),
    code="4",  # every model is scored with its own tokenizer
    ins={
        **{table.name: table for table in SCORED},
        "unique_documents": UNIQUE_DOCUMENTS,
        "curated_code": CURATED,
        "benchmarks": BENCHMARKS,
    },
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def benchmark_scores(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    unique_documents: Reader,
    curated_code: Reader,
    benchmarks: Reader,
    **models: Reader,
):
    """Scores of the models in use: bits per byte on held-out documents and held-out code, and the benchmarks of
    lm-evaluation-harness. A model whose inputs did not change is not scored again. The scores of earlier versions stay
    in the table."""
    from nemotron_assets.evaluate.scoring import Inputs, Scoring

    inputs = Inputs(benchmarks, unique_documents, curated_code)
    work = Scoring(inputs, recipe, lake, gpu, context.run_id, context.log.info)
    return work.parts([models[table.name] for table in SCORED])


ASSETS = [benchmark_scores]
