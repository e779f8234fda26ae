"""Assets of deduplication over all snapshots: duplicates, and the documents that remain."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table import table_asset
from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse, Reader


@table_asset(DUPLICATES, recipe="dedup", kinds={"duckdb"}, deps=[DOCUMENTS.asset_key], pool="duplicates")
def duplicates(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Documents whose text is already in an earlier document of any snapshot, by (snapshot, fetched_at, id). When an
    earlier snapshot arrives late, the rows of later ones that change are rewritten and announced, only those."""
    from nemotron_assets.web.dedup.duplicates import announce, duplicates_of, rewrite_later

    code_version = context.assets_def.get_asset_spec(DUPLICATES.asset_key).code_version or ""
    rewritten = rewrite_later(
        context.partition_key, lake, recipe.dedup, run_id=context.run_id, code_version=code_version
    )
    announce(rewritten, context)
    context.add_output_metadata({"rewritten_partitions": ", ".join(r.snapshot for r in rewritten) or "none"})
    return duplicates_of(context.partition_key, lake, recipe.dedup)


@table_asset(
    UNIQUE_DOCUMENTS,
    recipe="dedup",
    kinds={"polars"},
    ins={"documents": dg.AssetIn(DOCUMENTS.asset_key), "duplicates": dg.AssetIn(DUPLICATES.asset_key)},
)
def unique_documents(documents: Reader, duplicates: Reader):
    """Documents without the duplicates: every text once over all snapshots, where it was seen first."""
    import polars as pl

    from nemotron_assets.web.dedup.exact import without

    dropped = duplicates.scan().select(document=pl.col("parents").list.first())
    return without(documents.scan().select(UNIQUE_DOCUMENTS.column_names), dropped, UNIQUE_DOCUMENTS.full_name)


ASSETS = [duplicates, unique_documents]
