"""The four tables of a corpus that deduplication reads and writes."""

from __future__ import annotations

from dataclasses import dataclass

from nemotron_assets.table.schema import Table


@dataclass(frozen=True)
class Family:
    """`documents` have id, snapshot, warc_file (their part), fetched_at, content_hash, language, characters and text;
    the other three have the columns of the tables of the same name in web/dedup/tables.py."""

    documents: Table
    signatures: Table
    near_duplicates: Table
    duplicates: Table
