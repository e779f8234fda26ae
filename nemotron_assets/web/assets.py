"""Documents: the readable text of web pages. The packages beside this file go on from there."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table import snapshot_partitions, table_asset
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    DOCUMENTS, recipe="documents", kinds={"jusText"}, ins={"pages": dg.AssetIn(PAGES.asset_key)},
)  # fmt: skip
def documents(
    context: dg.AssetExecutionContext,
    pages: Reader,
    recipe: dg.ResourceParam[Recipe],
    compute: dg.ResourceParam[Compute],
    lake: dg.ResourceParam[Lakehouse],
):
    """Readable text of web pages with its language, WARC file by WARC file: jusText with the stop words of the page's
    language, resiliparse where jusText has none, fastText's language at 0.3 or more, ftfy (Nemotron-CC §2.1)."""
    from nemotron_assets.web.documents import SnapshotDocuments

    return SnapshotDocuments(pages, recipe.documents, compute, lake, context.run_id).parts()


extraction = dg.AssetSpec(
    EXTRACTION.asset_key,
    deps=[documents],
    description=f"{EXTRACTION.description} Written by web/documents in the same pass over the pages.",
    group_name=EXTRACTION.schema,
    partitions_def=snapshot_partitions,
    kinds={"delta"},
    owners=["team:lakehouse"],
    metadata={"dagster/column_schema": EXTRACTION.column_schema(), "dagster/table_name": EXTRACTION.full_name},
)


ASSETS = [documents, extraction]
