"""Columns that several tables of the code pipeline share."""

from __future__ import annotations

from nemotron_assets.table.schema import Column

REPO = Column("repo", "string", "repository as owner/name; names are not unique over time, with the commit they are")
COMMIT_ID = Column("commit_id", "string", "commit the file is of, in hex; a hash of the content where there is none")
REL_PATH = Column("rel_path", "string", "path inside the repository, with forward slashes")
LANGUAGE = Column(
    "language",
    "string",
    "as the release's card names it (Python, C++, JupyterNotebook); others as Linguist names "
    "them; unknown where nothing tells",
)
CONTENT = Column("content", "string", "the file's text, decoded and without a byte order mark, otherwise unchanged")
BYTES = Column("bytes", "int64", "size of the file as it is in the repository, in bytes")
