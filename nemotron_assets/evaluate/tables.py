"""The table of scores of model versions."""

from __future__ import annotations

from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table

BENCHMARK_SCORES = Table(
    schema="evaluate",
    name="benchmark_scores",
    description="What each model version scored on benchmarks (lm-evaluation-harness) and in bits per byte.",
    columns=(
        ID,
        Column("model", "string", "name of the model"),
        Column("model_id", "string", "id of the model version's row in its models table"),
        Column("model_version", "string", "version of the model"),
        Column("task", "string", "benchmark, held_out_documents or held_out_code"),
        Column("metric", "string", "exact_match,strict-match / acc / acc_norm / bits_per_byte, ..."),
        Column("value", "float64", "the score"),
        Column("stderr", "float64", "standard error of the score over the samples", nullable=True),
        Column("random_baseline", "float64", "what guessing scores: 1/choices, 0, or uniform tokens", nullable=True),
        Column("samples", "int64", "items or documents scored"),
        Column("shots", "int32", "worked examples in the prompt"),
        Column(
            "input_versions", "list[string]", "tables the score was made from, as schema.name@version", volatile=True
        ),
        Column("run_id", "string", "Dagster run that scored it", volatile=True),
        Column("at", "timestamp", "when it was scored", volatile=True),
    ),
    part_by="model_id",
    version=2,
)

TABLES = [BENCHMARK_SCORES]
