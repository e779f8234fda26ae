"""Tables of the snapshots: the snapshots on offer, the files ingested by hand, the pages, the fates of all records."""

from __future__ import annotations

from nemotron_assets.table.columns import CONTENT_HASH, ID, PARENTS, SNAPSHOT
from nemotron_assets.table.schema import Column, Table

CATALOG = Table(
    "snapshots",
    "catalog",
    "The crawl snapshots that the source offers, and the data sets ingested with `nemotron ingest`.",
    (
        ID,
        SNAPSHOT,
        Column("name", "string", "title of the snapshot at its source, such as 'December 2024 Index'"),
        Column("from_date", "timestamp", "when the crawl of the snapshot began; null if unknown", nullable=True),
        Column("to_date", "timestamp", "when the crawl of the snapshot ended; null if unknown", nullable=True),
        Column(
            "source", "string", "where the snapshot comes from: a folder or URL, 'sample', or 'ingest' for own data"
        ),
        Column(
            "warc_files",
            "int64",
            "number of files of the snapshot; null for a snapshot outside the recipe's window",
            nullable=True,
        ),
        Column("in_window", "bool", "true if the snapshot is in the recipe's window, so that its pages are read"),
    ),
)

INGESTED = Table(
    "snapshots",
    "ingested",
    "Files named to `nemotron ingest`, and how to read each. The pages of an ingested snapshot are made from them.",
    (
        ID,
        SNAPSHOT,
        Column(
            "file",
            "string",
            "short name of the file, by which snapshots.pages.warc_file refers to it; for a range of a large file with "
            "the number of the range: texts.jsonl#00002",
        ),
        Column("path", "string", "absolute path of the file when it was ingested"),
        Column("format", "string", "format of the file: warc, parquet or jsonl"),
        Column("text_column", "string", "column that holds the plain text; null if HTML is read", nullable=True),
        Column("html_column", "string", "column that holds the HTML; null if plain text is read", nullable=True),
        Column(
            "url_column",
            "string",
            "column that holds a page's address; null to use the column url, uri or link, or a made-up address",
            nullable=True,
        ),
        Column("fingerprint", "string", "size of the file, and a hash of its first and last 64 KiB"),
        Column("at", "timestamp", "when `nemotron ingest` first named the file with this content", volatile=True),
        Column(
            "whole_file",
            "string",
            "short name of the file that this is a range of; null for a whole file",
            nullable=True,
        ),
        Column(
            "first",
            "int64",
            "where the range begins: an offset in bytes, of Parquet the number of a row group; null for a whole file",
            nullable=True,
        ),
        Column("end", "int64", "where the next range begins, as in the column first", nullable=True),
        Column("first_row", "int64", "rows before the range; 0 for WARC files, null for a whole file", nullable=True),
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
        Column("url", "string", "address from which the page was fetched"),
        Column(
            "host",
            "string",
            "host name of the address, lower case, without port; if the address has no host, the name of the file and "
            "the number of its stretch (100 rows, or 1 MiB of a WARC file): ingest:mine/texts.jsonl#0",
        ),
        Column("fetched_at", "timestamp", "when the page was fetched"),
        Column("status", "int32", "HTTP status of the response; always 200"),
        Column(
            "mime", "string", "media type, such as text/html; recognised from the bytes if the declared one is generic"
        ),
        Column("charset", "string", "character encoding of the bytes by its WHATWG name, such as utf-8"),
        Column(
            "charset_source",
            "string",
            "evidence for the encoding: bom, header (HTTP), meta (markup), content (detected in the bytes) or default",
        ),
        Column(
            "http_headers",
            "string",
            "fields of the HTTP header that concern the use of the page (x-robots-tag, tdm-reservation, tdm-policy, "
            "content-usage) as a JSON object; null if the response has none of them",
            nullable=True,
        ),
        Column(
            "opt_outs",
            "list[string]",
            "opt-outs of AI training in the page itself, in its HTTP header or its <meta> elements: noai, noimageai, "
            "tdm-reservation; null in rows of an older version, which did not look for them",
            nullable=True,
        ),
        Column("html", "binary", "body of the response, as bytes in the encoding of the column charset"),
        Column("payload_digest", "string", "SHA-1 of the payload as the WARC file writes it: sha1: and base32"),
        CONTENT_HASH,
        Column(
            "warc_file",
            "string",
            "path of the WARC file in the crawl, or short name of the ingested file; for a range of a large ingested "
            "file with the number of the range: texts.jsonl#00002",
        ),
        Column(
            "warc_offset",
            "int64",
            "offset of the record in the file, in bytes; for Parquet and JSON lines the row number, from 0",
        ),
        Column(
            "warc_length", "int64", "length of the record in the file, in bytes; 0 for rows of Parquet and JSON lines"
        ),
        Column(
            "warc_inner_offset",
            "int64",
            "for a record that shares its gzip member with an earlier record: its offset in the content of the member, "
            "whose bytes are warc_offset and warc_length; null for all other records",
            nullable=True,
        ),
        Column("fate", "string", "page, or charset_corrected if the bytes contradict the declared encoding"),
    ),
    partition_by="snapshot",
    part_by="warc_file",
    origins={
        "snapshot": ("snapshots.catalog.snapshot",),
    },
)

RECORDS = Table(
    "snapshots",
    "records",
    "How many records of each WARC file became pages, and how many did not and why: one row per file and fate.",
    (
        ID,
        SNAPSHOT,
        Column("warc_file", "string", "path of the WARC file in the crawl, or short name of the ingested file"),
        Column(
            "fate",
            "string",
            "what became of the records: page, charset_corrected (both kept), other_record, revisit, malformed, "
            "redirect, not_200, too_large, empty, not_html, truncated, damaged, broken_file, forgotten (on "
            "request, by `nemotron forget`) or empty_file",
        ),
        Column("records", "int64", "number of records of the file with this fate"),
        Column(
            "bytes",
            "int64",
            "bytes of the bodies of these records, as declared if not read; for damaged data, bytes in the file",
        ),
        Column(
            "state",
            "string",
            "fingerprint of the file when its records were counted, then # and the run's id",
            volatile=True,
        ),
    ),
    partition_by="snapshot",
    origins={
        "snapshot": ("snapshots.pages.snapshot",),
        "warc_file": ("snapshots.pages.warc_file",),
    },
)

TABLES = [CATALOG, INGESTED, PAGES, RECORDS]
