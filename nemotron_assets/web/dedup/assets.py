"""Assets of deduplication over all snapshots: signatures, pairs, duplicates, repeated spans, and what remains."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import rewriting, table_asset
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    FAMILY,
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
    recipe="web.dedup.signatures",
    kinds={"numba", "duckdb"},
    ins={"documents": DOCUMENTS},
)
def signatures(documents: Reader, recipe: dg.ResourceParam[Recipe]):
    """MinHash signature and LSH bands of every distinct text of a snapshot, WARC file by WARC file: 5-grams of words or
    24-grams of characters, readable by datasketch (Nemotron-CC §2.1)."""
    from nemotron_assets.dedup.signatures import signature_parts

    return signature_parts(documents, recipe.web.dedup, SIGNATURES)


@table_asset(
    NEAR_DUPLICATES,
    recipe=("web.dedup.signatures", "web.dedup.min_similarity", "web.dedup.verify", "web.dedup.max_bucket"),
    kinds={"duckdb", "numba"},
    deps=[SIGNATURES, DOCUMENTS],
    pool=_POOL,
)
def near_duplicates(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]
):
    """Pairs of texts alike, of this snapshot with itself and with every earlier one: candidates by shared bands, joined
    in DuckDB, and each verified by its exact Jaccard similarity. When an earlier snapshot arrives late, the pairs that
    later ones have with it are added to their partitions, and announced."""
    from nemotron_assets.dedup.near import ArrivingPairs

    run = rewriting(context, NEAR_DUPLICATES)
    return ArrivingPairs(lake, context.partition_key, recipe.web.dedup, FAMILY, **run).parts()


@table_asset(
    DUPLICATES,
    recipe=("web.dedup.signatures", "web.dedup.linkage", "web.dedup.memory_mb"),
    kinds={"duckdb"},
    deps=[DOCUMENTS, NEAR_DUPLICATES],
    pool=_POOL,
)
def duplicates(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Documents that are dropped because one that is kept has the same or nearly the same text; the earliest is kept,
    by (snapshot, fetched_at, id). When a snapshot arrives late, the rows of others that change are rewritten and
    announced, only those."""
    from nemotron_assets.dedup.arrivals import named
    from nemotron_assets.dedup.duplicates import duplicates_of, rewrite_others

    rewritten = rewrite_others(context.partition_key, lake, recipe.web.dedup, FAMILY, **rewriting(context, DUPLICATES))
    context.add_output_metadata({"rewritten_partitions": named(rewritten)})
    return duplicates_of(context.partition_key, lake, recipe.web.dedup, FAMILY)


@table_asset(
    REPEATED_SPANS,
    recipe=("web.substring", "web.dedup.memory_mb"),
    kinds={"libdivsufsort", "numba"},
    deps=[DOCUMENTS, DUPLICATES],
    pool=_POOL,
)
def repeated_spans(
    context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]
):
    """What documents that are kept repeat byte for byte of earlier ones in a window of snapshots, found by suffix
    arrays (Nemotron-CC §2.1); and the documents of which the cuts leave nothing new."""
    from nemotron_assets.web.dedup.substring import ArrivingSpans

    run = rewriting(context, REPEATED_SPANS)
    return ArrivingSpans(lake, context.partition_key, recipe.web.substring, recipe.web.dedup, **run).parts()


@table_asset(
    UNIQUE_DOCUMENTS,
    recipe="web.substring",
    kinds={"polars"},
    ins={
        "documents": DOCUMENTS,
        "duplicates": DUPLICATES,
        "repeated_spans": REPEATED_SPANS,
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
    return unique_documents_of(documents.scan(), duplicates.scan(), spans, recipe.web.substring)


ASSETS = [signatures, near_duplicates, duplicates, repeated_spans, unique_documents]
