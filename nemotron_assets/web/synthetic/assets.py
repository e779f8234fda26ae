"""Assets of synthetic web data: what language models write about documents."""

import dagster as dg

from nemotron_assets.models import GENERATOR
from nemotron_assets.recipe import Recipe
from nemotron_assets.table import table_asset
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.synthetic.tables import DIVERSE_QA
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


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
    from nemotron_assets.web.synthetic.diverse_qa import Progress, Tally, choose, prompt_room, samples
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


ASSETS = [diverse_qa]
