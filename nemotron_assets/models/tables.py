"""Declares the tables that several stages use: the language model that writes synthetic data, and the metrics of all
trainings."""

from __future__ import annotations

from nemotron_assets.models.columns import model_table
from nemotron_assets.table.schema import Column, Table

#: Further columns of language models that others trained.
LANGUAGE_MODEL = (
    Column("parameters", "int64", "number of parameters; null for a model behind an endpoint", nullable=True),
    Column(
        "dtype",
        "string",
        "precision of the stored weights: bfloat16, float32, ...; remote for a model behind an endpoint",
    ),
)
#: Meaning of their column `uri`.
WEIGHTS = "folder of the weights (safetensors), tokenizer and chat template, relative to the root of the lake"

GENERATOR = model_table(
    "generator",
    "The language model that writes synthetic data. For a model behind an endpoint only the tokenizer is stored.",
    named="name of the model, for example SmolLM2-135M-Instruct",
    group="generators",
    own=LANGUAGE_MODEL,
    weights=WEIGHTS,
)

TRAINING_METRICS = Table(
    schema="models",
    name="training_metrics",
    description="Loss, learning rate, gradient norm and speed of every training, appended while the training runs.",
    columns=(
        Column("model", "string", "name of the model that is trained, for example laptop-base"),
        Column(
            "model_id",
            "string",
            "id of the model version that is trained; its table of models has the row once the training is finished",
        ),
        Column("run_id", "string", "id of the Dagster run that stored this row"),
        Column("step", "int64", "number of the optimizer step, counted from 1"),
        Column("tokens", "int64", "number of tokens seen up to and including this step, padding included"),
        Column("loss", "float64", "training loss of this step, in nats per predicted token"),
        Column("lr", "float64", "learning rate of this step"),
        Column("grad_norm", "float64", "Euclidean norm of the gradient of this step, before clipping"),
        Column("tokens_per_second", "float64", "tokens per second since the previous row of the training"),
        Column("at", "timestamp", "time when the step ended, UTC"),
        Column(
            "categories",
            "list[string]",
            "categories of the training data; null: an older row",
            nullable=True,
        ),
        Column(
            "category_losses",
            "list[float32]",
            "loss of each of the categories, in nats per predicted token, over the steps since the previous row; null "
            "for a category that these steps did not read",
            nullable=True,
        ),
        Column(
            "category_tokens",
            "list[int64]",
            "number of tokens of each of the categories seen up to and including this step, without padding",
            nullable=True,
        ),
    ),
    key=("model_id", "step"),
    group="pretrain",
    origins={
        "model": ("models.base.name",),
        "model_id": ("models.base.id",),
        "step": (),
        "*": ("blend.token_shards.tokens",),
    },
)

TABLES = [GENERATOR, TRAINING_METRICS]
