"""Plans the training of the base model: computes the model's identity and the configuration of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.models.registry import Identity
from nemotron_assets.pretrain import CODE
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.text.tokenizer import BOS, EOS, PAD
from nemotron_assets.training.plan import Plan, TrainingError, shards_config, working_folder
from nemotron_assets.training.schedule import total_steps
from nemotron_assets.training.worker import NEXT_TOKEN

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

#: Recipe values of the training that do not change the weights.
_DO_NOT_DECIDE = {"log_every", "checkpoint_every"}


def plan(recipe: Recipe, lake: Lakehouse) -> Plan:
    """The base model that the recipe and the token shards ask for now. Raises `TrainingError` when inputs are missing
    or do not fit the recipe."""
    import polars as pl

    tokenizer, shards = lake.read(TOKENIZER), lake.read(TOKEN_SHARDS)
    if not tokenizer.exists or not shards.exists:
        raise TrainingError("there is nothing to train on: materialise blend/tokenizer and blend/token_shards first")
    vocabulary = tokenizer.only_row()
    if vocabulary["vocabulary"] > recipe.tokenizer.vocabulary:
        raise TrainingError(
            f"the tokenizer has {vocabulary['vocabulary']} entries, but tokenizer.vocabulary is "
            f"{recipe.tokenizer.vocabulary}: materialise blend/tokenizer and its downstream assets again"
        )
    # The id depends on the content of the shards, not on their Delta version: after an identical rewrite the same model
    # is found.
    contents = [f"{key}={content}" for key, content in shards.parts().items()]
    recipe_hash = _recipe_hash(recipe)
    id_ = row_id(BASE.full_name, recipe_hash, vocabulary["sha256"], *contents)
    sources = shards.scan().group_by(TOKEN_SHARDS.part_by).agg(pl.col("read_versions").first())
    sources = sources.collect(engine="streaming")["read_versions"].explode().drop_nulls().unique().sort()
    return Plan(
        table=BASE,
        identity=Identity(
            name=f"{recipe.name}-base",
            id=id_,
            recipe_hash=recipe_hash,
            inputs=(tokenizer.input_version, shards.input_version),
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
            "sequence_length": recipe.blend.sequence_length,
            "folder": working_folder(id_),
            "shards": shards_config(lake, shards),
        },
        steps=total_steps(recipe.train.base, recipe.blend.sequence_length),
        tokenizer=lake.get_weights(vocabulary["uri"]),
        source_versions=tuple(sources),
    )


def _recipe_hash(recipe: Recipe) -> str:
    """A hash of the recipe values that decide the weights. The names below are hashed too, so they must not change."""
    values = {
        "code": CODE,
        "model": recipe.model.model_dump(),
        "pretrain": recipe.train.base.model_dump(exclude=_DO_NOT_DECIDE),
        "vocabulary": recipe.tokenizer.vocabulary,
        "sequence_length": recipe.blend.sequence_length,
    }
    return content_hash(repr(sorted(values.items())).encode())
