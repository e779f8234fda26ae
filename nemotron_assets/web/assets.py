"""The assets of the web pipeline: documents, their duplicates over all snapshots, the rest, and what is made of it."""

import dagster as dg

from nemotron_assets.models import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table import snapshot_partitions, table_asset
from nemotron_assets.web.tables import DIVERSE_QA, DOCUMENTS, DUPLICATES, EXTRACTION, UNIQUE_DOCUMENTS
from resources.compute import Compute
from resources.gpu import POOL, Gpu
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


@table_asset(DUPLICATES, recipe="dedup", kinds={"duckdb"}, deps=[documents], pool="duplicates")
def duplicates(context: dg.AssetExecutionContext, recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse]):
    """Documents whose text is already in an earlier document of any snapshot, by (snapshot, fetched_at, id). When an
    earlier snapshot arrives late, the rows of later ones that change are rewritten and announced, only those."""
    from nemotron_assets.web.duplicates import announce, duplicates_of, rewrite_later

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

    from nemotron_assets.web.exact import without

    dropped = duplicates.scan().select(document=pl.col("parents").list.first())
    return without(documents.scan().select(UNIQUE_DOCUMENTS.column_names), dropped, UNIQUE_DOCUMENTS.full_name)


@table_asset(
    DIVERSE_QA,
    recipe="diverse_qa",
    kinds={"vllm"},
    pool=POOL,
    retry_policy=dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL),
    ins={
        "unique_documents": dg.AssetIn(UNIQUE_DOCUMENTS.asset_key),
        "generator": dg.AssetIn(GENERATOR.asset_key),
    },
)
def diverse_qa(
    context: dg.AssetExecutionContext,
    unique_documents: Reader,
    generator: Reader,
    recipe: dg.ResourceParam[Recipe],
    gpu: dg.ResourceParam[Gpu],
    lake: dg.ResourceParam[Lakehouse],
):
    """Questions of several kinds and their answers about English documents, written by a language model and appended
    to the text they are about (Nemotron-CC §2.4). Generations that are in the ledger are not asked for again."""
    from nemotron_assets.spool import spooled
    from nemotron_assets.web.diverse_qa import Progress, Tally, choose, prompt_room, samples
    from resources.generations import Ledger

    model = generator.scan().collect().row(0, named=True)
    engine = gpu.engine(lake.get_weights(model["uri"]), model["name"])
    ledger, tally = Ledger(lake, run_id=context.run_id), Tally()
    with gpu.lock(context.log.info):
        rows = spooled(
            samples(
                choose(unique_documents.scan(), recipe.diverse_qa).collect_batches(chunk_size=256, engine="streaming"),
                recipe.diverse_qa,
                generator=model["name"],
                count=engine.count_tokens,
                room=prompt_room(recipe.diverse_qa, lambda request: len(engine.prompt_ids(request))),
                generate=lambda asked: ledger.generate(engine, asked, Progress(context.log.info)),
                reject=lake.rejects(DIVERSE_QA, context.partition_key).add,
                tally=tally,
            )
        )
    context.add_output_metadata({**tally.facts(), "example": dg.MetadataValue.md(f"```text\n{tally.example}\n```")})
    return rows


ASSETS = [documents, extraction, duplicates, unique_documents, diverse_qa]
