"""Declares the asset of questions that programs make and check."""

import dagster as dg

from nemotron_assets.conditions import follow_inputs
from nemotron_assets.recipe import Recipe
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts, Rejects
from resources.lakehouse import Lakehouse


@table_asset(
    PROCEDURAL,
    recipe="sft.procedural",
    kinds={"reasoning-gym"},
    automation=follow_inputs(after=PAGES),
)
def procedural(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Items of reasoning-gym tasks at three difficulties, split into train and test. The scorer of each task confirms
    its answers. A task whose scorer fails or finds junk right is not used."""
    from nemotron_assets.grading.procedural import ProceduralGrader
    from nemotron_assets.sft.procedural import report
    from nemotron_assets.sft.procedural.making import parts

    rejects, grader = Rejects(), ProceduralGrader(recipe.grading)
    return Parts(
        parts(recipe.sft.procedural, grader, rejects.add),
        metadata=lambda: report.metadata(lake.read(PROCEDURAL).scan(), recipe.sft.procedural, grader.faults()),
        rejects=rejects,
    )


ASSETS = [procedural]
