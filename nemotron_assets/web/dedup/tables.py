"""Tables of deduplication: signatures of texts, near-duplicates, duplicates, repeated spans, unique documents."""

from __future__ import annotations

from nemotron_assets.dedup.corpus import CorpusTables
from nemotron_assets.table.columns import (
    CHARACTERS,
    CONTENT_HASH,
    FETCHED_AT,
    HOST,
    ID,
    LANGUAGE,
    PARENTS,
    SNAPSHOT,
    TEXT,
    URL,
)
from nemotron_assets.table.schema import Column, Table
from nemotron_assets.web.tables import DOCUMENTS

SIGNATURES = Table(
    "web",
    "signatures",
    "MinHash signature and LSH bands of every distinct text of a snapshot. A text that several documents have stands "
    "here once, with its earliest document.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("warc_file", "string", "WARC file that the document came from, as in snapshots.pages"),
        FETCHED_AT,
        CONTENT_HASH,
        LANGUAGE,
        CHARACTERS,
        Column("unit", "string", "unit of the shingles that were hashed: words or characters"),
        Column(
            "scheme",
            "string",
            "how the signature was made: definition of shingles, hash functions, bands; only signatures with the same "
            "scheme can be compared",
        ),
        Column(
            "signature",
            "binary",
            "MinHash signature: one uint32 (little-endian) per permutation, the hashvalues of datasketch's MinHash",
        ),
        Column(
            "bands",
            "binary",
            "hashes of the signature's bands: one int64 (little-endian) per band; texts with an equal hash are "
            "candidates for near-duplicates; empty if the text has no shingles; view web.bands has one row per band",
        ),
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("web.documents",),
    uncompressed=("parents", "content_hash", "signature", "bands"),
    origins={
        "*": ("web.documents.text", "web.documents.language"),
    },
)

NEAR_DUPLICATES = Table(
    "web",
    "near_duplicates",
    "Pairs of similar but different texts. The first document is of this snapshot, the second of this or an earlier "
    "one; each is the earliest document with its text in its snapshot. Texts that two snapshots share are in no pair "
    "between these snapshots, because their pairs are listed inside each of them.",
    (
        ID,
        Column(
            "parents",
            "list[string]",
            "ids of the two documents; the first one is of this snapshot, and the later one if both are",
        ),
        SNAPSHOT,
        Column("other_snapshot", "string", "snapshot of the second document"),
        Column("content_hash", "string", "content_hash of the first document"),
        Column("other_content_hash", "string", "content_hash of the second document"),
        Column(
            "similarity", "float64", "exact Jaccard similarity of the two texts' sets of shingles, 0 to 1, such as 0.87"
        ),
        Column(
            "containment",
            "float64",
            "share of the smaller set of shingles that the larger one has, too, 0 to 1; 1.0 for a text that stands "
            "whole in the other one; null in rows of an older version",
            nullable=True,
        ),
    ),
    partition_by="snapshot",
    part_by="other_snapshot",
    parents=("web.documents",),
    origins={
        "other_snapshot": ("web.documents.snapshot",),
        "content_hash": ("web.signatures.content_hash",),
        "other_content_hash": ("web.signatures.content_hash",),
        "*": ("web.signatures.bands", "web.signatures.signature", "web.documents.text"),
    },
)

DUPLICATES = Table(
    "web",
    "duplicates",
    "Documents that are dropped because a kept document has the same or nearly the same text, with that kept document.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column(
            "document",
            "string",
            "id of the document that is dropped, the same as in the column parents; null in rows that an older "
            "version of the program wrote",
            nullable=True,
        ),
        Column("duplicate_of", "string", "id of the kept document that this document duplicates"),
        Column("duplicate_of_snapshot", "string", "snapshot of the kept document"),
        Column("kind", "string", "exact: both documents have the same text; near: their texts are similar"),
        Column(
            "similarity",
            "float64",
            "Jaccard similarity of the two texts' sets of shingles, 0 to 1; 1.0 for an exact duplicate",
        ),
        Column(
            "cluster",
            "string",
            "id of the earliest document of the cluster: of all documents that are linked to this one by a chain of "
            "duplicates",
        ),
    ),
    partition_by="snapshot",
    parents=("web.documents",),
    version=2,
    origins={
        "duplicate_of": ("web.documents.id",),
        "duplicate_of_snapshot": ("web.documents.snapshot",),
        "*": ("web.documents.content_hash", "web.near_duplicates.parents", "web.near_duplicates.similarity"),
    },
)

REPEATED_SPANS = Table(
    "web",
    "repeated_spans",
    "Spans of kept documents that repeat an earlier kept document byte for byte, and documents that are dropped "
    "because too little or nothing new is left without the spans. web.unique_documents contains neither.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column(
            "chunk",
            "string",
            "group of texts that was searched together, such as 1 of 4; rest for rows about whole documents",
        ),
        Column("start", "int64", "offset of the span's first byte in the document's UTF-8 text; 0 where chunk is rest"),
        Column("end", "int64", "offset of the byte after the span; 0 where chunk is rest"),
        Column(
            "why",
            "string",
            "repeated: the span repeats earlier bytes; same_rest: the document is dropped because an earlier document "
            "has the same text without its spans; too_short: the document is dropped because too little of it is left",
        ),
        Column(
            "first_document",
            "string",
            "id of the document with the first occurrence of the span, or with the same remaining text; the document "
            "itself for too_short",
        ),
        Column("first_snapshot", "string", "snapshot of the column first_document"),
        Column("rest_hash", "string", "content_hash of the document's text without its repeated spans"),
        Column(
            "rest_characters",
            "int64",
            "length of the document's text without its repeated spans, in Unicode code points; 0 where chunk is rest",
        ),
    ),
    partition_by="snapshot",
    part_by="chunk",
    parents=("web.documents",),
    origins={
        "first_document": ("web.documents.id",),
        "first_snapshot": ("web.documents.snapshot",),
        "*": ("web.documents.text", "web.duplicates.id"),
    },
)

UNIQUE_DOCUMENTS = Table(
    "web",
    "unique_documents",
    "Documents that are not duplicates, without repeated spans: every text is kept once over all snapshots, where it "
    "was seen first.",
    (ID, PARENTS, SNAPSHOT, URL, HOST, FETCHED_AT, LANGUAGE, TEXT, CHARACTERS, CONTENT_HASH),
    partition_by="snapshot",
    parents=("web.documents",),
    origins={
        "*": ("web.documents.text", "web.repeated_spans.start", "web.repeated_spans.end"),
        "text": ("web.documents.text", "web.repeated_spans.start", "web.repeated_spans.end"),
    },
)

#: The tables that nemotron_assets/dedup/ reads and writes for the web.
CORPUS = CorpusTables(DOCUMENTS, SIGNATURES, NEAR_DUPLICATES, DUPLICATES)

TABLES = [SIGNATURES, NEAR_DUPLICATES, DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS]
