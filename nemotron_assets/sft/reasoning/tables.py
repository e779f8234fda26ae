"""The table of fundamental reasoning."""

from __future__ import annotations

from nemotron_assets.sft.columns import SFT_COLUMNS
from nemotron_assets.table.schema import Column, Table

FUNDAMENTAL_REASONING = Table(
    "sft",
    "fundamental_reasoning",
    "Logical, reading and analytical questions with options, with a chain of thought whose answer most samples agree "
    "on (Nemotron Nano 2 §2.3.2). One row per question.",
    (
        *SFT_COLUMNS,
        Column("kind", "string", "kind of the question: logical, reading or analytical"),
        Column("choices", "list[string]", "options of the question, in the order in which the row shows them"),
        Column("result", "string", "the answer without its letter: the text of the option"),
        Column("place", "int32", "place of the answer among the options, from 0"),
    ),
    parents=("sft.seeds",),
    origins={
        "generator": ("models.sft_writers.name",),
        "kind": (),
        "status": (),
        "origin_hash": (
            "sft.seeds.content_hash",
            "sft.seeds.page_hash",
        ),
        "*": ("sft.seeds.question", "sft.seeds.text"),
    },
)

TABLES = [FUNDAMENTAL_REASONING]
