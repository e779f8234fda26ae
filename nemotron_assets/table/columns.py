"""Declares the columns that tables of several stages share, so that a column means the same in every table."""

from __future__ import annotations

from nemotron_assets.table.schema import Column

ID = Column(
    "id", "string", "id of the row, the same in all runs: xxh3-128 hex of the table's name and the row's natural key"
)
PARENTS = Column("parents", "list[string]", "ids of the rows that this row was made from")
SOURCES = Column("sources", "list[string]", "table of each id in parents, in the same order, for example web.documents")
SNAPSHOT = Column(
    "snapshot", "string", "crawl snapshot of the row, for example CC-MAIN-2024-51, or the name of an ingested data set"
)
CONTENT_HASH = Column(
    "content_hash", "string", "hash of the row's content, xxh3-128 hex; rows with equal contents have equal hashes"
)

# Columns of web pages, and of all rows that are made of one page.
URL = Column("url", "string", "address that the page was fetched from")
HOST = Column(
    "host",
    "string",
    "host name of the page's address, in lower case and without port: www.example.org; if the address has no host, the "
    "name of the file and the number of its stretch (100 rows, or 1 MiB of a WARC file): ingest:mine/texts.jsonl#0",
)
FETCHED_AT = Column("fetched_at", "timestamp", "time when the page was fetched, UTC")
LANGUAGE = Column(
    "language",
    "string",
    "language code of fastText's lid.176: ISO 639-1 if there is one (en), else ISO 639-3 (ceb)",
)
TEXT = Column("text", "string", "readable text; blank lines separate its paragraphs, and damaged Unicode is repaired")
CHARACTERS = Column("characters", "int64", "length of the text in Unicode code points")
