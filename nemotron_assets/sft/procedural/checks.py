"""Checks of the questions that programs make: rows are sound, no question stands twice, and rows can be made again."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(PROCEDURAL, blocking=True)
def procedural_rows_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row is verified and has the form of SFT data, and no question stands twice, in one split or in both."""
    from nemotron_assets.sft.audit import faults, passed
    from nemotron_assets.sft.procedural.audit import repeated

    rows = lake.read(PROCEDURAL).scan()
    found = {**faults(rows, {}, written_by_model=False), **repeated(rows)}
    return dg.AssetCheckResult(passed=passed(found), metadata=found)


@table_check(PROCEDURAL, blocking=True)
def procedural_rows_can_be_made_again(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Rows of every task, difficulty and split are made again in a new process: question and answer are the same, the
    task's scorer finds the answer right, and it finds junk wrong."""
    from nemotron_assets.grading.procedural import ProceduralGrader
    from nemotron_assets.sft.procedural.audit import made_again

    with ProceduralGrader(recipe.grading) as grader:
        found = made_again(lake.read(PROCEDURAL).scan(), recipe.sft.procedural.checked_items, grader)
    return dg.AssetCheckResult(
        passed=not any(number for name, number in found.items() if name != "rows_made_again"), metadata=found
    )


CHECKS = [procedural_rows_are_sound, procedural_rows_can_be_made_again]
