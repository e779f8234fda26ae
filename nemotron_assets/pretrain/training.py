"""From token shards to a version of the base model: what decides its identity, the training, the row that remains.

A model's id follows from the content of the shards, the tokenizer and the recipe's values, so the same request finds
the finished model, or the checkpoints of an interrupted training, instead of starting over.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.blend.tables import TOKEN_SHARDS, TOKENIZER
from nemotron_assets.model.schedule import total_steps
from nemotron_assets.models import BASE, TRAINING_METRICS
from nemotron_assets.recipe import Pretrain, Recipe
from nemotron_assets.table import content_hash, row_id
from resources.gpu import Gpu
from resources.home import cache_dir
from resources.lakehouse import Lakehouse

if TYPE_CHECKING:
    import dagster as dg
    import polars as pl

#: Raise it when the training itself changes, so that models are trained again.
CODE = "2"


class TrainingError(RuntimeError):
    """A model that cannot be trained; the message says what is missing."""


@dataclass(frozen=True)
class Plan:
    """A model to be: its identity and what the training process needs. `config` is JSON-able."""

    id: str
    name: str
    recipe_hash: str
    input_versions: list[str]
    source_versions: list[str]
    tokenizer: Path
    config: dict[str, Any]

    @property
    def folder(self) -> Path:
        """Where checkpoints and the finished weights lie until they are in the lake."""
        return Path(self.config["folder"])


def plan(recipe: Recipe, lake: Lakehouse) -> Plan:
    """What to train now. Raises `TrainingError` when inputs are missing or do not fit the recipe."""
    import polars as pl

    from nemotron_assets.blend.tokenizer import BOS, EOS, PAD

    vocabularies, shards = lake.read(TOKENIZER), lake.open(TOKEN_SHARDS)
    if not vocabularies.exists or shards is None:
        raise TrainingError("there is nothing to train on: materialise blend/tokenizer and blend/token_shards first")
    vocabulary = vocabularies.scan().collect().row(0, named=True)
    if vocabulary["vocabulary"] > recipe.tokenizer.vocabulary:
        raise TrainingError(
            f"the tokenizer has {vocabulary['vocabulary']} entries, tokenizer.vocabulary says "
            f"{recipe.tokenizer.vocabulary}: materialise blend/tokenizer and what follows again"
        )
    values = {
        "code": CODE,
        "model": recipe.model.model_dump(),
        "pretrain": recipe.pretrain.model_dump(exclude={"log_every", "checkpoint_every"}),
        "vocabulary": recipe.tokenizer.vocabulary,
        "sequence_length": recipe.blend.sequence_length,
    }
    recipe_hash = content_hash(repr(sorted(values.items())).encode())
    part = TOKEN_SHARDS.part_by
    parts = lake.read(TOKEN_SHARDS).scan().group_by(part).agg(pl.col("read_versions").first()).sort(part)
    parts = parts.collect(engine="streaming")
    contents = [f"{key}={lake.marker(shards, 'data', None, key)}" for key in parts[part]]
    id_ = row_id(BASE.full_name, recipe_hash, vocabulary["sha256"], *contents)
    config = {
        "lake": lake.root,
        "storage_options": lake.storage_options,
        "version": shards.version(),
        "folder": str(cache_dir("training") / id_),
        "model": recipe.model.model_dump(),
        "pretrain": recipe.pretrain.model_dump(),
        "vocabulary": recipe.tokenizer.vocabulary,
        "sequence_length": recipe.blend.sequence_length,
        "special": {"pad": PAD, "bos": BOS, "eos": EOS},
    }
    inputs = [vocabularies.input_version, f"{TOKEN_SHARDS.full_name}@{shards.version()}"]
    sources = parts["read_versions"].explode().drop_nulls().unique().sort().to_list()
    tokenizer = lake.get_weights(vocabulary["uri"])
    return Plan(id_, f"{recipe.name}-base", recipe_hash, inputs, sources, tokenizer, config)


def versions(plan: Plan, lake: Lakehouse, gpu: Gpu, run_id: str, log: Callable[[str], None]) -> pl.DataFrame:
    """All rows of models.base with the planned model as the latest, trained if it is not among them."""
    import polars as pl

    rows = lake.read(BASE).scan().collect()
    for folder in cache_dir("training").iterdir():  # of models that have reached the table
        if folder.name in rows["id"]:
            shutil.rmtree(folder)
    if plan.id not in rows["id"]:
        row = _row(plan, len(rows) + 1, lake, gpu, run_id, log)
        return pl.concat([rows, pl.DataFrame([row], schema=rows.schema)])
    log(f"{plan.name} is trained already with these inputs and this recipe: id {plan.id}")
    latest = rows.sort("at")["id"][-1]
    if plan.id == latest:
        return rows
    again = pl.when(pl.col("id") == plan.id).then(pl.lit(datetime.now(UTC))).otherwise(pl.col("at"))
    return rows.with_columns(again.cast(rows.schema["at"]).alias("at"))


def metrics(lake: Lakehouse, model_id: str) -> pl.DataFrame:
    """The stored metrics of a model's training, in the order of steps."""
    import polars as pl

    return lake.read(TRAINING_METRICS).scan().filter(pl.col("model_id") == model_id).sort("step").collect()


