"""Assets of the snapshots: the catalogue, the pages of each snapshot, and the fates of its WARC records."""

from dataclasses import replace
from datetime import timedelta

import dagster as dg

from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.snapshots.attempts import each_final_unless_it_may_pass, final_unless_it_may_pass
from nemotron_assets.snapshots.tables import CATALOG, PAGES, RECORDS
from nemotron_assets.table.asset import table_asset, table_spec
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse

_RETRY = dg.RetryPolicy(max_retries=2, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
#: Both are overdue when no schedule, sensor or person has made them for so long.
_FRESH = dg.FreshnessPolicy.time_window(timedelta(days=current_recipe().snapshots.crawl.fresh_days))
_REMOTE = "://" in current_recipe().snapshots.crawl.source


def _on_request(asset: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset without an automation condition: only the sensor, the schedule or a person starts it, because it uses
    the bandwidth of the crawl's source."""
    return asset.map_asset_specs(lambda spec: spec.replace_attributes(automation_condition=None))


@_on_request
@table_asset(
    CATALOG,
    recipe="snapshots.crawl",
    retry_policy=_RETRY if _REMOTE else None,
    freshness_policy=_FRESH,
)
def catalog(context: dg.AssetExecutionContext, crawl: dg.ResourceParam[Crawl], lake: dg.ResourceParam[Lakehouse]):
    """The snapshots that the crawl's source offers, and the data sets ingested with `nemotron ingest`. Snapshots in the
    recipe's window become partitions of the lake."""
    from nemotron_assets.snapshots.catalog import catalog_rows, register

    with final_unless_it_may_pass():
        rows = catalog_rows(crawl, lake)
    wanted = rows.filter(rows["in_window"])["snapshot"].to_pylist()
    if not wanted:
        context.log.warning(f"{crawl.source} offers no snapshot between {crawl.first} and {crawl.last}")
    new = register(context.instance, sorted(wanted))
    context.add_output_metadata({"in_window": len(wanted), "new_partitions": ", ".join(new) or "none"})
    return rows


@_on_request
@table_asset(
    PAGES,
    recipe="snapshots.pages",
    code="4",  # opt-outs of pages, more forms of HTTP headers and bodies, encodings judged by the foreign text
    kinds={"fastwarc"},
    deps=[CATALOG],
    pool="crawl" if _REMOTE else None,
    freshness_policy=_FRESH,
    retry_policy=_RETRY if _REMOTE else None,
)
def pages(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    crawl: dg.ResourceParam[Crawl],
    lake: dg.ResourceParam[Lakehouse],
    compute: dg.ResourceParam[Compute],
):
    """Web pages of a snapshot, read WARC file by WARC file. Records that do not become pages, such as redirects, errors
    and other media types, are counted in snapshots.records. Broken records are also listed in quarantine.rows."""
    from nemotron_assets.snapshots.pages import snapshot_parts
    from nemotron_assets.snapshots.spread import Cores

    found = snapshot_parts(
        context.partition_key,
        recipe.snapshots.pages,
        crawl,
        lake,
        context.run_id,
        context.log.info,
        Cores(compute, recipe.snapshots.ingest.piece_mb << 20),
    )
    return replace(found, parts=each_final_unless_it_may_pass(found.parts))


records = table_spec(RECORDS, made_by=pages)

ASSETS = [catalog, pages, records]
