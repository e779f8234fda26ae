"""Declares the table of what each step removes, per source, host, language and repository."""

from __future__ import annotations

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.quality.tables import CURATED as CURATED_CODE
from nemotron_assets.code.sources.tables import DUPLICATES as DUPLICATE_FILES
from nemotron_assets.code.sources.tables import FILES, REPOSITORIES
from nemotron_assets.math.corpus.tables import CLEANED, NEMOTRON_CC_MATH
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality.tables import CURATED, MULTILINGUAL
from nemotron_assets.web.tables import DOCUMENTS

#: The tables that are counted.
READ = (
    PAGES, DOCUMENTS, UNIQUE_DOCUMENTS, CURATED, MULTILINGUAL, CANDIDATE_PAGES, RENDERED, CLEANED, NEMOTRON_CC_MATH,
    REPOSITORIES, FILES, LICENSES, DUPLICATE_FILES, CURATED_CODE,
)  # fmt: skip

REMOVALS = Table(
    "audit",  # not lake: that is the name of the catalog in DuckDB, and a name must not be both
    "removals",
    "What each step of the web, mathematics and code data removes, per source, host, language and repository: one row "
    "per step and name, of names with at least the recipe's number of rows before the step.",
    (
        ID,
        Column("step", "string", "table that the step makes, such as web.unique_documents"),
        Column("made_from", "string", "table with the rows before the step, such as web.documents"),
        Column(
            "by",
            "string",
            "what the rows are counted by: source (snapshot of a page, or source of a repository), host, language or "
            "repository",
        ),
        Column("name", "string", "source, host, language or repository"),
        Column("before", "int64", "rows with this name before the step"),
        Column("after", "int64", "rows with this name after the step"),
        Column("removed_share", "float64", "share of the rows that the step removed, 0 to 1"),
    ),
    group="removals",
    origins={
        "*": tuple(f"{table.full_name}.id" for table in READ),
    },
)

TABLES = [REMOVALS]