def loss_plot(rows: pl.DataFrame) -> dg.MarkdownMetadataValue:
    """Loss and learning rate over tokens, for the UI."""
    from nemotron_assets.plots import new_figure, png_markdown

    figure, axes = new_figure(x="tokens", y="loss, nats per token")
    axes.plot(rows["tokens"], rows["loss"], color="tab:blue")
    rate = axes.twinx()
    rate.plot(rows["tokens"], rows["lr"], color="tab:orange", linestyle=":")
    rate.set_ylabel("learning rate", color="tab:orange")
    return png_markdown(figure, "loss and learning rate over tokens")


def _row(
    plan: Plan, version: int, lake: Lakehouse, gpu: Gpu, run_id: str, log: Callable[[str], None]
) -> dict[str, Any]:
    """Train, put the weights into the lake and describe them."""
    from nemotron_assets.pretrain.worker import ENTRY

    trained = gpu.train(ENTRY, plan.config, _store_metrics(plan, lake, run_id, log), log)
    weights = Path(trained["weights"])
    for file in plan.tokenizer.iterdir():
        if file.name.startswith(("tokenizer", "special_tokens", "chat_template")):
            shutil.copyfile(file, weights / file.name)
    uri, sha256 = lake.put_weights(weights, "base")
    return {
        "id": plan.id,
        "name": plan.name,
        "version": str(version),
        "uri": uri,
        "sha256": sha256,
        "parameters": trained["parameters"],
        "tokens_seen": trained["tokens"],
        "steps": trained["steps"],
        "final_loss": trained["final_loss"],
        "parent_version": None,
        "recipe_hash": plan.recipe_hash,
        "input_versions": plan.input_versions,
        "source_versions": plan.source_versions or None,
        "run_id": run_id,
        "at": datetime.now(UTC),
    }


def _store_metrics(
    plan: Plan, lake: Lakehouse, run_id: str, log: Callable[[str], None]
) -> Callable[[list[dict[str, Any]]], None]:
    """Appends rows of metrics; those of steps that are in (a resumed training sends some again) are left out."""
    import polars as pl

    last, said = metrics(lake, plan.id)["step"].max() or 0, float("-inf")
    steps = total_steps(Pretrain(**plan.config["pretrain"]), plan.config["sequence_length"])
    schema = lake.read(TRAINING_METRICS).scan().collect_schema()

    def store(rows: list[dict[str, Any]]) -> None:
        nonlocal last, said
        new = [
            row | {"model": plan.name, "model_id": plan.id, "run_id": run_id, "at": datetime.fromisoformat(row["at"])}
            for row in rows
            if row["step"] > last
        ]
        if new:
            lake.append(TRAINING_METRICS, pl.DataFrame(new, schema=schema), run_id=run_id)
            last = new[-1]["step"]
            row = new[-1]
            if last == steps or time.monotonic() - said > 10:
                log(f"step {last:,} of {steps:,}: loss {row['loss']:.3f}, {row['tokens_per_second']:,.0f} tokens/s")
                said = time.monotonic()

    return store
