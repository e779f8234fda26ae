"""The check of fundamental reasoning."""

import dagster as dg

from nemotron_assets.sft.inputs.tables import SEEDS
from nemotron_assets.sft.reasoning.tables import FUNDAMENTAL_REASONING
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(FUNDAMENTAL_REASONING, blocking=True, reads=[SEEDS])
def reasoning_rows_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row is sound: its text has its form, its status its proof, its parents exist. The options are different and
    stand in the question, every row has reasoning, and the answer is the letter of the option in `result`."""
    import polars as pl

    from nemotron_assets.sft.audit import faults, passed

    rows = lake.read(FUNDAMENTAL_REASONING).scan()
    found = faults(rows, {SEEDS.full_name: lake.read(SEEDS).scan()})
    options = pl.col("choices").list
    same = options.eval(pl.element().str.to_lowercase().str.strip_chars()).list.n_unique() < options.len()
    letter = pl.lit("ABCDEFGHIJ").str.slice(pl.col("place"), 1)
    foreign = (options.get(pl.col("place"), null_on_oob=True) != pl.col("result")).fill_null(True)
    missing = ~pl.col("question").str.ends_with(pl.lit(". ") + options.last())
    wrong = {"equal_options": same, "result_is_no_option": foreign, "options_not_in_question": missing,
             "wrong_letter": pl.col("answer") != pl.lit("Answer: ") + letter,
             "without_reasoning": pl.col("reasoning").is_null()}  # fmt: skip
    found |= (
        rows.select(expression.sum().alias(name) for name, expression in wrong.items()).collect().row(0, named=True)
    )
    places = dict(rows.group_by("place").len().sort("place").collect().iter_rows())
    shown = {"places_of_the_answer": {str(place): number for place, number in places.items()}}
    return dg.AssetCheckResult(passed=passed(found), metadata={**found, **shown})


CHECKS = [reasoning_rows_are_sound]
