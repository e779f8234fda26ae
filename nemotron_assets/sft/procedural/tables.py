"""Declares the table of questions that programs make and check."""

from __future__ import annotations

from nemotron_assets.sft.columns import SFT_COLUMNS
from nemotron_assets.table.schema import Column, Table

PROCEDURAL = Table(
    "sft",
    "procedural",
    "Questions that programs make and check: tasks of reasoning-gym. `answer` is the task's own (gold) answer, which "
    "the task's scorer finds right. Not part of a published config. Rows of the test split are never trained on, and "
    "no question stands twice.",
    (
        *SFT_COLUMNS,
        Column("task", "string", "name of the task in reasoning-gym, for example spell_backward"),
        Column("difficulty", "string", "easy, medium or hard, as the recipe defines them for the task"),
        Column("split", "string", "train, or test: only for scoring"),
        Column("config", "string", "config of the task as a JSON object; together with seed and item_index it is all "
               "that is needed to make the row again"),
        Column("seed", "int64", "seed of the task's items"),
        Column("item_index", "int64", "index of the item among the items with this seed, counted from 0"),
    ),
    part_by="task",
)  # fmt: skip

TABLES = [PROCEDURAL]
