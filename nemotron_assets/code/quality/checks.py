"""Checks of the quality of code: every file is kept or dropped with a reason, and nothing is kept that must not be."""

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality.tables import ANNOTATIONS, CURATED, DROPPED, SCREENED
from nemotron_assets.code.sources.tables import DUPLICATES, FILES
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(ANNOTATIONS, blocking=True)
def numbers_are_possible(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every file has its numbers but for a few that failed, ids are unique, and no share is outside 0 to 1."""
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
    """Shows the credentials and personal data that were found. Fails when a file was looked at twice."""
    import polars as pl

    from nemotron_assets.code.quality import report
    from nemotron_assets.plots import bars

    rows = lake.read(SCREENED).scan()
    count, ids = rows.select(pl.len(), ids=pl.col("id").n_unique()).collect().row(0)
    found = dict(report.finds(rows))
    return dg.AssetCheckResult(
        passed=count == ids, metadata={"files": count, "found": found, "plot": bars(found, "Finds", "finds")}
    )


@table_check(DROPPED, blocking=True, reads=[CURATED])
def every_file_is_kept_or_dropped(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every file is in the corpus or among the dropped with a reason, once; shows the funnel and the reasons."""
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
            "plot": bars(dict(reasons.select("rule", "files").iter_rows()), "Reasons to drop", "files"),
        },
    )


@table_check(CURATED, blocking=True, reads=[LICENSES, DUPLICATES, ANNOTATIONS])
def nothing_forbidden_is_kept(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """No kept file has a licence that is not allowed, is a copy, or fails a rule; and searching the kept texts again
    finds no credentials that the recipe wants gone. Shows the languages."""
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
