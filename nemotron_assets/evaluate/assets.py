"""Assets of the evaluation: benchmark items as a table, and the newest model's scores."""

import dagster as dg

from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table import table_asset
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(BENCHMARKS, recipe="evaluate.benchmarks", kinds={"json"}, automation=dg.AutomationCondition.on_missing())
def benchmarks(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """The items of the benchmark files: GSM8K, ARC-Challenge, MMLU, HumanEval, MBPP, as far as the folder has them."""
    from nemotron_assets.evaluate.benchmarks import folder, read

    return read(folder(recipe.evaluate.benchmarks), lake.rejects(BENCHMARKS).add)


@table_asset(
    BENCHMARK_SCORES,
    recipe=("evaluate", "blend.held_out_share"),
    code="2",  # held-out code
    ins={
        "base": dg.AssetIn(key=dg.AssetKey(["models", "base"])),
        "tokenizer": dg.AssetIn(key=dg.AssetKey(["blend", "tokenizer"])),
        "unique_documents": dg.AssetIn(key=dg.AssetKey(["web", "unique_documents"])),
        "curated_code": dg.AssetIn(key=dg.AssetKey(["code", "curated"])),
    },
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def benchmark_scores(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    base: Reader,
    tokenizer: Reader,
    unique_documents: Reader,
    curated_code: Reader,
    benchmarks: Reader,
):
    """Scores of the newest base model: bits per byte on held-out documents and held-out code, and
    lm-evaluation-harness on our items.

    Scores of earlier versions stay in the table.
    """
    from datetime import UTC, datetime

    import polars as pl

    from nemotron_assets.evaluate import scoring

    model = base.scan().sort("at").tail(1).collect().row(0, named=True)
    vocabulary = tokenizer.scan().collect().row(0, named=True)
    share, most = recipe.blend.held_out_share, recipe.evaluate.max_held_out_documents
    texts = {scoring.DOCUMENTS: scoring.held_out_texts(unique_documents.scan(), share, most)}
    if scoring.any_held_out(curated_code.scan(), share):
        texts[scoring.CODE] = scoring.held_out_texts(curated_code.scan(), share, most, "content")
    with gpu.lock(context.log.info) as devices:
        scores = scoring.score(
            lake.get_weights(model["uri"]),
            lake.get_weights(vocabulary["uri"]),
            benchmarks.scan().collect(),
            texts,
            recipe.evaluate,
            devices[0].label,
        )
    inputs = [reader.input_version for reader in (base, tokenizer, unique_documents, curated_code, benchmarks)]
    context.add_output_metadata({"scores": dg.MetadataValue.md(scoring.as_markdown(scores)), "model": model["name"]})
    earlier = lake.read(BENCHMARK_SCORES).scan().filter(pl.col("model_id") != model["id"]).collect()
    return earlier.vstack(scoring.frame(scores, model, inputs, context.run_id, datetime.now(UTC)))


ASSETS = [benchmarks, benchmark_scores]
