"""The tables of the web pipeline: documents, the fate of every page, duplicates, the rest, and what is made of it."""

from __future__ import annotations

from nemotron_assets.table import CONTENT_HASH, ID, PARENTS, SNAPSHOT, Column, Table

_URL = Column("url", "string", "address the page was fetched from")
_HOST = Column("host", "string", "host name of the address, lower case, without port")
_FETCHED_AT = Column("fetched_at", "timestamp", "when the page was fetched")
_LANGUAGE = Column("language", "string", "as fastText's lid.176 names it: ISO 639-1, else 639-3; Bokmål is 'no'")
_TEXT = Column("text", "string", "readable text, paragraphs separated by blank lines, Unicode repaired")
_CHARACTERS = Column("characters", "int64", "length of the text in Unicode code points")

DOCUMENTS = Table(
    "web",
    "documents",
    "Readable text of web pages, without navigation and boilerplate, with its language (Nemotron-CC §2.1).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("warc_file", "string", "file the page came in, as in snapshots.pages"),
        _URL,
        _HOST,
        _FETCHED_AT,
        _LANGUAGE,
        Column("language_score", "float64", "the detector's confidence, 0 to 1"),
        Column("title", "string", "the page's <title>, at most 500 characters", nullable=True),
        _TEXT,
        _CHARACTERS,
        CONTENT_HASH,
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("snapshots.pages",),
)

EXTRACTION = Table(
    "web",
    "extraction",
    "What became of the pages of every WARC file: documents, or the reason why not. The reasons are in web/extract.py.",
    (
        ID,
        SNAPSHOT,
        Column("warc_file", "string", "file the pages came in"),
        Column("fate", "string", "document, no_text, too_short, language_unsure or rejected (see quarantine.rows)"),
        Column("pages", "int64", "pages with this fate"),
        Column("characters", "int64", "characters of text they had"),
        Column("state", "string", "what the counts were made from", volatile=True),
    ),
    partition_by="snapshot",
)

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
    (ID, PARENTS, SNAPSHOT, _URL, _HOST, _FETCHED_AT, _LANGUAGE, _TEXT, _CHARACTERS, CONTENT_HASH),
    partition_by="snapshot",
    parents=("web.documents",),
)

DIVERSE_QA = Table(
    "web",
    "diverse_qa",
    "Segments of English documents followed by questions and answers about them (Diverse QA, Nemotron-CC §2.4).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("text", "string", "the segment, a blank line, and the question/answer pairs"),
        Column("question_count", "int32", "pairs in the text"),
        Column("prompt", "string", "name of the prompt"),
        Column("generator", "string", "model that wrote the pairs"),
        Column("generation_id", "string", "row of llm.generations the pairs come from"),
        _LANGUAGE,
        Column("tokens", "int64", "tokens of the text, in the generator's vocabulary"),
    ),
    partition_by="snapshot",
    parents=("web.unique_documents",),
)

TABLES = [DOCUMENTS, EXTRACTION, DUPLICATES, UNIQUE_DOCUMENTS, DIVERSE_QA]
