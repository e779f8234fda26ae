"""Declares the table of SFT data in other languages."""

from __future__ import annotations

from nemotron_assets.sft.columns import SFT_COLUMNS
from nemotron_assets.sft.tables_of import sft_tables_before
from nemotron_assets.table.schema import Column, Table

#: The tables whose rows can be translated.
SOURCES = sft_tables_before("sft.multilingual")

MULTILINGUAL_SFT = Table(
    "sft",
    "multilingual_sft",
    "Rows of SFT data translated line by line into 15 languages. Code, formulas, addresses and numbers are those of "
    "the English row; nobody verified the translation, so its status is unverified (Nano 2 §3.1).",
    (
        *SFT_COLUMNS,
        Column("source_status", "string", "status of the English row"),
        Column("detected_score", "float64", "confidence of the language detector in the row's language, 0 to 1"),
        Column("attempts", "int32", "number of times that lines of the row were asked for"),
    ),
    parents=tuple(table.full_name for table in SOURCES),
    origins={
        "generator": ("models.generator.name",),
        "source_status": tuple(f"{table.full_name}.status" for table in SOURCES),
        **dict.fromkeys(("language", "detected_score", "attempts"), ()),
        "*": tuple(f"{table.full_name}.text" for table in SOURCES),
    },
)

TABLES = [MULTILINGUAL_SFT]
