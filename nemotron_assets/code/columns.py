"""Columns that several tables of the code pipeline share."""

from __future__ import annotations

from nemotron_assets.table.schema import Column

REPO = Column(
    "repo",
    "string",
    "repository as owner/name, for example numpy/numpy. A name can be given to another repository later: only repo and "
    "commit_id together are unique",
)
COMMIT_ID = Column(
    "commit_id",
    "string",
    "commit that was read, as hex digits; a hash of the content if the source does not know the commit",
)
REL_PATH = Column("rel_path", "string", "path of the file inside its repository, for example src/main.c")
LANGUAGE = Column(
    "language",
    "string",
    "programming or markup language: the name on the dataset card of Nemotron-Pretraining-Code (Python, C++, "
    "JupyterNotebook), else the name that GitHub's Linguist uses (Kotlin); unknown if neither the file's name nor its "
    "content shows the language",
)
CONTENT = Column("content", "string", "text of the file: decoded, without a byte order mark, otherwise unchanged")
BYTES = Column("bytes", "int64", "size of the file in its repository, in bytes")
