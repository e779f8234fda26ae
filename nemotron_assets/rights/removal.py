"""One removal: its plan as it is stored in the lake, so that a removal that was killed goes on where it stopped.

The plan is stored before the first row goes, because the links that it was found by go with the rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nemotron_assets.rights.plan import Found, Plan, plan
from nemotron_assets.rights.tables import RECEIPTS, REMOVED, TOMBSTONES
from nemotron_assets.rights.targets import Target
from nemotron_assets.rights.tombstones import hashed, tombstones
from nemotron_assets.table.ids import row_id
from resources.generations import Ledger

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse


@dataclass(frozen=True)
class Removal:
    """What one receipt removes: the rows by table, as `Plan.found` has them. `resumed`: an earlier run began it."""

    receipt: str
    request: str
    reason: str
    at: datetime
    found: dict[str, Found]
    resumed: bool

    @property
    def ids(self) -> set[str]:
        return {id_ for found in self.found.values() for id_ in found.rows}

    def rows_of(self, *tables: str) -> set[str]:
        """The ids of the removed rows of some tables."""
        return {id_ for name in tables if name in self.found for id_ in self.found[name].rows}


def request_of(lake: Lakehouse, targets: Iterable[Target]) -> str:
    """The salted hash of a request: the same for the same targets in any order."""
    return hashed(lake.identity, "request", "\x1f".join(sorted(map(str, targets))))


def begun(lake: Lakehouse, targets: Iterable[Target]) -> Removal | None:
    """The unfinished removal of the same targets, which has no receipt yet; None if every removal of them ended."""
    import polars as pl

    request = request_of(lake, targets)
    done = lake.read(RECEIPTS).scan().filter(request=request).select("receipt").collect()["receipt"].to_list()
    rows = lake.read(REMOVED).scan().filter((pl.col("request") == request) & ~pl.col("receipt").is_in(done)).collect()
    if not rows.height:
        return None
    found: dict[str, Found] = {}
    for name, id_, version, tokens in rows.select("table_name", "row_id", "version", "tokens").iter_rows():
        found.setdefault(name, Found(version)).rows[id_] = tokens or 0
    receipt, at = rows.row(0, named=True)["receipt"], rows["at"].min()
    reasons = lake.read(TOMBSTONES).scan().filter(receipt=receipt).select("reason").collect()["reason"]
    return Removal(receipt, request, reasons[0] if len(reasons) else "", at, found, resumed=True)


def unfinished(lake: Lakehouse) -> list[datetime]:
    """The times at which the removals began that have no receipt yet."""
    import polars as pl

    done = lake.read(RECEIPTS).scan().select("receipt").collect()["receipt"].to_list()
    rows = lake.read(REMOVED).scan().filter(~pl.col("receipt").is_in(done))
    return rows.group_by("receipt").agg(pl.col("at").min()).collect(engine="streaming")["at"].sort().to_list()


def begin(lake: Lakehouse, targets: list[Target], reason: str, made: Plan | None = None) -> Removal:
    """Store tombstones and the ids of all rows that will go. From now on the ingestion refuses what was named. `made`
    is the plan, if the caller has made it."""
    if made is None:
        Ledger(lake).fold()  # a plan names rows, and answers in the journal of a killed run are rows only then
        made = plan(lake, targets, lake.identity)
    at, request = datetime.now(UTC), request_of(lake, targets)
    receipt = row_id(RECEIPTS.full_name, request, at.isoformat())
    facts = {"salt": lake.identity, "reason": reason, "receipt": receipt, "at": at}
    _store_tombstones(lake, tombstones(targets, made.contents, **facts))
    removal = Removal(receipt, request, reason, at, made.found, resumed=False)
    _store_rows(lake, removal)
    return removal


def _store_tombstones(lake: Lakehouse, rows: list[dict]) -> None:
    """Add tombstones. One that is stored keeps its first time and reason."""
    import pyarrow as pa

    stored = set(lake.read(TOMBSTONES).scan().select("id").collect()["id"])
    new = [row for row in rows if row["id"] not in stored]
    if new:
        lake.append(TOMBSTONES, pa.Table.from_pylist(new, TOMBSTONES.arrow_schema()))


def _store_rows(lake: Lakehouse, removal: Removal) -> None:
    import pyarrow as pa

    def batches():
        for name, found in removal.found.items():
            items = list(found.rows.items())
            for start in range(0, len(items), 65_536):
                rows = [
                    {
                        "id": row_id(REMOVED.full_name, removal.receipt, name, id_),
                        "receipt": removal.receipt,
                        "request": removal.request,
                        "table_name": name,
                        "row_id": id_,
                        "version": found.version,
                        "tokens": tokens or None,
                        "at": removal.at,
                    }
                    for id_, tokens in items[start : start + 65_536]
                ]
                yield pa.RecordBatch.from_pylist(rows, REMOVED.arrow_schema())

    if removal.found:
        lake.append(REMOVED, batches())
