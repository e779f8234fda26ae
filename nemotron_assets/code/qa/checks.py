"""Checks of questions about code: snippets have the right size, every solution parses, no language is missing."""

import dagster as dg

from nemotron_assets.code.qa.tables import QA, SNIPPETS
from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import QUARANTINE, Lakehouse


@table_check(SNIPPETS, blocking=True, reads=[CURATED])
def snippets_are_short_and_whole(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Ids are unique, the files are in code.curated, and every snippet has a length and language of the recipe."""
    import polars as pl

    numbers, rows = recipe.code.qa.snippets, lake.read(SNIPPETS).scan()
    lines = pl.col("snippet").str.split("\n").list.eval(pl.element().str.strip_chars() != "").list.sum()
    known = lake.read(CURATED).scan().select(pl.col("id").alias("file"))
    faults = {
        "repeated_ids": rows.select(pl.len() - pl.col("id").n_unique()).collect().item(),
        "wrong_size": _count(rows.filter((lines > numbers.max_lines) | (lines < numbers.min_lines))),
        "other_languages": _count(rows.filter(~pl.col("language").is_in(list(recipe.code.qa.languages)))),
        "unknown_files": _count(
            rows.select(pl.col("parents").list.first().alias("file")).join(known, on="file", how="anti")
        ),
    }
    return dg.AssetCheckResult(passed=not any(faults.values()), metadata=faults)


@table_check(SNIPPETS)
def every_language_has_snippets(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Warns if a language of the recipe has no snippet."""
    import polars as pl

    from nemotron_assets.plots import bars

    counted = lake.read(SNIPPETS).scan().group_by("language").agg(pl.len()).collect()
    counts = dict(counted.iter_rows())
    found = {language: counts.get(language, 0) for language in recipe.code.qa.languages}
    missing = [language for language, count in found.items() if not count]
    return dg.AssetCheckResult(
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"missing": ", ".join(missing) or "none", **found, "plot": bars(found, "Snippets", "snippets")},
    )


@table_check(QA, blocking=True, reads=[SNIPPETS])
def every_solution_parses(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Extracts the code of every row from its text again and parses it. Ids are unique, and every snippet of the
    language has a row or is in the quarantine."""
    from nemotron_assets.code.qa.audit import faults

    language = context.partition_key
    metadata = faults(
        lake.read(QA, language), lake.read(SNIPPETS).scan(), lake.read(QUARANTINE).scan(), language, recipe.code.qa
    )
    wrong = {name: count for name, count in metadata.items() if name != "rows"}
    return dg.AssetCheckResult(passed=not any(wrong.values()), metadata=metadata)


@table_check(QA, reads=[SNIPPETS])
def language_is_written(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]
) -> dg.AssetCheckResult:
    """Warns if a language has no row, which can happen with a weak model, and shows why its snippets failed."""
    import polars as pl

    language = context.partition_key
    rows = lake.read(QA, language).rows
    of_language = (pl.col("stage") == QA.full_name) & (pl.col("partition") == language)
    causes = dict(
        lake.read(QUARANTINE).scan().filter(of_language).group_by("cause").agg(pl.len()).collect().iter_rows()
    )
    return dg.AssetCheckResult(
        passed=rows > 0, severity=dg.AssetCheckSeverity.WARN, metadata={"rows": rows, "failed_snippets": causes}
    )


def _count(rows) -> int:
    import polars as pl

    return rows.select(pl.len()).collect(engine="streaming").item()


CHECKS = [snippets_are_short_and_whole, every_language_has_snippets, every_solution_parses, language_is_written]
