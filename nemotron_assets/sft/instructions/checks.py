"""Checks of instructions: every row is sound, and what its status says can be seen in the row."""

import dagster as dg

from nemotron_assets.code.qa.tables import QA
from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.sft.inputs.tables import SEEDS
from nemotron_assets.sft.instructions.tables import CODE_SFT, GENERAL_SFT, MATH_SFT
from nemotron_assets.table.asset import table_check
from nemotron_assets.web.quality.tables import CURATED
from resources.lakehouse import Lakehouse


def _sound(lake: Lakehouse, table, sources, **wrong) -> dg.AssetCheckResult:
    """The result for a table whose rows come from `sources`; `wrong` has more conditions of unsound rows by name."""
    from nemotron_assets.sft.audit import faults, passed

    rows = lake.read(table).scan()
    found = faults(rows, {source.full_name: lake.read(source).scan() for source in sources})
    found |= rows.select(**{name: expression.sum() for name, expression in wrong.items()}).collect().row(0, named=True)
    return dg.AssetCheckResult(passed=passed(found), metadata=found)


@table_check(MATH_SFT, blocking=True, reads=[SEEDS, NEMOTRON_CC_MATH])
def math_rows_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row is sound, has reasoning, and has exactly one box. A row is verified only if its problem has a known
    answer, and has a majority only if it has none."""
    import polars as pl

    known = pl.col("known_answer").is_not_null()
    return _sound(
        lake,
        MATH_SFT,
        (SEEDS, NEMOTRON_CC_MATH),
        without_reasoning=pl.col("reasoning").is_null(),
        not_one_box=pl.col("answer").str.count_matches(r"\boxed", literal=True) != 1,
        wrong_proof=((pl.col("status") == "verified") & ~known) | ((pl.col("status") == "majority") & known),
    )


@table_check(CODE_SFT, blocking=True, reads=[SEEDS, QA])
def code_rows_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row is sound and has reasoning without a fence; its code stands in its answer and parses. A row is verified
    or failed only if its task has tests."""
    import polars as pl

    from nemotron_assets.sft.instructions.programs import not_parsing

    result = _sound(
        lake,
        CODE_SFT,
        (SEEDS, QA),
        without_reasoning=pl.col("reasoning").is_null(),
        code_in_reasoning=pl.col("reasoning").str.contains("```", literal=True).fill_null(False),
        wrong_proof=pl.col("status").is_in(["verified", "failed"]) & (pl.col("tests").list.len() == 0),
        never_proven=pl.col("status").is_in(["majority", "judged"]),
    )
    broken = not_parsing(lake.read(CODE_SFT))
    return dg.AssetCheckResult(
        passed=bool(result.passed) and not broken, metadata={**result.metadata, "code_does_not_parse": broken}
    )


@table_check(GENERAL_SFT, blocking=True, reads=[SEEDS, CURATED])
def general_rows_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row is sound. A row is judged or failed only if it has a grade, and nothing else can prove it."""
    import polars as pl

    graded = pl.col("grade").is_not_null()
    return _sound(
        lake,
        GENERAL_SFT,
        (SEEDS, CURATED),
        wrong_proof=pl.col("status").is_in(["judged", "failed"]) != graded,
        never_proven=pl.col("status").is_in(["verified", "majority"]),
    )


CHECKS = [math_rows_are_sound, code_rows_are_sound, general_rows_are_sound]
