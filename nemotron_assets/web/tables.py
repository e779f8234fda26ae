"""Tables of the text extraction: documents, how many pages became one, and how much personal data was found."""

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
        Column("warc_file", "string", "path of the WARC file in the crawl, or short name of the ingested file"),
        URL,
        HOST,
        FETCHED_AT,
        LANGUAGE,
        Column("language_score", "float64", "confidence of the language detector in `language`, 0 to 1"),
        Column(
            "title",
            "string",
            "text of the page's <title> element, cut at 500 characters; null if the page has no title",
            nullable=True,
        ),
        TEXT,
        CHARACTERS,
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("snapshots.pages",),
    point_reads=True,
    origins={
        "*": ("snapshots.pages.html", "snapshots.pages.charset"),
    },
)

EXTRACTION = Table(
    "web",
    "extraction",
    "How many pages of every WARC file became documents, and how many did not for which reason. One row per WARC file "
    "and fate.",
    (
        ID,
        SNAPSHOT,
        Column("warc_file", "string", "path of the WARC file in the crawl, or short name of the ingested file"),
        Column(
            "fate",
            "string",
            "what became of the pages: document (kept), blocked_host or blocked_url (on an opt-out list), opt_out "
            "(the page itself opts out of AI training), no_text "
            "(nothing reads like prose), too_short, language_unsure (the detector's score is too low), personal_data "
            "(the recipe drops such documents) or rejected (failed; see quarantine.rows)",
        ),
        Column("pages", "int64", "number of pages with this fate"),
        Column(
            "characters",
            "int64",
            "characters of text that was extracted from these pages; 0 for pages that were blocked or rejected",
        ),
        Column(
            "state",
            "string",
            "what the counts were made from: hash of the file's pages, hash of code, recipe and opt-out lists, then # "
            "and the Dagster run; the file is extracted again when one of the hashes has changed",
            volatile=True,
        ),
    ),
    partition_by="snapshot",
    origins={
        "snapshot": ("web.documents.snapshot",),
        "warc_file": ("web.documents.warc_file",),
        "pages": ("snapshots.pages.id",),
        "characters": ("snapshots.pages.html",),
    },
)

PRIVACY = Table(
    "web",
    "privacy",
    "How much personal data was found in the texts and titles of documents. One row per WARC file and rule that found "
    "something.",
    (
        ID,
        SNAPSHOT,
        Column("warc_file", "string", "path of the WARC file in the crawl, or short name of the ingested file"),
        Column("rule", "string", "kind of personal data: email, phone, ip, payment_card or iban"),
        Column("action", "string", "what the recipe does about a match: keep it, replace it, or drop the document"),
        Column("documents", "int64", "number of documents with at least one match, dropped documents included"),
        Column("matches", "int64", "number of matches in the texts and titles of these documents"),
    ),
    partition_by="snapshot",
    origins={
        "snapshot": ("web.documents.snapshot",),
        "warc_file": ("web.documents.warc_file",),
        "*": ("snapshots.pages.html",),
    },
)

TABLES = [DOCUMENTS, EXTRACTION, PRIVACY]
