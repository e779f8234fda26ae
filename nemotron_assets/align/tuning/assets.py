"""Declares the assets of the supervised stages: conversations as tokens, sequences of each stage, and three models."""

from itertools import chain

import dagster as dg

from nemotron_assets.align.conversations.tables import CONVERSATIONS
from nemotron_assets.align.tuning import CODE
from nemotron_assets.align.tuning.tables import SEQUENCES, STAGES, TOKEN_SHARDS
from nemotron_assets.blend.tables import TOKEN_SHARDS as TEXTS
from nemotron_assets.blend.tables import TOKENIZER
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.parts import Parts, Rejects
from nemotron_assets.table.schema import Table
from resources.gpu import POOL, Gpu
from resources.lakehouse import Lakehouse, Reader


@table_asset(
    TOKEN_SHARDS,
    recipe=(
        "align.tuning.replay", "align.tuning.tokens_per_shard", "align.tuning.concatenated_answers",
        "align.tuning.held_out_share",
        "align.tuning.sft_1.sequence_length", "align.tuning.sft_2.sequence_length",
        "align.tuning.sft_3.sequence_length",
    ),
    ins={"conversations": CONVERSATIONS, "tokenizer": TOKENIZER, "texts": TEXTS},
    kinds={"polars"},
)  # fmt: skip
def token_shards(
    recipe: dg.ResourceParam[Recipe],
    lake: dg.ResourceParam[Lakehouse],
    conversations: Reader,
    tokenizer: Reader,
    texts: Reader,
):
    """Conversations as token ids: a row per answer, of which the answer is trained, with its end of turn; and texts of
    the pretraining, if the recipe asks for them."""
    from nemotron_assets.align.tuning import report
    from nemotron_assets.align.tuning.replay import replay_parts
    from nemotron_assets.align.tuning.shards import Encoding, shard_parts

    row, rejects = tokenizer.only_row(), Rejects()
    folder = lake.get_weights(row["uri"])
    encoding = Encoding(folder, row["sha256"], recipe.align.tuning, conversations.input_version)
    parts = chain(shard_parts(conversations, encoding, rejects), replay_parts(texts, recipe.align.tuning.replay))
    return Parts(parts, rejects=rejects, metadata=lambda: report.of_rows(lake.read(TOKEN_SHARDS).scan()))


@table_asset(
    SEQUENCES,
    recipe=tuple(
        f"align.tuning.{stage}.{value}" for stage in STAGES for value in ("sequence_length", "packed", "chosen")
    )
    + ("align.tuning.without_truncated", "align.tuning.distilled_lengths", "align.tuning.seed"),
    ins={"shards": TOKEN_SHARDS},
    kinds={"polars"},
)
def sequences(recipe: dg.ResourceParam[Recipe], lake: dg.ResourceParam[Lakehouse], shards: Reader):
    """Which rows each supervised stage reads, packed or one by one, as an index."""
    from nemotron_assets.align.tuning import report
    from nemotron_assets.align.tuning.sequences import left_out, sequence_parts

    def metadata():
        return report.of_sequences(lake.read(SEQUENCES).scan(), left_out(shards.scan(), recipe.align.tuning))

    return Parts(sequence_parts(shards, recipe.align.tuning), metadata=metadata)


def _model(table: Table, before: Table) -> dg.AssetsDefinition:
    @table_asset(
        table,
        recipe=(f"align.tuning.{table.name}.training", f"align.tuning.{table.name}.chosen"),
        code=CODE,
        deps=[before, TOKENIZER, TOKEN_SHARDS, SEQUENCES],
        kinds={"pytorch", "huggingface"},
        pool=POOL,
    )
    def model(
        context: dg.AssetExecutionContext,
        recipe: dg.ResourceParam[Recipe],
        lake: dg.ResourceParam[Lakehouse],
        gpu: dg.ResourceParam[Gpu],
    ):
        from nemotron_assets.align.tuning.training import plans
        from nemotron_assets.training.shown import trained

        return trained(plans(table, recipe, lake), context, lake, gpu)

    return model


MODELS = [
    _model(table, before) for table, before in zip(STAGES.values(), (LONG_CONTEXT, *STAGES.values()), strict=False)
]

ASSETS = [token_shards, sequences, *MODELS]
