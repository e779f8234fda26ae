"""Declares the asset of benchmark items."""

import dagster as dg

from nemotron_assets.conditions import follow_inputs
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Batches, Rejects


@table_asset(
    BENCHMARKS,
    recipe="evaluate.benchmarks",
    code="3",  # a test without a function and a prompt without an instruction are refused
    kinds={"json"},
    automation=follow_inputs(after=PAGES),
)
def benchmarks(recipe: dg.ResourceParam[Recipe]):
    """The items of the benchmark files that the folder has; the sample has GSM8K, ARC-Challenge, MMLU, HumanEval and
    MBPP."""
    from nemotron_assets.evaluate.items.benchmarks import folder, read

    rejects = Rejects()
    return Batches(read(folder(recipe.evaluate.benchmarks), rejects.add), rejects)


ASSETS = [benchmarks]
