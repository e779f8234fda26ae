"""Assets of the pretraining: the base model, and the table of metrics that fills while it is trained."""

import dagster as dg

from nemotron_assets.models import BASE, TRAINING_METRICS
from nemotron_assets.recipe import Recipe
from nemotron_assets.table import table_asset
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    BASE,
    recipe=("model", "pretrain", "tokenizer.vocabulary", "blend.sequence_length"),
    ins={
        "tokenizer": dg.AssetIn(key=dg.AssetKey(["blend", "tokenizer"])),
        "token_shards": dg.AssetIn(key=dg.AssetKey(["blend", "token_shards"])),
    },
    kinds={"pytorch", "huggingface"},
    pool=POOL,
)
def base(
    context: dg.AssetExecutionContext,
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    gpu: dg.ResourceParam[Gpu],
    tokenizer: Reader,
    token_shards: Reader,
):
    """The hybrid model of the recipe, pretrained on the packed shards. A killed training goes on where it was; a model
    with the same inputs and recipe is not trained again."""
    from nemotron_assets.pretrain import training

    plan = training.plan(recipe, lake)
    rows = training.versions(plan, lake, gpu, context.run_id, context.log.info)
    model = rows.sort("at").row(-1, named=True)
    curve = training.metrics(lake, plan.id)
    context.log_event(
        dg.AssetMaterialization(
            TRAINING_METRICS.asset_key,
            description=f"metrics of {plan.name} {model['version']}",
            metadata={"dagster/row_count": lake.read(TRAINING_METRICS).rows, "steps": curve.height},
        )
    )
    context.add_output_metadata(
        {
            "loss": training.loss_plot(curve),
            "final_loss": model["final_loss"],
            "parameters": model["parameters"],
            "tokens": model["tokens_seen"],
            "tokens_per_second": curve["tokens_per_second"].median(),
            "weights": model["uri"],
            "inputs": ", ".join(model["input_versions"]),
            "sources": ", ".join(model["source_versions"] or []) or "not noted",
        }
    )
    return rows


training_metrics = dg.AssetSpec(
    TRAINING_METRICS.asset_key,
    deps=[base],
    description=TRAINING_METRICS.description,
    group_name=TRAINING_METRICS.schema,
    kinds={"delta"},
    owners=["team:lakehouse"],
    metadata={
        "dagster/column_schema": TRAINING_METRICS.column_schema(),
        "dagster/table_name": TRAINING_METRICS.full_name,
    },
)

ASSETS = [base, training_metrics]
