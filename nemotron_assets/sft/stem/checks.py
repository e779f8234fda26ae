"""Checks of science questions: every row is sound, new questions repeat nothing, options are different."""

import dagster as dg

from nemotron_assets.sft.inputs.tables import SEEDS
from nemotron_assets.sft.stem.tables import STEM_EXPANSIONS, STEM_QUESTIONS
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(STEM_EXPANSIONS, blocking=True, reads=[SEEDS])
def new_questions_are_new(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Ids are unique, no two questions are equal, and every question is made from a seed or an earlier question."""
    import polars as pl

    rows = lake.read(STEM_EXPANSIONS).scan()
    known = pl.concat([lake.read(table).scan().select("id") for table in (SEEDS, STEM_EXPANSIONS)])
    parents = rows.select(pl.concat_list("parents", "made_from").explode().alias("id")).unique()
    text = pl.col("question").str.to_lowercase().str.replace_all(r"\s+", " ")
    total, doubled, repeated, blank = (
        rows.select(
            total=pl.len(),
            doubled=pl.len() - pl.col("id").n_unique(),
            repeated=pl.len() - text.n_unique(),
            blank=(pl.col("question").str.strip_chars() == "").sum(),
        )
        .collect()
        .row(0)
    )
    orphans = parents.join(known, on="id", how="anti").collect().height
    return dg.AssetCheckResult(
        passed=not (doubled or repeated or blank or orphans),
        metadata={
            "questions": total,
            "repeated_ids": doubled,
            "repeated_questions": repeated,
            "without_text": blank,
            "orphans": orphans,
        },
    )


@table_check(STEM_QUESTIONS, blocking=True, reads=[SEEDS, STEM_EXPANSIONS])
def stem_rows_are_sound(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every row is sound: its text has its form, its status its proof, its parents exist. Options are different from
    each other, and the answer is one of them."""
    import polars as pl

    from nemotron_assets.sft.audit import faults, passed

    rows = lake.read(STEM_QUESTIONS).scan()
    found = faults(rows, {table.full_name: lake.read(table).scan() for table in (SEEDS, STEM_EXPANSIONS)})
    options = pl.col("choices").list
    same = options.eval(pl.element().str.to_lowercase().str.strip_chars()).list.n_unique() < options.len()
    foreign = (options.len() > 0) & ~options.contains(pl.col("result"))
    found["equal_options"], found["result_is_no_option"] = rows.select(a=same.sum(), b=foreign.sum()).collect().row(0)
    return dg.AssetCheckResult(passed=passed(found), metadata=found)


CHECKS = [new_questions_are_new, stem_rows_are_sound]
