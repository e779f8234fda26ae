"""Declares the table of what each rule keeps as its threshold moves."""

from __future__ import annotations

from nemotron_assets.code.quality.tables import ANNOTATIONS
from nemotron_assets.code.sources.tables import FILES, REPOSITORIES
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import MEASURES, VERDICTS

#: The tables that are read: the stored numbers, and what they are counted by.
READ = (MEASURES, VERDICTS, UNIQUE_DOCUMENTS, ANNOTATIONS, REPOSITORIES, PAGES, FILES)

THRESHOLDS = Table(
    "audit",
    "thresholds",
    "What each rule of the web and code data keeps by itself, per source, host, language and repository, at the "
    "recipe's threshold and at multiples of it: one row per rule, name and multiple. A rule that keeps everything of a "
    "name at every multiple has no rows for it.",
    (
        ID,
        Column("measured", "string", "table with the numbers: web.measures or code.annotations"),
        Column("rule", "string", "column of this table that the rule compares, such as digit_share"),
        Column("bound", "string", "min or max: whether the rule keeps what is at least or at most the threshold"),
        Column(
            "by",
            "string",
            "what is counted by: source (snapshot of a page, or source of a repository), host, language or repository",
        ),
        Column("name", "string", "source, host, language or repository"),
        Column("factor", "float64", "the recipe's threshold is multiplied by this; 1 is the recipe's own"),
        Column(
            "threshold",
            "float64",
            "the threshold that is tried; null if the languages under this name have several",
            nullable=True,
        ),
        Column("rows", "int64", "documents or files under this name that the rule applies to"),
        Column(
            "kept", "int64", "how many of them the rule keeps at this threshold; it never drops what was not measured"
        ),
        Column("kept_share", "float64", "kept divided by rows, 0 to 1"),
    ),
    group="removals",
    origins={
        "*": tuple(f"{table.full_name}.id" for table in READ),
    },
)

TABLES = [THRESHOLDS]
