"""Assets of deduplication over all snapshots: signatures, pairs, duplicates, repeated spans, unique documents."""

import dagster as dg

from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import rewriting, table_asset
from nemotron_assets.web.dedup.tables import (
    CORPUS,
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

# A step also updates the partitions of other snapshots, so only one step runs at a time.
_POOL = "duplicates"


@table_asset(
    SIGNATURES,
    recipe="web.dedup.signatures",
    kinds={"numba", "duckdb"},
    ins={"documents": DOCUMENTS},
)
def signatures(documents: Reader, recipe: dg.ResourceParam[Recipe]):
    """MinHash signature and LSH bands of every distinct text of a snapshot, WARC file by WARC file. Shingles are
    5-grams of words or 24-grams of characters; datasketch can read the signatures (Nemotron-CC §2.1)."""
    from nemotron_assets.dedup.signatures import signature_parts

    return signature_parts(documents, recipe.web.dedup, SIGNATURES)


@table_asset(
    NEAR_DUPLICATES,
    recipe=("web.dedup.signatures", "web.dedup.min_similarity", "web.dedup.verify", "web.dedup.max_bucket"),
    code="2",  # adds the column containment
    kinds={"duckdb", "numba"},
    deps=[SIGNATURES, DOCUMENTS],
    pool=_POOL,
)
def near_duplicates(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    compute: dg.ResourceParam[Compute],
):
    """Pairs of similar texts, within this snapshot and between it and every earlier one. Texts that share a band are
    candidates, found range by range of the hashes of bands; each candidate is verified by its exact Jaccard similarity.
    When a snapshot arrives late, the pairs of later snapshots with it are added to their partitions and announced."""
    from nemotron_assets.dedup.candidates import across
    from nemotron_assets.dedup.near import CascadingPairs

    run = rewriting(context, NEAR_DUPLICATES)
    pairs = CascadingPairs(lake, context.partition_key, recipe.web.dedup, CORPUS, across(compute), **run)
    return pairs.parts()


@table_asset(
    DUPLICATES,
    recipe=("web.dedup.signatures", "web.dedup.linkage", "web.dedup.memory_mb", "web.dedup.enabled"),
    code="2",  # adds the column document
    kinds={"duckdb"},
    deps=[DOCUMENTS, NEAR_DUPLICATES],
    pool=_POOL,
)
def duplicates(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Documents that are dropped because a kept document has the same or nearly the same text. The earliest document by
    (snapshot, fetched_at, id) is kept. When a snapshot arrives late, the partitions of other snapshots whose rows
    change are rewritten and announced."""
    from nemotron_assets.dedup.arrivals import snapshot_names
    from nemotron_assets.dedup.duplicates import duplicates_of, rewrite_others

    updated = rewrite_others(context.partition_key, lake, recipe.web.dedup, CORPUS, **rewriting(context, DUPLICATES))
    context.add_output_metadata({"rewritten_partitions": snapshot_names(updated)})
    return duplicates_of(context.partition_key, lake, recipe.web.dedup, CORPUS)


@table_asset(
    REPEATED_SPANS,
    recipe=("web.substring", "web.dedup.memory_mb"),
    code="2",  # only current chunks count
    kinds={"libdivsufsort", "numba"},
    deps=[DOCUMENTS, DUPLICATES],
    pool=_POOL,
)
def repeated_spans(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    compute: dg.ResourceParam[Compute],
):
    """Spans of kept documents that repeat earlier kept documents byte for byte within a window of snapshots, found with
    suffix arrays (Nemotron-CC §2.1); and the documents of which nothing new is left without the spans."""
    from nemotron_assets.web.dedup.substring import CascadingSpans

    run = rewriting(context, REPEATED_SPANS)
    web = recipe.web
    return CascadingSpans(lake, context.partition_key, web.substring, web.dedup, compute, **run).parts()


@table_asset(
    UNIQUE_DOCUMENTS,
    recipe=("web.substring", "web.dedup.memory_mb"),
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
    """Documents that are not duplicates, without the spans that they repeat: every text is kept once over all
    snapshots, where it was seen first."""
    from nemotron_assets.web.dedup.report import cut_counts
    from nemotron_assets.web.dedup.unique import unique_documents_of

    spans = repeated_spans.scan()
    context.add_output_metadata(cut_counts(spans))
    memory_mb = recipe.web.dedup.memory_mb
    return unique_documents_of(documents.scan(), duplicates.scan(), spans, recipe.web.substring, memory_mb)


ASSETS = [signatures, near_duplicates, duplicates, repeated_spans, unique_documents]
