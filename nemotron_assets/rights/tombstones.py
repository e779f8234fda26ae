"""Tombstones: salted hashes of what was forgotten, and the test whether a page or a repository is one of them.

The plan of a removal and the ingestion ask the same object, so what is removed is exactly what cannot come back. The
salt is the identity of the lake: two lakes have no hash in common, and a list of hosts that was hashed once is of no
use. Whoever has the lake itself can still test a guess, as the ingestion does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nemotron_assets.rights.tables import TOMBSTONES
from nemotron_assets.rights.targets import MADE_UP, BadTarget, Target, host_address, page_address
from nemotron_assets.table.ids import row_id
from nemotron_assets.warc.classify import host_of

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.lakehouse import Lakehouse

#: Columns of a page that decide whether it is forgotten.
PAGE_COLUMNS = ("id", "url", "host", "content_hash")


def hashed(salt: str, kind: str, value: str) -> str:
    """The hash of a value, such as ("host", "example.org"): 32 hex digits, keyed with the salt."""
    data = f"{kind}\x1f{value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, key=salt.encode()[:64], digest_size=16).hexdigest()


def tombstones(
    targets: Iterable[Target],
    contents: Iterable[tuple[str, str]],
    *,
    salt: str,
    reason: str = "",
    receipt: str = "",
    at: datetime | None = None,
) -> list[dict[str, Any]]:
    """Rows of `rights.tombstones` for targets, and for contents: (address of the page, "" if it is made up; its
    content_hash)."""
    keys = [(t.kind, t.value, _host(t.value) if t.kind == "url" else None) for t in targets]
    keys += [("content", f"{address}\x1f{content}", _host(address)) for address, content in contents]
    rows = {}
    for kind, value, host in keys:
        digest = hashed(salt, kind, value)
        rows[digest] = {
            "id": row_id(TOMBSTONES.full_name, digest),
            "kind": kind,
            "hash": digest,
            "host_hash": None if host is None else hashed(salt, "host", host),
            "salt": salt,
            "reason": reason,
            "receipt": receipt,
            "at": at,
        }
    return list(rows.values())


def load(lake: Lakehouse) -> Tombstones:
    """The tombstones of a lake."""
    rows = lake.read(TOMBSTONES).scan().select("kind", "hash", "host_hash", "salt").collect()
    return Tombstones(rows.iter_rows(named=True))


class Tombstones:
    """Tells pages and repositories that were forgotten from all others. It is false if nothing was forgotten."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._hashes: dict[str, dict[str, set[str]]] = {}  # salt -> kind -> hashes
        self._hosts: dict[str, set[str]] = {}  # salt -> hosts of which some address was forgotten
        for row in rows:
            self._hashes.setdefault(row["salt"], {}).setdefault(row["kind"], set()).add(row["hash"])
            if row["host_hash"] is not None:
                self._hosts.setdefault(row["salt"], set()).add(row["host_hash"])
        self._of_host = lru_cache(65_536)(self._find_host)

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def page(self, id_: str, url: str, host: str, content_hash: str) -> str | None:
        """The kind of the tombstone that a page fits, None for a page that may be stored. `content_hash` may be empty
        for a row that has none."""
        if self._has("id", id_):
            return "id"
        forgotten, has_addresses = self._of_host(host or host_of(url))
        if forgotten:
            return "host"
        if not has_addresses:
            return None
        address = address_of(url)
        if self._has("url", address):
            return "url"
        return "content" if self._has("content", f"{_scope(address)}\x1f{content_hash}") else None

    def repository(self, id_: str, repo: str) -> str | None:
        """The kind of the tombstone that a repository fits, None for a repository that may be stored."""
        if self._has("id", id_):
            return "id"
        return "repository" if self._has("repository", repo.lower()) else None

    def split(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
        """(pages that may be stored, pages that were forgotten) of a batch with the columns `PAGE_COLUMNS`."""
        import pyarrow as pa

        if not self:
            return batch, batch.slice(0, 0)
        gone = pa.array([kind is not None for kind in self.kinds(batch)], pa.bool_())
        keep = pa.array([not value.as_py() for value in gone], pa.bool_())
        return batch.filter(keep), batch.filter(gone)

    def kinds(self, batch: pa.RecordBatch) -> Iterator[str | None]:
        """The result of `page` for each row of a batch. A column that the batch lacks counts as empty."""
        names = set(batch.schema.names)
        empty = [""] * batch.num_rows
        columns = [batch.column(name).to_pylist() if name in names else empty for name in PAGE_COLUMNS]
        return (self.page(*(value or "" for value in row)) for row in zip(*columns, strict=True))

    def _has(self, kind: str, value: str) -> bool:
        return any(kind in kinds and hashed(salt, kind, value) in kinds[kind] for salt, kinds in self._hashes.items())

    def _find_host(self, host: str) -> tuple[bool, bool]:
        """(whether the host was forgotten, whether some of its addresses were)."""
        host = _normal(host)
        forgotten = self._has("host", host)
        host = "" if host.startswith(MADE_UP) else host
        return forgotten, any(hashed(salt, "host", host) in hosts for salt, hosts in self._hosts.items())


#: The tombstones of a lake in which nothing was forgotten.
NOTHING_FORGOTTEN = Tombstones()


def address_of(url: str) -> str:
    """The normal form of a page's address; one that has none, such as "http://a:99999/", stays as it is."""
    try:
        return page_address(url)
    except BadTarget:
        return url


def _host(address: str) -> str:
    """The host of an address as `address_of` gives it, in the form that `Tombstones` compares; "" for an address that
    is made up."""
    if address.startswith(MADE_UP) or not address:
        return ""
    has_scheme = address.partition("/")[0].endswith(":")  # then it has no normal form
    return _normal(host_of(address if has_scheme else f"http://{address}"))


def _normal(host: str) -> str:
    """A host as the column `host` has it, in the form of a target. A host that no address can have stays as it is."""
    is_ipv6 = host.count(":") > 1 and not host.startswith(MADE_UP)
    try:
        return host_address(f"[{host}]" if is_ipv6 else host)
    except BadTarget:
        return host


def _scope(address: str) -> str:
    """The address within which a content was forgotten: "" for all addresses that are made up."""
    return "" if address.startswith(MADE_UP) else address
