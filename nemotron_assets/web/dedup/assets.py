"""Assets of deduplication over all snapshots: signatures, pairs, duplicates, repeated spans, and what remains."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table import table_asset
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.tables import DOCUMENTS
from resources.lakehouse import Lakehouse, Reader

# Partitions of other snapshots are brought up to date in the same step, so one step at a time.
_POOL = "duplicates"


@table_asset(
    SIGNATURES,
    recipe="dedup.signatures",
    kinds={"numba", "duckdb"},
    ins={"documents": dg.AssetIn(DOCUMENTS.asset_key)},
)
def signatures(documents: Reader, recipe: dg.ResourceParam[Recipe]):
    """MinHash signature and LSH bands of every distinct text of a snapshot, WARC file by WARC file: 5-grams of words or
    24-grams of characters, readable by datasketch (Nemotron-CC §2.1)."""
    from nemotron_assets.web.dedup.signatures import signature_parts

    return signature_parts(documents, recipe.dedup)


@table_asset(
    NEAR_DUPLICATES,
    recipe=("dedup.signatures", "dedup.min_similarity", "dedup.verify", "dedup.max_bucket"),
    kinds={"duckdb", "numba"},
    deps=[SIGNATURES.asset_key, DOCUMENTS.asset_key],
    pool=_POOL,
)
def near_duplicates(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]
):
    """Pairs of texts alike, of this snapshot with itself and with every earlier one: candidates by shared bands, joined
    in DuckDB, and each verified by its exact Jaccard similarity. When an earlier snapshot arrives late, the pairs that
    later ones have with it are added to their partitions, and announced."""
    from nemotron_assets.web.dedup.announce import of_run
    from nemotron_assets.web.dedup.near import ArrivingPairs

    return ArrivingPairs(lake, context.partition_key, recipe.dedup, **of_run(NEAR_DUPLICATES, context)).parts()


@table_asset(
    DUPLICATES,
    recipe=("dedup.signatures", "dedup.linkage", "dedup.memory_mb"),
    kinds={"duckdb"},
    deps=[DOCUMENTS.asset_key, NEAR_DUPLICATES.asset_key],
    pool=_POOL,
)
def duplicates(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Documents that are dropped because one that is kept has the same or nearly the same text; the earliest is kept,
    by (snapshot, fetched_at, id). When a snapshot arrives late, the rows of others that change are rewritten and
    announced, only those."""
    from nemotron_assets.web.dedup.announce import of_run
    from nemotron_assets.web.dedup.arrivals import named
    from nemotron_assets.web.dedup.duplicates import duplicates_of, rewrite_others

    rewritten = rewrite_others(context.partition_key, lake, recipe.dedup, **of_run(DUPLICATES, context))
    context.add_output_metadata({"rewritten_partitions": named(rewritten)})
    return duplicates_of(context.partition_key, lake, recipe.dedup)


@table_asset(
    REPEATED_SPANS,
    recipe=("substring", "dedup.memory_mb"),
    kinds={"libdivsufsort", "numba"},
    deps=[DOCUMENTS.asset_key, DUPLICATES.asset_key],
    pool=_POOL,
)
def repeated_spans(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]
):
    """What documents that are kept repeat byte for byte of earlier ones in a window of snapshots, found by suffix
    arrays (Nemotron-CC §2.1); and the documents of which the cuts leave nothing new."""
    from nemotron_assets.web.dedup.announce import of_run
    from nemotron_assets.web.dedup.substring import ArrivingSpans

    run = of_run(REPEATED_SPANS, context)
    return ArrivingSpans(lake, context.partition_key, recipe.substring, recipe.dedup, **run).parts()


@table_asset(
    UNIQUE_DOCUMENTS,
    recipe="substring",
    kinds={"polars"},
    ins={
        "documents": dg.AssetIn(DOCUMENTS.asset_key),
        "duplicates": dg.AssetIn(DUPLICATES.asset_key),
        "repeated_spans": dg.AssetIn(REPEATED_SPANS.asset_key),
    },
)
def unique_documents(
    context: dg.AssetExecutionContext,
    documents: Reader,
    duplicates: Reader,
    repeated_spans: Reader,
    recipe: dg.ResourceParam[Recipe],
):
    """Documents without the duplicates and without what they repeat: every text once over all snapshots, where it was
    seen first."""
    from nemotron_assets.web.dedup.report import cut_counts
    from nemotron_assets.web.dedup.substring import unique_documents_of

    spans = repeated_spans.scan()
    context.add_output_metadata(cut_counts(spans))
    return unique_documents_of(documents.scan(), duplicates.scan(), spans, recipe.substring)


ASSETS = [signatures, near_duplicates, duplicates, repeated_spans, unique_documents]
