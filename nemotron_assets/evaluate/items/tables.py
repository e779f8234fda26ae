"""Declares the table of benchmark items. The mathematics and code stages read it, to keep items out of their data."""

from __future__ import annotations

from nemotron_assets.table.columns import CONTENT_HASH, ID
from nemotron_assets.table.schema import Column, Table

BENCHMARKS = Table(
    schema="evaluate",
    name="benchmarks",
    description="Items of the benchmark files. Items of all benchmarks have the same columns.",
    columns=(
        ID,
        Column("benchmark", "string", "benchmark of the item and name of its file: gsm8k, mmlu, humaneval, ..."),
        Column("item", "string", "name of the item in its benchmark, for example HumanEval/0"),
        Column("position", "int64", "line of the item in its file, counted from 0"),
        Column(
            "subject",
            "string",
            "subject of the item, for example anatomy; null for items of benchmarks without subjects",
            nullable=True,
        ),
        Column("question", "string", "question, task text or code prompt"),
        Column("choices", "list[string]", "answers to choose from; empty when the answer is free"),
        Column(
            "answer_index",
            "int32",
            "index of the right answer in choices, counted from 0; null when the answer is free",
            nullable=True,
        ),
        Column("answer", "string", "right choice, worked answer or reference code"),
        Column(
            "final_answer",
            "string",
            "result of the worked answer of a mathematical item, for example 72; null for other items",
            nullable=True,
        ),
        Column(
            "entry_point",
            "string",
            "name of the function that the tests of a HumanEval item, or the cases of a LiveCodeBench item, call; null "
            "for other items",
            nullable=True,
        ),
        Column(
            "language",
            "string",
            "language of an item of a suite in several languages: de; null for other items",
            nullable=True,
        ),
        Column(
            "worked",
            "string",
            "worked answer of an item with choices, for worked examples; null if it has none",
            nullable=True,
        ),
        Column(
            "instructions",
            "string",
            "instructions of an IFEval item as a JSON list of {id, arguments}; null for other items",
            nullable=True,
        ),
        Column("tests", "list[string]", "test code of a programming task; empty for other items"),
        Column(
            "starter",
            "string",
            "code that an answer to a LiveCodeBench item completes; null for items without such code",
            nullable=True,
        ),
        Column(
            "cases",
            "list[string]",
            "test cases of a LiveCodeBench item, each a JSON list [input, output]: of the whole program, or of the "
            "function entry_point with one JSON value per line; empty for other items",
            nullable=True,
        ),
        Column(
            "messages",
            "string",
            "conversation that a BFCL item asks, as JSON; null for items that ask their question alone",
            nullable=True,
        ),
        Column(
            "tools",
            "string",
            "tools that a BFCL item offers, as a JSON list of {name, description, parameters}; null for other items",
            nullable=True,
        ),
        Column(
            "calls",
            "string",
            "right calls of a BFCL item, as a JSON list of {name: {argument: [right values]}}: [] if no call is right, "
            "the JSON value null if every call is; null for other items",
            nullable=True,
        ),
        CONTENT_HASH,
    ),
    group="benchmarks",
)

TABLES = [BENCHMARKS]
