"""Checks of the compression: the published arithmetic holds, and scores cover every part of the models."""

import dagster as dg

from nemotron_assets.compress.tables import BUDGET, IMPORTANCE
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


CHECKS = [
    published_memory_is_reproduced, engine_needs_no_less, scores_are_complete, layers_go_down_to_the_target,
]  # fmt: skip
