"""Checks of `code.licenses`: every file has a decision, the recipe allows it, and few files are left to a person."""

import dagster as dg

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.sources.tables import FILES
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(LICENSES, blocking=True)
def every_file_has_a_licence_decision(lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """Every file of code.files has exactly one decision, and every decision is about a file of code.files."""
    import polars as pl

    from nemotron_assets.table.buckets import absent, distinct

    files, rows = lake.read(FILES).scan(), lake.read(LICENSES).scan()
    count, unknown = lake.read(LICENSES).rows, ~pl.col("decision").is_in(["allowed", "rejected", "review"])
    counts = {
        "missing": absent(files, "id", rows, "file"),
        "orphans": absent(rows, "file", files),
        "doubled": count - distinct(rows, "file"),
        "unknown_decisions": rows.select(unknown.sum()).collect(engine="streaming").item(),
    }
    return dg.AssetCheckResult(passed=not any(counts.values()), metadata={**counts, "files": count})


@table_check(LICENSES, blocking=True)
def allowed_by_the_list(lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]) -> dg.AssetCheckResult:
    """Every allowed file has evidence, and its licence is accepted when it is compared with the recipe's list again."""
    import polars as pl

    from nemotron_assets.code.terms.expressions import ALLOWED, judge

    rows = lake.read(LICENSES).scan().filter(pl.col("decision") == ALLOWED)
    bare = rows.filter(pl.col("license").is_null() | pl.col("evidence_path").is_null()).select(pl.len())
    groups = rows.group_by("license").len().collect(engine="streaming")
    wrong = {
        name: count for name, count in groups.iter_rows() if judge(name or "", recipe.code.licences).decision != ALLOWED
    }
    without = int(bare.collect(engine="streaming").item())
    return dg.AssetCheckResult(
        passed=not wrong and not without,
        metadata={"without_evidence": without, "not_on_the_list": ", ".join(map(str, wrong)) or "none"},
    )


@table_check(LICENSES)
def little_is_left_to_review(
    lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of files that a person must look at is at most the recipe's `max_review_share`. Shows the number of
    files per licence, per scope and evidence, and the repositories with the most undecided files."""
    import polars as pl

    from nemotron_assets.code.licences.report import decisions_table, licence_mix, undecided_table
    from nemotron_assets.plots import bars

    rows = lake.read(LICENSES).scan()
    counts = dict(rows.group_by("decision").agg(pl.len()).collect(engine="streaming").iter_rows())
    total = sum(counts.values())
    share = counts.get("review", 0) / max(1, total)
    return dg.AssetCheckResult(
        passed=share <= recipe.code.licences.max_review_share,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            **{name: counts.get(name, 0) for name in ("allowed", "rejected", "review")},
            "review_share": share,
            "allowed_review_share": recipe.code.licences.max_review_share,
            "licences": bars(licence_mix(rows), "Licences of the files", "files"),
            "decisions": dg.MetadataValue.md(decisions_table(rows)),
            "undecided": dg.MetadataValue.md(undecided_table(rows)),
        },
    )


CHECKS = [every_file_has_a_licence_decision, allowed_by_the_list, little_is_left_to_review]
