"""Checks of a snapshot's pages: it has pages, no two pages share an id, and few records are broken."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.table.asset import table_check
from resources.lakehouse import Lakehouse


@table_check(PAGES, blocking=True)
def pages_present(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """The snapshot has at least one page."""
    from nemotron_assets.snapshots.report import why_no_pages

    rows = lake.read(PAGES, context.partition_key).rows
    why = None if rows else why_no_pages(lake, context.partition_key)
    return dg.AssetCheckResult(passed=rows > 0, metadata={"pages": rows}, description=why)


@table_check(PAGES, blocking=True)
def unique_page_ids(context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse]) -> dg.AssetCheckResult:
    """No two pages of the snapshot share an id."""
    from nemotron_assets.table.buckets import distinct

    pages = lake.read(PAGES, context.partition_key)
    doubled = pages.rows - distinct(pages.scan())
    return dg.AssetCheckResult(passed=doubled == 0, metadata={"pages": pages.rows, "duplicate_ids": doubled})


@table_check(
    PAGES,
)
def broken_records(
    context: dg.AssetCheckExecutionContext, lake: dg.ResourceParam[Lakehouse], recipe: dg.ResourceParam[Recipe]
) -> dg.AssetCheckResult:
    """The share of broken records (malformed, damaged, or files that cannot be read) is within the recipe's limit. The
    metadata also show how many records had each fate, and the hosts with the most pages."""
    from nemotron_assets.snapshots.report import broken_share, fates, fates_table, hosts_table

    counts = fates(lake.read(RECORDS, context.partition_key))
    share = broken_share(counts)
    return dg.AssetCheckResult(
        passed=share <= recipe.snapshots.pages.max_broken_share,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "broken_share": share,
            "allowed": recipe.snapshots.pages.max_broken_share,
            "fates": dg.MetadataValue.md(fates_table(counts)),
            "hosts": dg.MetadataValue.md(hosts_table(lake.read(PAGES, context.partition_key))),
        },
    )


CHECKS = [pages_present, unique_page_ids, broken_records]
