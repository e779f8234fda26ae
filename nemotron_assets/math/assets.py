"""Mathematics, first room: candidate pages, their text, and how other extractors read them."""

import dagster as dg

from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table import Parts, table_asset
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    CANDIDATE_PAGES, recipe=("math.candidates", "pages"), kinds={"duckdb"}, ins={"pages": dg.AssetIn(PAGES.asset_key)},
    retry_policy=dg.RetryPolicy(max_retries=3, delay=10, backoff=dg.Backoff.EXPONENTIAL),
)  # fmt: skip
def candidate_pages(
    context: dg.AssetExecutionContext,
    pages: Reader,
    recipe: dg.ResourceParam[Recipe],
    crawl: dg.ResourceParam[Crawl],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Pages that write mathematics: those whose markup says so, and those on URL lists, which are looked up in the
    crawl's index and fetched record by record (Nemotron-CC-Math §2.1)."""
    from nemotron_assets.math import report
    from nemotron_assets.math.pages import Candidates
    from nemotron_assets.snapshots.pages import limits_of

    snapshot = context.partition_key
    rejects = lake.rejects(CANDIDATE_PAGES, snapshot)
    candidates = Candidates(
        pages, recipe.math.candidates, limits_of(recipe.pages), crawl, compute, rejects.add, context.log.info
    )
    return Parts(
        candidates.parts(), metadata=lambda: report.candidates(lake.read(CANDIDATE_PAGES, snapshot).scan(), snapshot)
    )


@table_asset(
    RENDERED,
    recipe=("math.rendering", "documents.language_model", "documents.language_characters"),
    kinds={"lynx"},
    ins={"pages": dg.AssetIn(CANDIDATE_PAGES.asset_key)},
)
def rendered(
    context: dg.AssetExecutionContext,
    pages: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Candidate pages as text with every formula as TeX and every code block as it was: the page's markup is made
    plain, laid out by Lynx, and formulas and code are put back byte for byte (Nemotron-CC-Math §2.2)."""
    from nemotron_assets.math import report
    from nemotron_assets.math.rendered import render_part
    from resources.lynx import find

    find()  # without the browser, every page would be rejected
    snapshot = context.partition_key
    rejects = lake.rejects(RENDERED, snapshot)
    documents = recipe.documents
    settings = (recipe.math.rendering, documents.language_model, documents.language_characters)
    made = pages.map_parts(lambda part: render_part(part, *settings, compute, rejects.add))
    return Parts(made.parts, metadata=lambda: report.rendered(lake.read(RENDERED, snapshot).scan(), snapshot))


ASSETS = [candidate_pages, rendered]
