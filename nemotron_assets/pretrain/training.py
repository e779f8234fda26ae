"""From token shards to a version of the base model: what decides its identity, and what the training is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.models.registry import Identity
from nemotron_assets.pretrain import CODE
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import Recipe
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.text.tokenizer import BOS, EOS, PAD
from nemotron_assets.training.plan import Plan, TrainingError, working_folder
from nemotron_assets.training.schedule import total_steps
from nemotron_assets.training.worker import NEXT_TOKEN

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

#: Numbers of the training that do not decide the weights.
_DO_NOT_DECIDE = {"log_every", "checkpoint_every"}


def plan(recipe: Recipe, lake: Lakehouse) -> Plan:
    """What to train now. Raises `TrainingError` when inputs are missing or do not fit the recipe."""
    import polars as pl

    vocabularies, shards = lake.read(TOKENIZER), lake.open(TOKEN_SHARDS)
    if not vocabularies.exists or shards is None:
        raise TrainingError("there is nothing to train on: materialise blend/tokenizer and blend/token_shards first")
    vocabulary = vocabularies.scan().collect().row(0, named=True)
    if vocabulary["vocabulary"] > recipe.tokenizer.vocabulary:
        raise TrainingError(
            f"the tokenizer has {vocabulary['vocabulary']} entries, tokenizer.vocabulary says "
            f"{recipe.tokenizer.vocabulary}: materialise blend/tokenizer and what follows again"
        )
    part = TOKEN_SHARDS.part_by
    parts = lake.read(TOKEN_SHARDS).scan().group_by(part).agg(pl.col("read_versions").first()).sort(part)
    parts = parts.collect(engine="streaming")
    # The content of the shards decides, not their Delta version: an identical rewrite trains nothing.
    contents = [f"{key}={lake.marker(shards, 'data', None, key)}" for key in parts[part]]
    recipe_hash = _recipe_hash(recipe)
    id_ = row_id(BASE.full_name, recipe_hash, vocabulary["sha256"], *contents)
    return Plan(
        table=BASE,
        identity=Identity(
            name=f"{recipe.name}-base",
            id=id_,
            recipe_hash=recipe_hash,
            inputs=(vocabularies.input_version, f"{TOKEN_SHARDS.full_name}@{shards.version()}"),
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
            "shards": {
                "path": lake.path(TOKEN_SHARDS),
                "version": shards.version(),
                "part_by": part,
                "storage_options": lake.storage_options,
            },
        },
        steps=total_steps(recipe.train.base, recipe.blend.sequence_length),
        tokenizer=lake.get_weights(vocabulary["uri"]),
        source_versions=tuple(parts["read_versions"].explode().drop_nulls().unique().sort()),
    )


def _recipe_hash(recipe: Recipe) -> str:
    """A hash of the values that decide the weights. The names here are part of it: they must not change."""
    values = {
        "code": CODE,
        "model": recipe.model.model_dump(),
        "pretrain": recipe.train.base.model_dump(exclude=_DO_NOT_DECIDE),
        "vocabulary": recipe.tokenizer.vocabulary,
        "sequence_length": recipe.blend.sequence_length,
    }
    return content_hash(repr(sorted(values.items())).encode())
