"""Plans the training of the base model: computes the model's identity and the configuration of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemotron_assets.blend.tables import LONG_CONTEXT, PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.models.registry import Identity
from nemotron_assets.pretrain import CODE
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.text.tokenizer import BOS, EOS, PAD
from nemotron_assets.training.mixture import Entry
from nemotron_assets.training.plan import Plan, TrainingError, shards_config, working_folder
from nemotron_assets.training.schedule import total_steps
from nemotron_assets.training.worker import NEXT_TOKEN

if TYPE_CHECKING:
    import polars as pl

    from resources.lakehouse import Lakehouse, Reader

#: The tables that the base model is made from.
INPUTS = (TOKENIZER, TOKEN_SHARDS, SEQUENCES, PHASES)


def plan(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The base model that the recipe, the packed sequences and the phases ask for now. Raises `TrainingError` when
    inputs are missing or do not fit the recipe."""
    inputs = [lake.read(table) for table in INPUTS]
    if missing := [reader.table.asset_key.to_user_string() for reader in inputs if not reader.exists]:
        raise TrainingError(f"there is nothing to train on: materialise {', '.join(missing)} first")
    tokenizer, shards, sequences, phases = inputs
    vocabulary, length = tokenizer.only_row(), recipe.blend.sequence_length
    if vocabulary["vocabulary"] > recipe.tokenizer.vocabulary:
        raise TrainingError(
            f"the tokenizer has {vocabulary['vocabulary']} entries, but tokenizer.vocabulary is "
            f"{recipe.tokenizer.vocabulary}: materialise blend/tokenizer and its downstream assets again"
        )
    steps = total_steps(recipe.train.base, length)
    entries = _entries(phases.scan().collect(), steps)
    packed = sequences.parts()
    if str(length) not in packed:
        raise TrainingError(
            f"blend.sequences has no sequences of {length} tokens (blend.sequence_length): materialise blend/sequences "
            "and its downstream assets again"
        )
    # The id depends on the content of the tables, not on their Delta versions: after an identical rewrite the same
    # model is found.
    contents = [f"{key}={content}" for key, content in shards.parts().items()]
    recipe_hash = _recipe_hash(recipe)
    id_ = row_id(BASE.full_name, recipe_hash, vocabulary["sha256"], packed[str(length)], repr(entries), *contents)
    return Plan(
        table=BASE,
        identity=Identity(
            name=f"{recipe.name}-base",
            id=id_,
            recipe_hash=recipe_hash,
            inputs=tuple(reader.input_version for reader in inputs),
        ),
        entry=NEXT_TOKEN,
        config={
            "start": {
                "fresh": recipe.model.model_dump(),
                "vocabulary": recipe.tokenizer.vocabulary,
                "special": {"pad": PAD, "bos": BOS, "eos": EOS},
            },
            "training": recipe.train.base.model_dump(),
            "section": "train.base",
            "sequence_length": length,
            "folder": working_folder(id_),
            "shards": shards_config(lake, shards, sequences, length),
            "entries": entries,
        },
        steps=steps,
        tokenizer=lake.get_weights(vocabulary["uri"]),
        source_versions=_source_versions(shards),
    )


def _source_versions(shards: Reader) -> tuple[str, ...]:
    """The versions of the tables that the token shards were made from."""
    import polars as pl

    first = shards.scan().group_by(TOKEN_SHARDS.part_by).agg(pl.col("read_versions").first())
    return tuple(first.collect(engine="streaming")["read_versions"].explode().drop_nulls().unique().sort())


def _entries(phases: pl.DataFrame, steps: int) -> list[dict[str, Any]]:
    """The shares of the categories from which step on, as JSON values, from the rows of `blend.phases`. Raises
    `TrainingError` when the phases are for a training of another number of steps."""
    import polars as pl

    mine = phases.filter(pl.col("phase") != LONG_CONTEXT, pl.col("steps") > 0).sort("number")
    by_phase = mine.partition_by("number", maintain_order=True)
    planned = sum(rows["steps"][0] for rows in by_phase)
    if planned != steps:
        raise TrainingError(
            f"the phases are for {planned} steps, but the recipe's training has {steps}: materialise blend/phases again"
        )
    return [
        Entry(
            rows["phase"][0],
            rows["first_step"][0],
            dict(rows.filter(pl.col("share") > 0).select("category", "share").unique().sort("category").iter_rows()),
        ).as_dict()
        for rows in by_phase
    ]


def _recipe_hash(recipe: Recipe) -> str:
    """A hash of the recipe values that decide the weights. The names below are hashed too, so they must not change."""
    values = {
        "code": CODE,
        "model": recipe.model.model_dump(),
        "pretrain": recipe.train.base.deciding(),
        "vocabulary": recipe.tokenizer.vocabulary,
        "sequence_length": recipe.blend.sequence_length,
    }
    return content_hash(repr(sorted(values.items())).encode())
