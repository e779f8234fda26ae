"""Estimates of the tables that all stages write, and of upkeep."""

from __future__ import annotations

from nemotron_assets.planning.figures import known
from nemotron_assets.planning.plan import Estimate, Plan, estimates


@estimates("lake.maintenance")
def maintenance(plan: Plan) -> Estimate:
    """Upkeep makes no rows; how long it takes depends on what was written since the last time."""
    nothing = known("rows of upkeep", 0, "upkeep makes no rows")
    return Estimate(rows=nothing)
