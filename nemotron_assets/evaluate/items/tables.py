"""The table of benchmark items, which the mathematics and code stages also read to keep them out of their corpora."""

from __future__ import annotations

from nemotron_assets.table.columns import CONTENT_HASH, ID
from nemotron_assets.table.schema import Column, Table

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

TABLES = [BENCHMARKS]
