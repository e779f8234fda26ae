"""Assets of pages with formulas: candidate pages, their text with formulas as TeX, and a comparison of extractors."""

import dagster as dg

from nemotron_assets.math.tables import CANDIDATE_PAGES, EXTRACTION_EXAMPLES, RENDERED
from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts, Rejects
from nemotron_assets.text.opt_outs import lists_version
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    CANDIDATE_PAGES,
    recipe=("math.pages.candidates", "snapshots.pages", "web.documents.opt_outs.signals"),
    # 4: addresses on opt-out lists are left out. A list with other entries makes the pages again.
    code=f"4 {lists_version(current_recipe().web.documents.opt_outs)}",
    kinds={"duckdb"},
    ins={"pages": PAGES},
    retry_policy=dg.RetryPolicy(max_retries=3, delay=10, backoff=dg.Backoff.EXPONENTIAL),
)
def candidate_pages(
    context: dg.AssetExecutionContext,
    pages: Reader,
    recipe: dg.ResourceParam[Recipe],
    crawl: dg.ResourceParam[Crawl],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Pages with formulas. A detector finds them by the markup of the snapshot's pages. Pages on URL lists are looked
    up in the crawl's index and fetched record by record (Nemotron-CC-Math §2.1). Pages on opt-out lists and pages that
    opt out of AI training themselves are left out, as from `web/documents`."""
    from nemotron_assets.math import report
    from nemotron_assets.math.pages import Candidates, opted_out
    from nemotron_assets.warc.limits import limits_of

    snapshot, limits = context.partition_key, limits_of(recipe.snapshots.pages)
    opt_outs = recipe.web.documents.opt_outs
    candidates = Candidates(pages, recipe.math.pages.candidates, limits, crawl, compute, context.log.info, opt_outs)
    return Parts(
        candidates.parts(),
        metadata=lambda: {
            **report.candidates(lake.read(CANDIDATE_PAGES, snapshot).scan(), snapshot),
            "opted_out": dg.MetadataValue.json(opted_out(pages, opt_outs)),
        },
        rejects=candidates.rejects,
    )


@table_asset(
    RENDERED,
    recipe=("math.pages.rendering", "web.documents.language_model", "web.documents.language_characters"),
    code="2",
    kinds={"lynx"},
    ins={"pages": CANDIDATE_PAGES},
)
def rendered(
    context: dg.AssetExecutionContext,
    pages: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Candidate pages as text, with every formula as TeX and every code block unchanged. The text browser Lynx lays out
    a simplified copy of the page's markup; formulas and code blocks pass through it as placeholders and are then put
    back byte for byte (Nemotron-CC-Math §2.2)."""
    from nemotron_assets.math import report
    from nemotron_assets.math.rendered import render_part
    from resources.lynx import find

    find()  # without the browser, every page would be rejected
    snapshot, rejects, documents = context.partition_key, Rejects(), recipe.web.documents
    numbers = recipe.math.pages.rendering, documents.language_model, documents.language_characters
    return Parts(
        pages.map_parts(lambda part: render_part(part, *numbers, compute, rejects.add)).parts,
        metadata=lambda: report.rendered(lake.read(RENDERED, snapshot).scan(), snapshot),
        rejects=rejects,
    )


@table_asset(
    EXTRACTION_EXAMPLES,
    recipe="math.pages.examples",
    kinds={"lynx"},
    ins={"texts": RENDERED, "pages": CANDIDATE_PAGES},
)
def extraction_examples(
    context: dg.AssetExecutionContext, texts: Reader, pages: Reader, recipe: dg.ResourceParam[Recipe]
):
    """A few pages as five extractors read them: this pipeline ("ours"), trafilatura, resiliparse, jusText and plain
    Lynx. Each row counts the formulas that an extractor keeps. In the embedded sample the formulas of a page are known;
    elsewhere the formulas in the text of "ours" are expected. The metadata link to an HTML report that marks the
    formulas that each extractor loses."""
    from nemotron_assets.math import report
    from nemotron_assets.math.examples import choose_pages, compare_extractors
    from nemotron_assets.math.truth import formulas_of

    snapshot, numbers = context.partition_key, recipe.math.pages.examples
    truth = formulas_of(snapshot) if recipe.snapshots.crawl.source == "sample" else {}
    chosen = choose_pages(texts.scan(), pages.scan(), numbers.pages)
    rows = compare_extractors(chosen, truth, snapshot, numbers)
    context.add_output_metadata(report.extraction_examples(rows, snapshot))
    return rows


ASSETS = [candidate_pages, rendered, extraction_examples]
