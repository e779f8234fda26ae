"""Declares the asset of the report: one page of HTML, made from the tables of the lake."""

import dagster as dg

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.tuning.tables import SFT_3
from nemotron_assets.blend.tables import CATEGORIES, PHASES, SEQUENCES, TOKEN_SHARDS
from nemotron_assets.code.quality.tables import CURATED as CURATED_CODE
from nemotron_assets.code.sources.tables import FILES
from nemotron_assets.compress.distilling.tables import COMPRESSED, COMPRESSED_BASE
from nemotron_assets.compress.tables import BUDGET, CANDIDATES
from nemotron_assets.evaluate.report.tables import REPORT
from nemotron_assets.evaluate.suite.tables import BUDGET_CONTROL, SUITE_ANSWERS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.evaluate.throughput.tables import THROUGHPUT
from nemotron_assets.math.corpus.tables import MIND, NEMOTRON_CC_MATH
from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.table.asset import table_asset
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import QUALITY
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from nemotron_assets.web.tables import DOCUMENTS
from resources.home import report_file
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse

#: The tables that the page is made from; it is made again when one of them has other content.
SHOWN = (
    RECORDS, PAGES, DOCUMENTS, UNIQUE_DOCUMENTS, QUALITY, NEMOTRON_CC_V2, NEMOTRON_CC_MATH, MIND, FILES, CURATED_CODE,
    TOKEN_SHARDS, SEQUENCES, CATEGORIES, PHASES, BASE, LONG_CONTEXT, SFT_3, ALIGNED, BENCHMARK_SCORES, SUITE_ANSWERS,
    BUDGET_CONTROL, BUDGET, CANDIDATES, COMPRESSED_BASE, COMPRESSED, THROUGHPUT,
)  # fmt: skip


@table_asset(REPORT, recipe="name", deps=SHOWN, kinds={"duckdb", "html"})
def report(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    warehouse: dg.ResourceParam[Warehouse],
):
    """The report of the lake: one page of HTML from raw pages to the scores of the final model, with figures, tables
    and the published numbers beside. The page needs no network and runs no script. A table that the lake does not have
    is named, with the command that makes it."""
    from nemotron_assets.evaluate.report import writing

    versions = [lake.read(table).input_version for table in SHOWN]
    found, file = writing.made(lake, warehouse, context.instance, recipe.name), report_file()
    writing.store(found.html, file)
    shown = {"report": dg.MetadataValue.url(writing.ADDRESS), "file": dg.MetadataValue.path(str(file))}
    context.add_output_metadata({**shown, "figures": found.figures, "missing": ", ".join(found.missing) or "none"})
    return writing.rows(found, versions, context.run_id)


ASSETS = [report]
