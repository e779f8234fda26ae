"""Tables of models that belong to no single stage: the language model that writes, and the metrics of all trainings."""

from __future__ import annotations

from nemotron_assets.models.columns import model_table
from nemotron_assets.table.schema import Column, Table

#: The columns of a language model that others trained, beside those of every model.
LANGUAGE_MODEL = (
    Column("parameters", "int64", "number of parameters; null behind an endpoint", nullable=True),
    Column("dtype", "string", "precision the weights are stored in, as bfloat16; remote behind an endpoint"),
)
WEIGHTS = "folder of the weights (safetensors, tokenizer, chat template) in the lake"

GENERATOR = model_table(
    "generator",
    "The language model that writes synthetic data. Behind an endpoint, only its tokenizer is kept here.",
    named="name of the model, as SmolLM2-135M-Instruct",
    own=LANGUAGE_MODEL,
    weights=WEIGHTS,
)

TRAINING_METRICS = Table(
    schema="models",
    name="training_metrics",
    description="Loss, learning rate, gradient norm and speed of every training, appended while it runs.",
    columns=(
        Column("model", "string", "name of the model that is trained"),
        Column("model_id", "string", "id of the model version that is trained; its row appears when it is finished"),
        Column("run_id", "string", "Dagster run that stored the row"),
        Column("step", "int64", "optimizer step, counted from 1"),
        Column("tokens", "int64", "tokens seen up to and including this step"),
        Column("loss", "float64", "loss of this step, in nats per predicted token"),
        Column("lr", "float64", "learning rate of this step"),
        Column("grad_norm", "float64", "norm of the gradient before clipping"),
        Column("tokens_per_second", "float64", "tokens per second since the row before"),
        Column("at", "timestamp", "when the step ended, UTC"),
    ),
    key=("model_id", "step"),
)

TABLES = [GENERATOR, TRAINING_METRICS]
