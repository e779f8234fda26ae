"""Declares the tables that several stages use: the language model that writes synthetic data, and the metrics and
events of all trainings."""

from __future__ import annotations

from nemotron_assets.models.columns import model_table
from nemotron_assets.table.schema import Column, Table

#: The tables of models whose trainings store metrics and events, in the order of the trainings.
TRAININGS = (
    "models.base", "models.long_context", "models.sft_1", "models.sft_2", "models.sft_3", "models.ifeval_rl",
    "models.dpo", "models.reward_model", "models.rlhf", "models.compression_steps", "models.compressed_base",
)  # fmt: skip

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

_MODEL = Column("model", "string", "name of the model that is trained, for example laptop-base")
_MODEL_ID = Column(
    "model_id",
    "string",
    "id of the model version that is trained; its table of models has the row once the training is finished",
)
_RUN_ID = Column("run_id", "string", "id of the Dagster run that stored this row")

TRAINING_METRICS = Table(
    schema="models",
    name="training_metrics",
    description="Loss, learning rate, gradient norm and speed of every training, appended while the training runs. A "
    "step whose batch was left out has a row in models.training_events instead.",
    columns=(
        _MODEL,
        _MODEL_ID,
        _RUN_ID,
        Column("step", "int64", "number of the optimizer step, counted from 1"),
        Column(
            "tokens",
            "int64",
            "number of tokens seen up to and including this step; each sequence counts with its full length, padded or "
            "not",
        ),
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
        Column("phase", "string", "phase of the training data, for example phase-2; null: an older row", nullable=True),
        Column(
            "flops_per_second",
            "float64",
            "floating-point operations of the model per second on all devices, since the previous row: forward and "
            "backward, without padding and without activations that are computed again; null: an older row",
            nullable=True,
        ),
        Column(
            "mfu",
            "float64",
            "model FLOPs utilisation: flops_per_second as a share of the dense BF16 peak of the devices, also for FP8; "
            "null for fp32, for a CPU, and for a GPU whose peak is not known",
            nullable=True,
        ),
        Column(
            "peak_memory_bytes",
            "int64",
            "most memory that the first training process has held so far: of its GPU, or of the process on a CPU; "
            "null: an older row",
            nullable=True,
        ),
        Column(
            "devices",
            "string",
            "number and kind of the devices of the training: 8 x NVIDIA H200, 1 x x86_64; null: an older row",
            nullable=True,
        ),
        Column(
            "measures",
            "list[string]",
            "names of further measurements of this step, for a training that compares answers or is rewarded for them: "
            "rewards/margins, rewards/accuracies, kl; null: the training has none",
            nullable=True,
        ),
        Column("measured", "list[float32]", "value of each of the measures, in their order; null: none", nullable=True),
    ),
    key=("model_id", "step"),
    group="trainings",
    origins={
        "model": tuple(f"{table}.name" for table in TRAININGS),
        "model_id": tuple(f"{table}.id" for table in TRAININGS),
        "step": (),
        "*": ("blend.token_shards.tokens", "align.token_shards.tokens"),
    },
)

TRAINING_EVENTS = Table(
    schema="models",
    name="training_events",
    description="What happened in trainings beside their steps: batches that were left out because they would have "
    "harmed the model, with the sequences in them, and resumes under other conditions. The view "
    "models.left_out_documents names the documents.",
    columns=(
        _MODEL,
        _MODEL_ID,
        _RUN_ID,
        Column("step", "int64", "number of the optimizer step, counted from 1; of a resume: the last finished step"),
        Column(
            "kind",
            "string",
            "nan: the loss or the gradient of a batch is not a finite number; spike: it is far above the losses or "
            "gradients of earlier steps; resumed: the training went on under other conditions, for example with "
            "another number of threads",
        ),
        Column(
            "action",
            "string",
            "skip: the batch was left out and changed nothing; roll_back: the weights also went back to the last "
            "checkpoint; continue: nothing was done",
        ),
        Column("message", "string", "what happened, in words"),
        Column(
            "loss",
            "float64",
            "training loss of the batch, in nats per predicted token; null: not a finite number, or not about a batch",
            nullable=True,
        ),
        Column(
            "grad_norm",
            "float64",
            "Euclidean norm of the batch's gradient; null: not a finite number, or not about a batch",
            nullable=True,
        ),
        Column(
            "loss_limit",
            "float64",
            "a loss above this number counted as a spike, in nats per predicted token; null: too few steps were known",
            nullable=True,
        ),
        Column(
            "grad_norm_limit",
            "float64",
            "a gradient norm above this number counted as a spike; null: too few steps were known",
            nullable=True,
        ),
        Column("sequence_length", "int64", "length of the packed sequences of the training, in tokens"),
        Column(
            "data_sets",
            "list[string]",
            "data set of each sequence of the batch; null if the event is not about a batch",
            nullable=True,
        ),
        Column(
            "shards",
            "list[string]",
            "shard of each sequence of the batch, as in the column shard of the table of sequences",
            nullable=True,
        ),
        Column(
            "positions",
            "list[int64]",
            "place of each sequence in its shard, as in the column position of the table of sequences",
            nullable=True,
        ),
        Column(
            "sequence_losses",
            "list[float32]",
            "loss of each sequence of the batch, in nats per predicted token; null for one that is not a finite "
            "number; empty if the loss of the training does not tell",
            nullable=True,
        ),
        Column("at", "timestamp", "time of the event, UTC"),
        Column(
            "sequences",
            "string",
            "table of the sequences of the training and its part in use, as blend.sequences/8192 or "
            "align.sequences/sft_1; null: an older row",
            nullable=True,
        ),
    ),
    key=("model_id", "step", "kind", "at"),
    group="trainings",
    origins={
        "model": tuple(f"{table}.name" for table in TRAININGS),
        "model_id": tuple(f"{table}.id" for table in TRAININGS),
        "sequence_length": ("blend.sequences.part",),
        "sequences": ("blend.sequences.part", "align.sequences.part"),
        "data_sets": ("blend.sequences.data_set", "align.sequences.data_set"),
        "shards": ("blend.sequences.shard", "align.sequences.shard"),
        "positions": ("blend.sequences.position", "align.sequences.position"),
        "*": ("blend.token_shards.tokens", "align.token_shards.tokens"),
    },
)

TABLES = [GENERATOR, TRAINING_METRICS, TRAINING_EVENTS]
