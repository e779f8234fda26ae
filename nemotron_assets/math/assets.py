"""Mathematics, first room: candidate pages, their text, and how other extractors read them."""

import dagster as dg

from nemotron_assets.math.tables import CANDIDATE_PAGES, EXTRACTION_EXAMPLES, RENDERED
from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts, Rejects
from resources.compute import Compute
from resources.crawl import Crawl
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    CANDIDATE_PAGES,
    recipe=("math.pages.candidates", "snapshots.pages"),
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
    """Pages that write mathematics: those whose markup says so, and those on URL lists, which are looked up in the
    crawl's index and fetched record by record (Nemotron-CC-Math §2.1)."""
    from nemotron_assets.math import report
    from nemotron_assets.math.pages import Candidates
    from nemotron_assets.warc.pages import limits_of

    snapshot = context.partition_key
    rejects = Rejects()
    candidates = Candidates(
        pages,
        recipe.math.pages.candidates,
        limits_of(recipe.snapshots.pages),
        crawl,
        compute,
        rejects.add,
        context.log.info,
    )
    return Parts(
        candidates.parts(),
        metadata=lambda: report.candidates(lake.read(CANDIDATE_PAGES, snapshot).scan(), snapshot),
        rejects=rejects,
    )


@table_asset(
    RENDERED,
    recipe=("math.pages.rendering", "web.documents.language_model", "web.documents.language_characters"),
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
    """Candidate pages as text with every formula as TeX and every code block as it was: the page's markup is made
    plain, laid out by Lynx, and formulas and code are put back byte for byte (Nemotron-CC-Math §2.2)."""
    from nemotron_assets.math import report
    from nemotron_assets.math.rendered import render_part
    from resources.lynx import find

    find()  # without the browser, every page would be rejected
    snapshot = context.partition_key
    rejects = Rejects()
    documents = recipe.web.documents
    settings = (recipe.math.pages.rendering, documents.language_model, documents.language_characters)
    made = pages.map_parts(lambda part: render_part(part, *settings, compute, rejects.add))
    return Parts(
        made.parts,
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
    """Some pages side by side as ours, trafilatura, resiliparse, jusText and plain Lynx read them, formula by formula:
    against the page's truth where it is known. The report in the metadata marks what each of them loses."""
    import polars as pl

    from nemotron_assets.math import examples
    from nemotron_assets.math.truth import formulas_of
    from nemotron_assets.plots import bars
    from resources.home import cache_dir

    snapshot, settings = context.partition_key, recipe.math.pages.examples
    chosen = examples.choose(texts.scan(), settings.pages)
    ids = chosen["parents"].list.first().to_list()
    sources = pages.scan().filter(pl.col("parents").list.first().is_in(ids))
    bodies = sources.select("html", "charset", page=pl.col("parents").list.first()).collect()
    chosen = chosen.with_columns(page=pl.col("parents").list.first()).join(bodies, on="page", maintain_order="left")
    truth = formulas_of(snapshot) if recipe.snapshots.crawl.source == "sample" else {}
    rows = examples.examples(chosen, truth, snapshot, settings)
    path = cache_dir("reports") / f"extraction_examples-{snapshot}.html"
    path.write_text(examples.report(rows, snapshot), encoding="utf-8")
    totals = examples.kept(rows)
    context.add_output_metadata(
        {
            "report": dg.MetadataValue.path(path),
            "open": dg.MetadataValue.url(path.as_uri()),
            "kept": dg.MetadataValue.json({name: f"{k.kept} of {k.wanted}" for name, k in totals.items()}),
            "plot": bars({name: k.share for name, k in totals.items()}, f"Formulas kept, {snapshot}", "share"),
        }
    )
    return rows


ASSETS = [candidate_pages, rendered, extraction_examples]
