"""Declares the table of scores of model versions."""

from __future__ import annotations

from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table

BENCHMARK_SCORES = Table(
    schema="evaluate",
    name="benchmark_scores",
    description="Scores of model versions on benchmarks (lm-evaluation-harness) and in bits per byte of text.",
    columns=(
        ID,
        Column("model", "string", "name of the model, for example laptop-base"),
        Column("model_id", "string", "id of the model version, in a table of models such as models.base"),
        Column("model_version", "string", "number of the model version among the models with this name: 1, 2, ..."),
        Column("task", "string", "name of the benchmark, for example gsm8k, or held_out_documents or held_out_code"),
        Column(
            "metric",
            "string",
            "what is measured: acc, acc_norm, exact_match with the name of an answer filter, or bits_per_byte",
        ),
        Column("value", "float64", "score: a share of right answers from 0 to 1, or bits per byte of UTF-8"),
        Column(
            "stderr",
            "float64",
            "standard error of the score over the samples; null if it cannot be estimated (one sample)",
            nullable=True,
        ),
        Column(
            "random_baseline",
            "float64",
            "score of guessing: 1/choices, 0 for free answers; for bits per byte: the score of a model that gives all "
            "tokens the same probability; null if unknown",
            nullable=True,
        ),
        Column("samples", "int64", "number of benchmark items or documents that were scored"),
        Column("shots", "int32", "number of worked examples in the prompt"),
        Column(
            "input_versions",
            "list[string]",
            "tables that the score was computed from, each with its Delta version, for example models.base@3",
            volatile=True,
        ),
        Column("run_id", "string", "id of the Dagster run that computed the score", volatile=True),
        Column("at", "timestamp", "time when the score was computed, UTC", volatile=True),
    ),
    part_by="model_id",
    version=2,
    origins={
        "model": ("models.base.name",),
        "model_id": ("models.base.id",),
        "model_version": ("models.base.version",),
        "task": ("evaluate.benchmarks.benchmark",),
        "shots": (),
        "*": ("models.base.uri", "evaluate.benchmarks.question", "web.unique_documents.text", "code.curated.content"),
    },
)

TABLES = [BENCHMARK_SCORES]
