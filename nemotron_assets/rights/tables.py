"""Tables of `nemotron forget`: tombstones, the ids of removed rows, and receipts. They hold no text and no address."""

from __future__ import annotations

from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table

_RECEIPT = Column("receipt", "string", "id of the receipt: one per run of `nemotron forget` that removed something")
_REQUEST = Column("request", "string", "salted hash of what was to be forgotten; the same when it is asked for again")
_AT = Column("at", "timestamp", "time when the request was accepted, UTC", volatile=True)

TOMBSTONES = Table(
    "rights",
    "tombstones",
    "What must not be stored again, as salted hashes: the ingestion leaves out pages and repositories that fit.",
    (
        ID,
        Column(
            "kind",
            "string",
            "what was hashed: host, url (a page's address), repository, id (of a row), or content (the hash of a text "
            "and its address; pages of files without addresses are known by it)",
        ),
        Column("hash", "string", "BLAKE2b of kind and value, keyed with the salt, 32 hex digits"),
        Column(
            "host_hash",
            "string",
            "of an address: the hash of its host, so that pages of other hosts need not be hashed; else null",
            nullable=True,
        ),
        Column("salt", "string", "key of the hashes: the identity of the lake in which the request was made"),
        Column("reason", "string", "why it was forgotten, as given to `nemotron forget --reason`"),
        _RECEIPT,
        _AT,
    ),
)

REMOVED = Table(
    "rights",
    "removed",
    "The ids of the rows that `nemotron forget` removed. While it runs, they are the rows that it is going to remove.",
    (
        ID,
        _RECEIPT,
        _REQUEST,
        Column("table_name", "string", "table of the row, for example web.documents"),
        Column("row_id", "string", "id of the row in that table"),
        Column("version", "int64", "Delta version of the table in which the row was found"),
        Column("tokens", "int64", "tokens of the row; null if its table does not count tokens", nullable=True),
        _AT,
    ),
)

RECEIPTS = Table(
    "rights",
    "receipts",
    "What `nemotron forget` did: one row per place it removed something from, and one per thing that it cannot prove.",
    (
        ID,
        _RECEIPT,
        _REQUEST,
        Column(
            "kind",
            "string",
            "table (rows were removed from it), made_again (its rows follow from the others), files, events (of "
            "Dagster), catalog, contained (a model, export or score made from removed rows), verified (what was "
            "searched), found (where something is still stored), or not_proven",
        ),
        Column("place", "string", "table, model, folder or store"),
        Column("rows", "int64", "rows, files or events that were removed; of a model: removed rows in its inputs"),
        Column("version_before", "int64", "Delta version of the table before the removal; else null", nullable=True),
        Column("version_after", "int64", "Delta version of the table after the removal; else null", nullable=True),
        Column("share", "float64", "of a model: share of the tokens of the input that was removed", nullable=True),
        Column("detail", "string", "a sentence about it"),
        _AT,
    ),
)

TABLES = [TOMBSTONES, REMOVED, RECEIPTS]
