"""Checks of the quality of source files: every file is kept or dropped, and no kept file breaks a rule."""

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality.tables import ANNOTATIONS, CURATED, DROPPED, SCREENED
from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(ANNOTATIONS, blocking=True)
def numbers_are_possible(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """At most the recipe's share of the files lacks numbers, ids are unique, and shares are between 0 and 1."""
    from nemotron_assets.code.quality.audit import impossible

    rows, files = lake.read(ANNOTATIONS), lake.read(FILES).rows
    wrong = impossible(rows.scan())
    missing = (files - rows.rows) / max(1, files)
    return dg.AssetCheckResult(
        passed=not any(wrong.values()) and 0 <= missing <= recipe.quarantine.max_share,
        metadata={**wrong, "files": files, "missing_share": missing, "allowed": recipe.quarantine.max_share},
    )


@table_check(SCREENED)
def finds(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Shows how many credentials and pieces of personal data were found. Fails if a file was screened twice."""
    import polars as pl

    from nemotron_assets.code.quality import report
    from nemotron_assets.plots import bars

    rows = lake.read(SCREENED).scan()
    count, ids = rows.select(pl.len(), ids=pl.col("id").n_unique()).collect().row(0)
    found = dict(report.finds(rows))
    return dg.AssetCheckResult(
        passed=count == ids,
        metadata={"files": count, "found": found, "plot": bars(found, "Credentials and personal data", "finds")},
    )


@table_check(DROPPED, blocking=True, reads=[CURATED])
def every_file_is_kept_or_dropped(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every file has one row, in code.curated or, with a rule that drops it, in code.dropped. Shows how many files each
    step leaves and each rule drops."""
    from nemotron_assets.code.quality import report
    from nemotron_assets.code.quality.audit import unaccounted
    from nemotron_assets.plots import bars

    dropped, files = lake.read(DROPPED).scan(), lake.read(FILES)
    wrong = unaccounted(files.scan(), lake.read(CURATED).scan(), dropped)
    reasons = report.reasons(dropped)
    return dg.AssetCheckResult(
        passed=not any(wrong.values()),
        metadata={
            **wrong,
            "files": files.rows,
            "funnel": bars(report.funnel(files.rows, dropped), "Files left after each step", "files"),
            "reasons": dg.MetadataValue.md(report.reasons_table(reasons)),
            "plot": bars(dict(reasons.select("rule", "files").iter_rows()), "Files dropped by each rule", "files"),
        },
    )


@table_check(CURATED, blocking=True, reads=[LICENSES, DUPLICATES, ANNOTATIONS])
def nothing_forbidden_is_kept(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """Every kept file has an allowed licence, is not a duplicate and is within all bounds. A new search of the kept
    texts finds no credentials or personal data that the recipe wants replaced. Shows the languages."""
    from nemotron_assets.code.quality import report
    from nemotron_assets.code.quality.audit import forbidden, leaks
    from nemotron_assets.plots import bars

    curated = lake.read(CURATED)
    licences = lake.read(LICENSES).scan()
    wrong = forbidden(
        curated.scan(), licences, lake.read(DUPLICATES).scan(), lake.read(ANNOTATIONS).scan(), recipe.code.quality
    )
    wrong["leaks"] = leaks(curated.batches(["content"], 256), recipe.code.quality)
    languages = report.mix(curated.scan())
    return dg.AssetCheckResult(
        passed=not any(wrong.values()),
        metadata={
            **wrong,
            "files": curated.rows,
            "tokens": int(languages["tokens"].sum() or 0),
            "languages": dg.MetadataValue.md(report.mix_table(languages)),
            "plot": bars(dict(languages.select("language", "tokens").iter_rows()), "Tokens per language", "tokens"),
        },
    )


CHECKS = [numbers_are_possible, finds, every_file_is_kept_or_dropped, nothing_forbidden_is_kept]
