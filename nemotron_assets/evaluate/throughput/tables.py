"""Declares the table of speeds: each model beside a plain Transformer of its size in the same engine."""

from __future__ import annotations

from nemotron_assets.evaluate.suite.tables import MODELS, origins_of_models
from nemotron_assets.evaluate.tables import MADE, MODEL, MODEL_ID, MODEL_VERSION
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table

_SPREAD = "the slowest of ours beside the fastest of the Transformer"

THROUGHPUT = Table(
    schema="evaluate",
    name="throughput",
    description="Speed of model versions beside a plain Transformer of their size in the same vLLM engine, with random "
    "weights, by length and size of the batch. Compare ratios alone: tokens per second are those of one machine.",
    columns=(
        ID,
        MODEL,
        MODEL_ID,
        MODEL_VERSION,
        Column("parameters", "int64", "parameters of the model"),
        Column("peer", "string", "the plain Transformer: kind, layers and width"),
        Column("peer_parameters", "int64", "parameters of the plain Transformer"),
        Column("device", "string", "kind of the device: cpu or cuda"),
        Column("input_tokens", "int64", "tokens of every prompt"),
        Column("output_tokens", "int64", "tokens written to every prompt"),
        Column("batch", "int64", "requests that ran together"),
        Column("runs", "int64", "measurements; the speeds are their medians"),
        Column("prefill_rate", "float64", "tokens of prompts per second, until every request had its first token"),
        Column("peer_prefill_rate", "float64", "the same of the plain Transformer"),
        Column("prefill_ratio", "float64", "prefill_rate / peer_prefill_rate"),
        Column("decode_rate", "float64", "tokens written per second after the first of every request, of all together"),
        Column("peer_decode_rate", "float64", "the same of the plain Transformer"),
        Column("decode_ratio", "float64", "decode_rate / peer_decode_rate; above 1 the model is faster"),
        Column("decode_ratio_low", "float64", f"smallest decode ratio that the runs allow: {_SPREAD}"),
        Column("decode_ratio_high", "float64", "largest decode ratio that the runs allow"),
        *MADE,
    ),
    part_by="model_id",
    origins={
        **origins_of_models(MODELS),
        **dict.fromkeys(("device", "input_tokens", "output_tokens", "batch", "runs"), ()),
        "*": tuple(f"{table.full_name}.uri" for table in MODELS.values()),
    },
)

TABLES = [THROUGHPUT]
