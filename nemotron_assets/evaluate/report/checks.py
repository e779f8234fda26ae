"""Checks of the report."""

import dagster as dg

from nemotron_assets.evaluate.report.tables import REPORT
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(REPORT)
def page_is_complete_and_passive(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Nothing in the page runs or is loaded, every link leads somewhere, and every figure shows something."""
    from nemotron_assets.evaluate.report.inspecting import problems

    row = lake.read(REPORT).only_row()
    found = list(problems(row["html"]))
    return dg.AssetCheckResult(
        passed=not found and row["figures"] > 0,
        description="; ".join(found[:5]) or None,
        metadata={"figures": row["figures"], "problems": len(found), "missing": ", ".join(row["missing"]) or "none"},
    )


CHECKS = [page_is_complete_and_passive]
