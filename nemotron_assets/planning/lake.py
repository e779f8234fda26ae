"""Estimates of the tables that all stages write, and of upkeep."""

from __future__ import annotations

from nemotron_assets.planning.figures import known, total
from nemotron_assets.planning.plan import Estimate, Plan, estimates


@estimates("lake.maintenance")
def maintenance(plan: Plan) -> Estimate:
    """Upkeep makes no rows; how long it takes depends on what was written since the last time."""
    nothing = known("rows of upkeep", 0, "upkeep makes no rows")
    return Estimate(rows=nothing)


@estimates("audit.removals")
def removals(plan: Plan) -> Estimate:
    """A row per step and name; every row of the tables before and after the steps is read once."""
    read = total(
        plan.of(name).rows for name in ("snapshots.pages", "web.documents", "web.unique_documents", "code.files")
    )
    rows = read * plan.size("audit.removals.names")
    return Estimate(
        rows=rows, bytes=plan.stored("audit.removals", rows), core_seconds=plan.taking("audit.removals", read)
    )


@estimates("audit.thresholds")
def thresholds(plan: Plan) -> Estimate:
    """A row per rule, name and multiple of a threshold; the numbers of every text and file are read three times."""
    read = total(plan.of(name).rows for name in ("web.measures", "code.annotations"))
    rows = known("rows of thresholds", plan.recipe.thresholds.names * 1_000, "names x rules x multiples that move")
    return Estimate(
        rows=rows, bytes=plan.stored("audit.thresholds", rows), core_seconds=plan.taking("audit.thresholds", read)
    )
