"""Declares the table of results: the score of every model version on every item that it was measured on."""

from __future__ import annotations

from nemotron_assets.evaluate.suite.tables import MODELS, origins_of_models
from nemotron_assets.evaluate.tables import HELD_OUT_COLUMNS, MADE, MODEL, MODEL_ID, MODEL_VERSION
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table

_WEIGHTS = tuple(f"{table.full_name}.uri" for table in MODELS.values())
_READ = ("evaluate.benchmarks.question", *HELD_OUT_COLUMNS)

ITEM_RESULTS = Table(
    schema="evaluate",
    name="item_results",
    description="What every model version answered to every benchmark item, and how the answer scored; the bits per "
    "byte of every held-out text. Models are compared item by item with these rows (`nemotron compare`).",
    columns=(
        ID,
        Column("parents", "list[string]", "id of the benchmark item, or of the row with the held-out text"),
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column("task", "string", "benchmark of the item (gsm8k; gsm8k_thinking: the model was asked in its chat "
            "template and thought), or kind of held-out text (held_out_code)"),
        Column("item", "string", "id of the benchmark item, or of the row with the held-out text, as in parents"),
        Column("run", "int32", "number of the answer among the answers of the model to this item, from 0"),
        Column(
            "metric",
            "string",
            "what is measured: acc and acc_norm (the likeliest choice, also by its length), right (a written answer), "
            "instructions (the share of a prompt's instructions that were followed), or bits_per_byte",
        ),
        Column("score", "float64", "1 for a right answer, 0 for a wrong one, a share, or bits per byte of the text"),
        Column(
            "weight",
            "float64",
            "weight of the item in the mean over the items of the task: bytes of a text, for the metric instructions "
            "their number, else 1",
        ),
        Column(
            "guessing",
            "float64",
            "score of guessing: 1/choices, 0 for free answers; for a text the bits per byte of a model that gives all "
            "tokens the same probability",
        ),
        Column("shots", "int32", "number of worked examples in the prompt"),
        Column(
            "answer",
            "string",
            "what the model wrote, with its thought, or the choice that it found most likely; null for a text",
            nullable=True,
        ),
        Column(
            "unigram_bits_per_byte",
            "float64",
            "entropy of single bytes of all texts of the task together; null for a benchmark item",
            nullable=True,
        ),
        Column(
            "gzip_bits_per_byte",
            "float64",
            "bits per byte that gzip -9 needs for all texts of the task together; null for a benchmark item",
            nullable=True,
        ),
        *MADE,
    ),
    part_by="model_id",
    parents=(
        "evaluate.benchmarks", "web.unique_documents", "math.nemotron_cc_math", "code.curated", "sft.procedural",
    ),
    origins={
        **origins_of_models(MODELS),
        "task": ("evaluate.benchmarks.benchmark",),
        "item": ("evaluate.benchmarks.id", *(f"{name.rpartition('.')[0]}.id" for name in HELD_OUT_COLUMNS)),
        "run": (),
        "metric": (),
        "shots": (),
        "weight": HELD_OUT_COLUMNS,
        "guessing": ("evaluate.benchmarks.choices", *HELD_OUT_COLUMNS),
        "unigram_bits_per_byte": HELD_OUT_COLUMNS,
        "gzip_bits_per_byte": HELD_OUT_COLUMNS,
        "*": (*_READ, *_WEIGHTS),
    },
)  # fmt: skip

TABLES = [ITEM_RESULTS]
