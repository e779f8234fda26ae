"""Checks of the evaluation: scores are possible values, every scored model has learned something, and the long-context
model uses its longer context."""

import dagster as dg

from nemotron_assets.blend.tables import TOKENIZER
from nemotron_assets.compress.distilling.tables import COMPRESSED, COMPRESSED_BASE
from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.evaluate.suite.tables import MODELS, SUITE_ANSWERS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, BITS_BY_POSITION, RULER_ANSWERS, RULER_ITEMS
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse

#: The share by which a long-context model may need more bits per byte than its base model, within the context of the
#: base model.
WORSE_AT_MOST = 0.01


@table_check(BENCHMARK_SCORES)
def scores_are_possible(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Shares of right answers are between 0 and 1, bits per byte are positive and finite, every score has samples."""
    import polars as pl

    share = pl.col("value").is_between(0, 1)
    bits = pl.col("value").is_finite() & (pl.col("value") > 0)
    possible = pl.when(pl.col("metric") == "bits_per_byte").then(bits).otherwise(share) & (pl.col("samples") > 0)
    wrong = lake.read(BENCHMARK_SCORES).scan().filter(~possible).select("model_version", "task", "metric").collect()
    return dg.AssetCheckResult(passed=wrong.is_empty(), metadata={"impossible": str(wrong.rows())})


@table_check(BENCHMARK_SCORES)
def better_than_guessing(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every scored model needs fewer bits per byte on held-out English pages than a model for which all tokens are
    equally likely."""
    import polars as pl

    bits = (pl.col("metric") == "bits_per_byte") & (pl.col("task") == "held_out_english_web")
    rows = lake.read(BENCHMARK_SCORES).scan().filter(bits).sort("at").collect()
    guessing = rows.filter(pl.col("value") >= pl.col("random_baseline")).select("model", "model_version")
    newest = rows.row(-1, named=True) if rows.height else dict.fromkeys(rows.columns)
    return dg.AssetCheckResult(
        passed=bool(rows.height) and guessing.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "bits_per_byte": newest["value"],
            "uniform_tokens": newest["random_baseline"],
            "single_bytes": newest["unigram_bits_per_byte"],
            "gzip": newest["gzip_bits_per_byte"],
            "models_that_guess": ", ".join(f"{model} {version}" for model, version in guessing.iter_rows()),
        },
    )


@table_check(BITS_BY_POSITION, reads=[LONG_CONTEXT])
def long_context_is_used(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The newest long-context model needs fewer bits per byte than the base model that it continues, at positions
    beyond the context of the base model, and at most 1% more within this context. Both models have read the same
    documents."""
    from nemotron_assets.evaluate.by_position import compared
    from nemotron_assets.models.registry import newest

    model = newest(lake.read(LONG_CONTEXT))
    found = compared(lake.read(BITS_BY_POSITION).scan().collect(), model["parents"][0], model["id"])
    return dg.AssetCheckResult(
        passed=found is not None and found["beyond"] < 1 and found["within"] <= 1 + WORSE_AT_MOST,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=found
        or {"problem": "the long-context model and its base model were not measured on the same long documents"},
    )


@table_check(RULER_ITEMS, blocking=True, reads=[TOKENIZER])
def answers_fit(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every item has an answer, its length has room for the prompt and for the longest answer that a model may give,
    and every right answer stands in the prompt."""
    import polars as pl

    items = lake.read(RULER_ITEMS).scan()
    full = items.filter(pl.col("tokens") + recipe.evaluate.ruler.max_output_tokens > pl.col("length"))
    absent = items.explode("answers").filter(~pl.col("prompt").str.contains(pl.col("answers"), literal=True))
    found = {
        "items": items.select(pl.len()).collect().item(),
        "without_room": full.select(pl.len()).collect().item(),
        "without_answer": items.filter(pl.col("answers").list.len() == 0).select(pl.len()).collect().item(),
        "answers_not_in_prompt": absent.select(pl.len()).collect().item(),
    }
    wrong = found["without_room"] + found["without_answer"] + found["answers_not_in_prompt"]
    return dg.AssetCheckResult(passed=bool(found["items"]) and not wrong, metadata=found)


@table_check(RULER_ANSWERS)
def recalls_are_shares(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every recall is a share from 0 to 1."""
    import polars as pl

    wrong = lake.read(RULER_ANSWERS).scan().filter(~pl.col("recall").is_between(0, 1)).select("id").collect()
    return dg.AssetCheckResult(passed=wrong.is_empty(), metadata={"impossible": str(wrong["id"].to_list())})


@table_check(BENCHMARK_SCORES, reads=[COMPRESSED_BASE, COMPRESSED, ITEM_RESULTS, SUITE_ANSWERS])
def compressed_models_keep_up(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The newest compressed models against the models in use that they were made from, item by item: at most 5 points
    fewer right answers to the suite (the whole 95% interval), and at most 3% more bits per byte."""
    from nemotron_assets.evaluate.results.comparing import NothingInCommon, against_teacher, item_scores, pairs
    from nemotron_assets.evaluate.suite.answering import in_use

    models, passed, shown = in_use({name: lake.read(table) for name, table in MODELS.items()}), True, {}
    for row in models.values():
        for teacher in (models[id_] for id_ in row["parents"] if row["stage"] in ("compressed_base", "compressed")):
            try:
                own, figures = against_teacher(pairs(*(item_scores(lake, one["id"]) for one in (teacher, row))))
            except NothingInCommon as error:
                own, figures = False, {"scores": str(error)}
            passed = passed and own
            shown |= {f"{row['name']}, {task}": said for task, said in figures.items()}
    return dg.AssetCheckResult(
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=shown or {"note": "the lake has no compressed model with a teacher"},
    )


CHECKS = [
    scores_are_possible,
    better_than_guessing,
    compressed_models_keep_up,
    long_context_is_used,
    answers_fit,
    recalls_are_shares,
]
