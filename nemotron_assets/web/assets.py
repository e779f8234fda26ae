"""Documents: the readable text of web pages. The packages beside this file go on from there."""

import dagster as dg

from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.asset import table_asset, table_spec
from nemotron_assets.web.opt_outs import lists_version
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION, PRIVACY
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

#: Raised when the logic changes; what the opt-out lists say is part of it.
CODE = f"2 {lists_version(current_recipe().web.documents.opt_outs)}"


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
    """Readable text of web pages with its language, WARC file by WARC file: jusText with the stop words of the page's
    language, resiliparse where jusText has none, fastText's language at 0.3 or more, ftfy (Nemotron-CC §2.1). Pages
    whose owners opted out are left out, personal data is replaced."""
    from nemotron_assets.web.documents import SnapshotDocuments

    return SnapshotDocuments(pages, recipe.web.documents, compute, lake, context.run_id, CODE).parts()


extraction = table_spec(EXTRACTION, made_by=documents)
privacy = table_spec(PRIVACY, made_by=documents)

ASSETS = [documents, extraction, privacy]
