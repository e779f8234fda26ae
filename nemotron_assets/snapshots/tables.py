"""The tables of the snapshots: what the crawl offers, what was ingested by hand, the pages, and every record's fate."""

from __future__ import annotations

from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS, SNAPSHOT
from nemotron_assets.table.schema import Column, Table

CATALOG = Table(
    "snapshots",
    "catalog",
    "The crawl snapshots the source offers, and the data sets ingested by hand.",
    (
        ID,
        SNAPSHOT,
        Column("name", "string", "the source's own name of the snapshot"),
        Column("from_date", "timestamp", "first fetch of the snapshot", nullable=True),
        Column("to_date", "timestamp", "last fetch of the snapshot", nullable=True),
        Column("source", "string", "where it comes from: the recipe's source, or 'ingest'"),
        Column("warc_files", "int64", "files of the snapshot; null for a snapshot outside the window", nullable=True),
        Column("in_window", "bool", "whether the recipe's window takes it"),
    ),
)

INGESTED = Table(
    "snapshots",
    "ingested",
    "Files named to `nemotron ingest`, and how each is read; the pages of such a snapshot are made from them.",
    (
        ID,
        SNAPSHOT,
        Column("file", "string", "what the file is called in snapshots.pages.warc_file"),
        Column("path", "string", "where it was when it was named"),
        Column("format", "string", "warc, parquet or jsonl"),
        Column("text_column", "string", "column with plain text; null when HTML is read", nullable=True),
        Column("html_column", "string", "column with HTML; null when text is read", nullable=True),
        Column("url_column", "string", "column with addresses; null for made-up ones", nullable=True),
        Column("fingerprint", "string", "size and hash of the file's two ends"),
        Column("at", "timestamp", "when it was named", volatile=True),
    ),
    partition_by="snapshot",
)

PAGES = Table(
    "snapshots",
    "pages",
    "Web pages as they were fetched: one row per usable response record, its body after transfer and content decoding.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("url", "string", "address that was fetched"),
        Column("host", "string", "host name of the address, lower case, without port"),
        Column("fetched_at", "timestamp", "when it was fetched"),
        Column("status", "int32", "HTTP status"),
        Column("mime", "string", "media type, from the bytes where the declared one says nothing"),
        Column("charset", "string", "encoding of the bytes, by its WHATWG name"),
        Column("charset_source", "string", "evidence that decided the encoding: bom, header, meta, content or default"),
        Column("html", "binary", "the body's bytes, not yet decoded to text"),
        Column("payload_digest", "string", "SHA-1 of the payload as the WARC file writes it (sha1:BASE32)"),
        CONTENT_HASH,
        Column("warc_file", "string", "path of the file in the crawl, or name of the ingested file"),
        Column("warc_offset", "int64", "first byte of the record in the file; row number for Parquet and JSON lines"),
        Column("warc_length", "int64", "bytes of the record in the file; 0 for Parquet and JSON lines"),
        Column("fate", "string", "page, or charset_corrected where the declared encoding was wrong"),
    ),
    partition_by="snapshot",
    part_by="warc_file",
)

RECORDS = Table(
    "snapshots",
    "records",
    "What became of every record of every WARC file: counts per fate. The fates are explained in snapshots/warc.py.",
    (
        ID,
        SNAPSHOT,
        Column("warc_file", "string", "path of the file in the crawl, or name of the ingested file"),
        Column("fate", "string", "the one fate of these records"),
        Column("records", "int64", "records"),
        Column("bytes", "int64", "bytes of their bodies; of the file, for bytes that are no record"),
        Column("state", "string", "what the file was when it was counted, and by which run", volatile=True),
    ),
    partition_by="snapshot",
)

TABLES = [CATALOG, INGESTED, PAGES, RECORDS]
