"""Checks that benchmark items can be scored."""

import dagster as dg

from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(BENCHMARKS, blocking=True)
def items_can_be_scored(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """No benchmark has an item twice, and every benchmark that is scored has more items than worked examples."""
    import polars as pl

    items = lake.read(BENCHMARKS).scan()
    counts = dict(items.group_by("benchmark").len().sort("benchmark").collect().iter_rows())
    doubled = items.group_by("benchmark", "content_hash").len().filter(pl.col("len") > 1).collect().height
    own = recipe.evaluate
    shots = {task.name: 0 if f"{task.name}_dev" in counts else task.shots for task in own.tasks}
    short = [name for name, shots in ({task.name: 0 for task in own.chat_tasks} | shots).items()
             if counts.get(name, 0) <= shots]  # fmt: skip
    return dg.AssetCheckResult(
        passed=not doubled and not short, metadata={"items": counts, "doubled": doubled, "too_few_items": short}
    )


CHECKS = [items_can_be_scored]
