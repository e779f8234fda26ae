"""The four tables of a corpus that deduplication reads and writes."""

from __future__ import annotations

from dataclasses import dataclass

from nemotron_assets.table.schema import Table


@dataclass(frozen=True)
class CorpusTables:
    """The tables of one corpus, such as the documents of the web or the cleaned pages of the mathematics corpus.

    `documents` has the columns id, snapshot, warc_file (its part), fetched_at, content_hash, language, characters and
    text. The other three have the columns of the tables with the same names in web/dedup/tables.py.
    """

    documents: Table
    signatures: Table
    near_duplicates: Table
    duplicates: Table
