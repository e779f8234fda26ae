"""Tables of deduplication: who resembles whom, and what remains."""

from __future__ import annotations

from nemotron_assets.table import CONTENT_HASH, ID, PARENTS, SNAPSHOT, Column, Table
from nemotron_assets.web.columns import CHARACTERS, FETCHED_AT, HOST, LANGUAGE, TEXT, URL

DUPLICATES = Table(
    "web",
    "duplicates",
    "Documents whose text is already in an earlier document of any snapshot, and which one that is.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("duplicate_of", "string", "id of the document that is kept"),
        Column("duplicate_of_snapshot", "string", "snapshot of the document that is kept"),
        Column("kind", "string", "how they are alike: exact (same text)"),
        Column("similarity", "float64", "1.0 for the same text"),
    ),
    partition_by="snapshot",
    parents=("web.documents",),
)

UNIQUE_DOCUMENTS = Table(
    "web",
    "unique_documents",
    "Documents without the duplicates: every text once over all snapshots, where it was seen first.",
    (ID, PARENTS, SNAPSHOT, URL, HOST, FETCHED_AT, LANGUAGE, TEXT, CHARACTERS, CONTENT_HASH),
    partition_by="snapshot",
    parents=("web.documents",),
)

TABLES = [DUPLICATES, UNIQUE_DOCUMENTS]
