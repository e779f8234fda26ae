"""Documents: the readable text of web pages. The packages beside this file go on from there."""

import dagster as dg

from nemotron_assets.recipe import Recipe, current_recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table import Table, snapshot_partitions, table_asset
from nemotron_assets.web.opt_outs import lists_version
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION, PRIVACY
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

#: Raised when the logic changes; what the opt-out lists say is part of it.
CODE = f"2 {lists_version(current_recipe().documents.opt_outs)}"


@table_asset(
    DOCUMENTS,
    recipe="documents",
    code=CODE,
    kinds={"jusText"},
    ins={"pages": dg.AssetIn(PAGES.asset_key)},
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

    return SnapshotDocuments(pages, recipe.documents, compute, lake, context.run_id, CODE).parts()


def _beside(table: Table) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.asset_key,
        deps=[documents],
        description=f"{table.description} Written by web/documents in the same pass over the pages.",
        group_name=table.schema,
        partitions_def=snapshot_partitions,
        kinds={"delta"},
        owners=["team:lakehouse"],
        metadata={"dagster/column_schema": table.column_schema(), "dagster/table_name": table.full_name},
    )


extraction = _beside(EXTRACTION)
privacy = _beside(PRIVACY)

ASSETS = [documents, extraction, privacy]
