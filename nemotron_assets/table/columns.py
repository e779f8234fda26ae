"""Columns that tables of several stages share, declared once so that they mean the same everywhere."""

from __future__ import annotations

from nemotron_assets.table.schema import Column

ID = Column("id", "string", "xxh3-128 hex of the table and the row's natural key; stable across runs")
PARENTS = Column("parents", "list[string]", "ids of the rows this row was made from")
SOURCES = Column("sources", "list[string]", "table that each of the parents stands in")
SNAPSHOT = Column("snapshot", "string", "crawl snapshot or name of the ingested data set")
CONTENT_HASH = Column("content_hash", "string", "xxh3-128 hex of the content; equal contents have equal hashes")

# Web pages, and everything that is made of one page.
URL = Column("url", "string", "address the page was fetched from")
HOST = Column("host", "string", "host name of the address, lower case, without port")
FETCHED_AT = Column("fetched_at", "timestamp", "when the page was fetched, UTC")
LANGUAGE = Column(
    "language", "string", "language code as fastText's lid.176 gives it: ISO 639-1 (en), else 639-3 (ceb)"
)
TEXT = Column("text", "string", "readable text, paragraphs separated by blank lines, Unicode repaired")
CHARACTERS = Column("characters", "int64", "length of the text in Unicode code points")
