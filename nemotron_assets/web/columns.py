"""Columns that several tables of the web pipeline share."""

from __future__ import annotations

from nemotron_assets.table import Column

URL = Column("url", "string", "address the page was fetched from")
HOST = Column("host", "string", "host name of the address, lower case, without port")
FETCHED_AT = Column("fetched_at", "timestamp", "when the page was fetched")
LANGUAGE = Column("language", "string", "as fastText's lid.176 names it: ISO 639-1, else 639-3; Bokmål is 'no'")
TEXT = Column("text", "string", "readable text, paragraphs separated by blank lines, Unicode repaired")
CHARACTERS = Column("characters", "int64", "length of the text in Unicode code points")
