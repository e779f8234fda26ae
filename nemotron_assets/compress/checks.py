"""Checks of the compression: the published arithmetic holds, and scores cover every part of the models."""

import dagster as dg

from nemotron_assets.compress.tables import BUDGET, CANDIDATES, IMPORTANCE
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(BUDGET)
def published_memory_is_reproduced(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The published shapes need 26.07, 23.34 and 18.69 GiB, and 19.66 GiB are allowed (Nano 2 report §4.2)."""
    import polars as pl

    from nemotron_assets.compress.budget import PUBLISHED
    from nemotron_assets.model.memory import GIB

    rows = lake.read(BUDGET).scan().filter(pl.col("model").is_in(list(PUBLISHED))).collect()
    found = {row["model"]: f"{row['total_bytes'] / GIB:.2f}" for row in rows.to_dicts()}
    allowed = {f"{row['allowed_bytes'] / GIB:.2f}" for row in rows.to_dicts()}
    expected = dict(zip(PUBLISHED, ("26.07", "23.34", "18.69"), strict=True))
    return dg.AssetCheckResult(passed=found == expected and allowed == {"19.66"}, metadata=found)


@table_check(BUDGET)
def engine_needs_no_less(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The engine's pages hold the KV cache and the states: they take no less than these, but for one column of each
    convolution, which the engine does not keep."""
    rows = lake.read(BUDGET).scan().collect()
    short = rows.filter(rows["engine_bytes"] < rows["total_bytes"] - rows["conv_bytes"])
    return dg.AssetCheckResult(passed=bool(rows.height) and short.is_empty(), metadata={"rows": rows.height})


@table_check(IMPORTANCE, blocking=True)
def scores_are_complete(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every model has finite scores of its channels, the neurons of each FFN and the heads of each Mamba-2 layer, and
    a row per layer. Nothing can be pruned by scores that are missing."""
    import polars as pl

    rows = lake.read(IMPORTANCE).scan().collect()
    finite = rows.select(pl.col("scores").list.eval(pl.element().is_finite()).list.all().all()).item()
    by_model = {}
    for (name,), own in rows.group_by("model"):
        kinds = own.filter(pl.col("axis") == "layer")["kind"].value_counts()
        wanted = dict(kinds.iter_rows())
        counts = dict(own.group_by("axis").len().iter_rows())
        layers = sum(wanted.values())
        by_model[name] = counts == {
            "channels": 1,
            "layer": layers,
            "neurons": wanted.get("-", 0),
            "mamba": wanted.get("M", 0),
            "gated_shares": wanted.get("M", 0),
            "shares": layers + 1,
        }
    return dg.AssetCheckResult(
        passed=bool(by_model) and all(by_model.values()) and bool(finite), metadata={"models": len(by_model)}
    )


@table_check(IMPORTANCE)
def layers_go_down_to_the_target(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """In both models layers went one by one until the smallest number of layers of the recipe was left, and as many
    attention layers as the recipe wants."""
    import polars as pl

    search, left = recipe.compress.search, {}
    rows = lake.read(IMPORTANCE).scan().filter(pl.col("axis") == "layer").collect()
    for (name,), own in rows.group_by("model"):
        stays = own.filter(pl.col("removed").is_null()).sort("layer")["kind"].to_list()
        steps = own["removed"].drop_nulls().sort().to_list()
        left[name] = "".join(stays) if steps == list(range(1, len(steps) + 1)) else f"steps {steps}"
    wanted = min(search.layers), search.attention
    return dg.AssetCheckResult(
        passed=bool(left) and all((len(pattern), pattern.count("*")) == wanted for pattern in left.values()),
        metadata=left,
    )


@table_check(CANDIDATES, blocking=True)
def one_candidate_is_chosen(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Of the newest aligned model, one shape is chosen; it was tried, is on the Pareto front, and fits the budget."""
    import polars as pl

    from nemotron_assets.compress.search import chosen_row

    row = chosen_row(lake)
    front = lake.read(CANDIDATES).scan().filter((pl.col("part") == row["part"]) & pl.col("on_front")).collect()
    return dg.AssetCheckResult(
        passed=row["fits"] and row["score"] is not None and row["id"] in front["id"],
        metadata={
            "shape": f"{row['pattern']} {row['hidden']}/{row['ffn']}/{row['heads']}",
            "on the front": front.height,
        },
    )


@table_check(CANDIDATES)
def engine_agrees_with_the_arithmetic(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The cache of the running engine takes what was computed for it, and is within the budget."""
    import polars as pl

    rows = lake.read(CANDIDATES).scan().filter(pl.col("measured_engine_bytes").is_not_null()).collect()
    apart = rows.filter(pl.col("measured_engine_bytes") != pl.col("engine_bytes"))
    above = rows.filter(pl.col("measured_engine_bytes") > pl.col("allowed_bytes"))
    return dg.AssetCheckResult(
        passed=bool(rows.height) and apart.is_empty() and above.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"engines": rows.height, "other bytes": apart.height, "above the budget": above.height},
    )


@table_check(CANDIDATES)
def distillation_helps(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every candidate that was distilled has a lower loss on held-out answers than right after it was pruned."""
    import polars as pl

    rows = lake.read(CANDIDATES).scan().filter(pl.col("tokens") > 0).collect()
    worse = rows.filter(pl.col("loss") >= pl.col("zero_shot_loss"))
    return dg.AssetCheckResult(
        passed=bool(rows.height) and worse.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"tried": rows.height, "worse": worse.height},
    )


CHECKS = [
    published_memory_is_reproduced, engine_needs_no_less, scores_are_complete, layers_go_down_to_the_target,
    one_candidate_is_chosen, engine_agrees_with_the_arithmetic, distillation_helps,
]  # fmt: skip
