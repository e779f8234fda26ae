"""Tables of the evaluation: benchmark items, and scores of model versions."""

from __future__ import annotations

from nemotron_assets.table import CONTENT_HASH, ID, Column, Table

BENCHMARKS = Table(
    schema="evaluate",
    name="benchmarks",
    description="Items of the benchmark files, all sets in one shape.",
    columns=(
        ID,
        Column("benchmark", "string", "set the item belongs to: the file's name"),
        Column("item", "string", "the item's name in its set"),
        Column("position", "int64", "place in the file, from 0"),
        Column("subject", "string", "subject of an MMLU item", nullable=True),
        Column("question", "string", "question, task text or code prompt"),
        Column("choices", "list[string]", "answers to choose from; empty when the answer is free"),
        Column("answer_index", "int32", "right one of the choices, from 0", nullable=True),
        Column("answer", "string", "right choice, worked answer or reference code"),
        Column("final_answer", "string", "result of a worked answer", nullable=True),
        Column("entry_point", "string", "function that the tests call", nullable=True),
        Column("tests", "list[string]", "test code of a programming task"),
        CONTENT_HASH,
    ),
)

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
)

TABLES = [BENCHMARKS, BENCHMARK_SCORES]
