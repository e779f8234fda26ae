"""The tables that a removal makes again, so that what was dropped for a removed row comes back."""

from __future__ import annotations

from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.code.sources.tables import DUPLICATES as DUPLICATE_FILES
from nemotron_assets.code.sources.tables import FILES, REPOSITORIES
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from nemotron_assets.web.tables import DOCUMENTS

#: What is made again, in the order of the data. No model and no language model is among it. The list of repositories is
#: made again because the recipe may limit their number: then another one takes the place of the one that went.
MADE_AGAIN = (
    DOCUMENTS, SIGNATURES, NEAR_DUPLICATES, DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS, CANDIDATE_PAGES, RENDERED,
    REPOSITORIES, FILES, LICENSES, DUPLICATE_FILES,
)  # fmt: skip
#: Columns that say for which row another one was dropped or cut.
DROPPED_FOR = ("duplicate_of", "first_document", "cluster")
#: Tables of `MADE_AGAIN` with such columns. A row may come back with the same id, about another kept row.
RETURNING = tuple(table for table in MADE_AGAIN if {*DROPPED_FOR} & {*table.column_names})
