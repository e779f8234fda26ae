"""The first tables of the web pipeline: documents and the fate of every page."""

from __future__ import annotations

from nemotron_assets.table.columns import (
    CHARACTERS,
    CONTENT_HASH,
    FETCHED_AT,
    HOST,
    ID,
    LANGUAGE,
    PARENTS,
    SNAPSHOT,
    TEXT,
    URL,
)
from nemotron_assets.table.schema import Column, Table

DOCUMENTS = Table(
    "web",
    "documents",
    "Readable text of web pages, without navigation and boilerplate, with its language (Nemotron-CC §2.1).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("warc_file", "string", "file the page came in, as in snapshots.pages"),
        URL,
        HOST,
        FETCHED_AT,
        LANGUAGE,
        Column("language_score", "float64", "the detector's confidence, 0 to 1"),
        Column("title", "string", "the page's <title>, at most 500 characters", nullable=True),
        TEXT,
        CHARACTERS,
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("snapshots.pages",),
    point_reads=True,
)

EXTRACTION = Table(
    "web",
    "extraction",
    "What became of the pages of every WARC file: documents, or the reason why not. The reasons are in web/extract.py.",
    (
        ID,
        SNAPSHOT,
        Column("warc_file", "string", "file the pages came in"),
        Column(
            "fate",
            "string",
            "document, blocked_host, blocked_url, no_text, too_short, language_unsure, personal_data or rejected (see "
            "quarantine.rows)",
        ),
        Column("pages", "int64", "pages with this fate"),
        Column("characters", "int64", "characters of text they had"),
        Column("state", "string", "what the counts were made from", volatile=True),
    ),
    partition_by="snapshot",
)

PRIVACY = Table(
    "web",
    "privacy",
    "Personal data found in the texts and titles of every WARC file's documents, per rule of the recipe.",
    (
        ID,
        SNAPSHOT,
        Column("warc_file", "string", "file the pages came in"),
        Column("rule", "string", "email, phone, ip, payment_card or iban"),
        Column("action", "string", "what the recipe does about it: keep, replace, or drop the document"),
        Column("documents", "int64", "documents in which the rule found something, dropped ones included"),
        Column("matches", "int64", "what it found in them"),
    ),
    partition_by="snapshot",
)

TABLES = [DOCUMENTS, EXTRACTION, PRIVACY]
