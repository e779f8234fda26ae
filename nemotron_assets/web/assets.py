"""The asset that extracts the text of web pages, and the two tables of counts that it writes in the same pass."""

import dagster as dg

from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset, table_spec
from nemotron_assets.text.opt_outs import lists_version
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION, PRIVACY
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

#: The code version: raise the number when the logic changes. The hash of the opt-out lists is part of it, so that an
#: edited list makes the asset stale.
CODE = f"4 {lists_version(current_recipe().web.documents.opt_outs)}"


@table_asset(
    DOCUMENTS,
    recipe="web.documents",
    code=CODE,
    kinds={"jusText"},
    ins={"pages": PAGES},
)
def documents(
    context: dg.AssetExecutionContext,
    pages: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Readable text of web pages and its language, one WARC file at a time (Nemotron-CC §2.1). jusText removes
    boilerplate with the stop words of the page's language; resiliparse reads languages for which jusText has no stop
    words. fastText must recognise the language with a minimum score (published: 0.3), and ftfy repairs the Unicode.
    Pages on an opt-out list are left out. Personal data is replaced."""
    from nemotron_assets.web.documents import SnapshotDocuments

    return SnapshotDocuments(pages, recipe.web.documents, compute, lake, context.run_id, CODE).parts()


extraction = table_spec(EXTRACTION, made_by=documents)
privacy = table_spec(PRIVACY, made_by=documents)

ASSETS = [documents, extraction, privacy]
