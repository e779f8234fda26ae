"""The tables that deduplication reads and writes: those of the web, or of another corpus with the same columns."""

from __future__ import annotations

from dataclasses import dataclass

from nemotron_assets.table import Table
from nemotron_assets.web.dedup.tables import DUPLICATES, NEAR_DUPLICATES, SIGNATURES
from nemotron_assets.web.tables import DOCUMENTS


@dataclass(frozen=True)
class Family:
    """`documents` have id, snapshot, warc_file (their part), fetched_at, content_hash, language, characters and text;
    the other three have the columns of the tables of the same name in web/dedup/tables.py."""

    documents: Table
    signatures: Table
    near_duplicates: Table
    duplicates: Table


WEB = Family(DOCUMENTS, SIGNATURES, NEAR_DUPLICATES, DUPLICATES)
