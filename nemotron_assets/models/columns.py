"""Declares tables of models, so that every model can be found, traced and evaluated in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nemotron_assets.table.columns import ID, SOURCES
from nemotron_assets.table.schema import Column, Table


def model_table(
    name: str,
    description: str,
    *,
    named: str,
    group: str = "",
    own: Iterable[Column] = (),
    weights: str = "folder of the model's files, relative to the root of the lake",
    origins: Mapping[str, tuple[str, ...]] | None = None,
    example_input: str = "blend.token_shards@12",
) -> Table:
    """The table `models.<name>`, one row per version of a model. Each row is a part of its own.

    `named` is the meaning of the column `name`, `weights` that of the column `uri`. `group` is the group of the asset:
    models stand at both ends of the graph, so each is shown with the stage that makes it. `own` are the columns that
    only this kind of model has. `origins` are the columns that the weights were made of.
    `example_input` is an example value of the column `input_versions`.
    """
    return Table(
        schema="models",
        name=name,
        description=f"{description} One row per version, earlier versions included. The newest version by `at` is in "
        "use, or the newest of each name if several names are used together.",
        columns=(
            ID,
            Column("name", "string", named),
            Column("version", "string", "number of the version among the models with this name: 1, 2, ..."),
            Column("uri", "string", weights),
            Column("sha256", "string", "sha256 over the names and contents of the model's files, hex"),
            *own,
            Column(
                "parents", "list[string]",
                "ids of the models that this model was made from, for example a base and a teacher; empty if none",
            ),
            SOURCES,
            Column(
                "recipe_hash", "string", "hash of the recipe values that decide the weights; empty if no value does"
            ),
            Column(
                "input_versions", "list[string]",
                f"tables that the model was made from, each with its Delta version, for example {example_input}",
                volatile=True,
            ),
            Column("run_id", "string", "id of the Dagster run that stored the model", volatile=True),
            Column(
                "at", "timestamp",
                "time when the model was made, or when it replaced a newer model as the one in use, UTC",
            ),
        ),
        part_by="id",
        version=2,
        kind="model",
        group=group,
        origins=origins or {},
    )  # fmt: skip


#: Further columns of models that were trained here.
TRAINED = (
    Column("parameters", "int64", "number of parameters"),
    Column("tokens_seen", "int64", "number of tokens that the model was trained on, padding included"),
    Column("steps", "int64", "number of optimizer steps of its last training"),
    Column("final_loss", "float64", "training loss of the last step, in nats per predicted token"),
    Column(
        "precision",
        "string",
        "precision of the matrix products in its last training: fp32, bf16 or fp8; null: an older row",
        nullable=True,
    ),
    Column(
        "bf16_layers",
        "list[string]",
        "after a training in FP8, the linear layers whose products stayed in BF16, beside the head of the model, by "
        "the names that their weights have while training, for example model.layers.0.mixer.in_proj; else null",
        nullable=True,
    ),
    Column(
        "source_versions",
        "list[string]",
        "tables that its training sequences were packed from, each with its Delta version, for example code.curated@3",
        volatile=True,
    ),
)


def metrics(what: str) -> Column:
    """The column with the measurements that were taken when the model was made; `what` says what was measured."""
    return Column("metrics", "string", f"{what}: a JSON object of numbers by name")


#: Further columns of models that score texts.
SCORER = (
    Column(
        "kind", "string", "ridge or ngrams for a scorer trained here, classifier or fasttext for a published checkpoint"
    ),
    Column("source", "string", "embedded for a scorer trained here, else the name of the published checkpoint"),
    Column("parameters", "int64", "number of weights that are not zero; null for fastText", nullable=True),
    metrics("measurements on texts that were left out of the training"),
)
