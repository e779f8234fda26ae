"""Tables of deduplication: signatures of texts, who resembles whom, what is repeated, and what remains."""

from __future__ import annotations

from nemotron_assets.dedup.family import Family
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
    "MinHash signature and LSH bands of every distinct text of a snapshot, at its earliest document.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("warc_file", "string", "file the document came in, as in snapshots.pages"),
        FETCHED_AT,
        CONTENT_HASH,
        LANGUAGE,
        CHARACTERS,
        Column("unit", "string", "what a shingle is a run of: words or characters"),
        Column("scheme", "string", "how it was signed; only texts of one scheme can be compared"),
        Column("signature", "binary", "uint32 little-endian per permutation: datasketch's MinHash.hashvalues"),
        Column(
            "bands",
            "binary",
            "int64 little-endian per band, a hash of its number and values: view web.bands has them "
            "as rows; texts with one in common are candidates",
        ),
    ),
    partition_by="snapshot",
    part_by="warc_file",
    parents=("web.documents",),
    uncompressed=("parents", "content_hash", "signature", "bands"),
)

NEAR_DUPLICATES = Table(
    "web",
    "near_duplicates",
    "Pairs of different texts that are alike: one of this snapshot, one of this or an earlier one, each at its "
    "snapshot's earliest document. Where a text is in both snapshots, its pairs stand with the snapshot alone.",
    (
        ID,
        Column("parents", "list[string]", "ids of the two documents, that of this snapshot (or the later) first"),
        SNAPSHOT,
        Column("other_snapshot", "string", "snapshot of the second document"),
        Column("content_hash", "string", "content_hash of the first document"),
        Column("other_content_hash", "string", "content_hash of the second document"),
        Column("similarity", "float64", "exact Jaccard similarity of their sets of shingles"),
    ),
    partition_by="snapshot",
    part_by="other_snapshot",
    parents=("web.documents",),
)

DUPLICATES = Table(
    "web",
    "duplicates",
    "Documents that are dropped, because one that is kept has the same or nearly the same text, and which one that is.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("duplicate_of", "string", "id of the document that is kept"),
        Column("duplicate_of_snapshot", "string", "snapshot of the document that is kept"),
        Column("kind", "string", "how they are alike: exact (same text) or near"),
        Column("similarity", "float64", "Jaccard similarity of their sets of shingles; 1.0 for the same text"),
        Column("cluster", "string", "id of the earliest document it is linked to by a chain of duplicates"),
    ),
    partition_by="snapshot",
    parents=("web.documents",),
    version=2,
)

REPEATED_SPANS = Table(
    "web",
    "repeated_spans",
    "Parts of kept documents that repeat, byte for byte, what an earlier one says (web.unique_documents lacks them).",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("chunk", "string", "which of the texts were looked at together; rest: documents that go as a whole"),
        Column("start", "int64", "first byte of the span in the document's text as UTF-8; 0 in rest"),
        Column("end", "int64", "byte after the span; 0 in rest"),
        Column("why", "string", "repeated; in rest same_rest (an earlier document ends up the same) or too_short"),
        Column("first_document", "string", "id of the document in which it stands first; its own for too_short"),
        Column("first_snapshot", "string", "snapshot of that document"),
        Column("rest_hash", "string", "content_hash of what all cuts leave of the document"),
        Column("rest_characters", "int64", "how long that is, in Unicode code points; 0 where the document goes"),
    ),
    partition_by="snapshot",
    part_by="chunk",
    parents=("web.documents",),
)

UNIQUE_DOCUMENTS = Table(
    "web",
    "unique_documents",
    "Documents without the duplicates and repeated spans: every text once over all snapshots, where it was seen first.",
    (ID, PARENTS, SNAPSHOT, URL, HOST, FETCHED_AT, LANGUAGE, TEXT, CHARACTERS, CONTENT_HASH),
    partition_by="snapshot",
    parents=("web.documents",),
)

#: The tables that the library of deduplication works on.
FAMILY = Family(DOCUMENTS, SIGNATURES, NEAR_DUPLICATES, DUPLICATES)

TABLES = [SIGNATURES, NEAR_DUPLICATES, DUPLICATES, REPEATED_SPANS, UNIQUE_DOCUMENTS]
