"""Removes what was named, everywhere: the rows, what was made from them, and every copy that this home keeps.

1. Pages and repositories go first, and tombstones keep them away (`removal`).
2. The assets between them and the unique documents, rendered mathematics, licences and duplicates of code are made
   again. So what was dropped, or cut out, for a removed row comes back, as if the row had never been there.
3. All further rows that were made from removed ones go by their ids: filtered and synthetic texts, questions, token
   shards, answers in the ledger and its journals, rejected rows. The next `nemotron run` makes again what is stale.
4. Copies go: previews in Dagster's event log, lines of logs, working files of the cache, the DuckDB catalog, and on
   request old versions of the tables, with what Delta's logs say of them.

Every step asks what is left to do. So a removal that was killed is finished by the same request. Models, scores and
values that were computed once stay, and the receipt names them.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemotron_assets.code.sources.tables import CONTENTS, REJECTED_FILES, REPOSITORIES
from nemotron_assets.math.tables import CANDIDATE_PAGES
from nemotron_assets.models.registry import CHECKPOINTS
from nemotron_assets.rights.events import Names, announce, scrub
from nemotron_assets.rights.evidence import Evidence, Search
from nemotron_assets.rights.logs import scrub_logs
from nemotron_assets.rights.made_again import MADE_AGAIN, RETURNING
from nemotron_assets.rights.plan import heirs
from nemotron_assets.rights.removal import Removal
from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.stages import all_tables
from nemotron_assets.table.counting import counted
from nemotron_assets.table.ids import row_id
from nemotron_assets.web.tables import EXTRACTION, PRIVACY
from resources.files import replaced
from resources.generations import GENERATIONS, Ledger, journals
from resources.home import cache_dir, home, report_file
from resources.lakehouse.branch import root_of
from resources.lakehouse.cut import cut_log
from resources.lakehouse.erase import Erased, erase
from resources.lakehouse.quarantine import QUARANTINE
from resources.store import store_at

if TYPE_CHECKING:
    import dagster as dg

    from nemotron_assets.rights.targets import Target
    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

#: Tables from which rows are removed first: nothing in the lake is above them.
ROOTS = (PAGES, REPOSITORIES, CANDIDATE_PAGES)
#: Tables that steps of `MADE_AGAIN` write in the same pass.
_BESIDE = (RECORDS, EXTRACTION, PRIVACY, REJECTED_FILES, CONTENTS)
#: Folders of the cache with texts, tokens or weights of steps that have not ended, answers that were not completions,
#: and what a killed `nemotron diff` leaves. The steps make them again.
_CACHES = ("reports", "training", "teacher", "importance", "search", "crawl", "set_aside", "diff")

#: Makes tables again: the list of repositories in any case, others if they are stale.
Remake = Callable[[list["Table"]], None]


@dataclass
class Done:
    """What a removal did, by place: rows, events, files or lines of logs that went. `versions` are the Delta versions
    of a table before and after; `made_again` the tables that were made again."""

    rows: dict[str, int] = field(default_factory=dict)
    versions: dict[str, tuple[int, int]] = field(default_factory=dict)
    made_again: list[str] = field(default_factory=list)
    events: int = 0
    lines: int = 0
    caches: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    vacuumed: dict[str, int] = field(default_factory=dict)


def carry_out(
    lake: Lakehouse,
    removal: Removal,
    remake: Remake,
    instance: dg.DagsterInstance,
    *,
    wanted: Collection[Target] = (),
    evidence: Evidence | None = None,
    unused: Mapping[Table, Callable[[], set[str]]] | None = None,
    vacuum: bool = False,
    say: Callable[[str], Any] = lambda line: None,
) -> Done:
    """Carry out a removal, or the rest of one; returns what is gone. The names that are `wanted` go from Dagster's
    events and from logs, and from logs also the texts and ids of the `evidence`. `unused` gives of each table that is a
    cache by content the ids of the rows about contents that the lake does not have any more."""
    from nemotron_assets.dedup.sorted_bands import forget_all

    done, names = Done(), [target.value for target in wanted if target.kind != "id"]
    before = {table.full_name: lake.read(table).version for table in _affected(removal)}
    remove_roots(lake, removal, instance, say)
    done.made_again = _make_again(lake, removal, remake, say)
    erase_rows(lake, removal, say)
    cached = erase_unused(lake, removal, unused or {})
    erase_rejects(lake, removal, names)
    forget_all(lake)
    done.events, note = scrub(instance, {table.full_name for table in _affected(removal)}, names, removal.ids)
    done.notes += [note] if note else []
    done.lines = scrub_logs(Search(evidence or Evidence(), wanted))
    done.caches = empty_caches() if removal.found else []
    if removal.found:
        forget_checkpoints(lake)
    for table in _affected(removal):
        name, now = table.full_name, lake.read(table).version
        was = removal.found[name].version if name in removal.found else before[name]
        if now >= 0 and now != was:
            done.versions[name] = was, now
    done.rows = {name: len(found.rows) for name, found in removal.found.items()}
    for table, erased in cached.items():
        done.rows[table.full_name], done.versions[table.full_name] = erased.rows, (erased.before, erased.after)
    if vacuum:
        say("deleting old versions from the disk")
        done.vacuumed = vacuum_tables(lake, say)
    _refresh_catalog(lake)
    return done


def remove_roots(lake: Lakehouse, removal: Removal, instance: dg.DagsterInstance, say: Callable[[str], Any]) -> None:
    """Remove the pages and repositories, correct the counts of their files, and tell Dagster."""
    for table in ROOTS:
        if removal.rows_of(table.full_name) and (gone := _erase(lake, table, removal)):
            say(f"{table.full_name}: {counted(gone.rows, 'row')} removed")
    if removal.rows_of(PAGES.full_name):
        correct_records(lake)
        for snapshot in _snapshots(lake):
            announce(instance, lake, PAGES, snapshot, _files_of(lake, snapshot))
    if removal.rows_of(REPOSITORIES.full_name):
        announce(instance, lake, REPOSITORIES, None, [""])


def _snapshots(lake: Lakehouse) -> list[str]:
    return sorted(set(lake.read(RECORDS).snapshots()) | set(lake.read(PAGES).snapshots()))


def _files_of(lake: Lakehouse, snapshot: str) -> list[str]:
    """The parts of a snapshot's pages: the files that were read, also those without a page."""
    files = lake.read(RECORDS, snapshot).scan().select("warc_file").unique().collect()["warc_file"].to_list()
    return sorted({*files, *lake.read(PAGES, snapshot).parts()})


def correct_records(lake: Lakehouse) -> None:
    """Count the pages that `snapshots.records` has and `snapshots.pages` has not as forgotten, file by file."""
    import polars as pl
    import pyarrow as pa

    for snapshot in lake.read(RECORDS).snapshots():
        pages = lake.read(PAGES, snapshot).scan().group_by("warc_file", "fate")
        now = pages.agg(now=pl.len().cast(pl.Int64), now_bytes=pl.col("html").bin.size().cast(pl.Int64).sum())
        rows = lake.read(RECORDS, snapshot).scan().filter(pl.col("fate").is_in(("page", "charset_corrected")))
        lost = rows.join(now, on=("warc_file", "fate"), how="left").with_columns(
            pl.col("now", "now_bytes").fill_null(0)
        )
        lost = lost.filter(pl.col("records") > pl.col("now")).collect(engine="streaming")
        for file in lost["warc_file"].unique(maintain_order=True):
            stored = lake.read(RECORDS, snapshot).scan().filter(warc_file=file).collect()
            counts = {row["fate"]: row for row in stored.to_dicts()}
            gone = counts.setdefault("forgotten", _no_records(snapshot, file, stored["state"][0]))
            for row in lost.filter(warc_file=file).iter_rows(named=True):
                gone["records"] += row["records"] - row["now"]
                gone["bytes"] += row["bytes"] - row["now_bytes"]
                counts[row["fate"]] |= {"records": row["now"], "bytes": row["now_bytes"]}
            rows = [row for row in counts.values() if row["records"]]
            where = {"snapshot": snapshot, "warc_file": file}
            lake.replace(RECORDS, pa.Table.from_pylist(rows, RECORDS.arrow_schema()), where)


def _no_records(snapshot: str, file: str, state: str) -> dict[str, Any]:
    key = row_id(RECORDS.full_name, snapshot, file, "forgotten")
    facts = {"id": key, "snapshot": snapshot, "warc_file": file, "fate": "forgotten", "records": 0, "bytes": 0}
    return {**facts, "state": state}


def _make_again(lake: Lakehouse, removal: Removal, remake: Remake, say: Callable[[str], Any]) -> list[str]:
    """Make the tables again that follow from removed pages or repositories and are in the lake; returns their names."""
    groups = []
    if removal.rows_of(PAGES.full_name, CANDIDATE_PAGES.full_name):
        groups += ["web", "math"]
    if removal.rows_of(REPOSITORIES.full_name):
        groups += ["code"]
    tables = [table for table in MADE_AGAIN if table.schema in groups and lake.read(table).exists]
    if tables:
        say(f"making {counted(len(tables), 'table')} again, so that what was dropped for removed rows comes back")
        remake(tables)
    return [table.full_name for table in tables]


def erase_rows(lake: Lakehouse, removal: Removal, say: Callable[[str], Any]) -> None:
    """Remove all rows of the plan that are still there, table by table, one commit each."""
    if removal.found:
        Ledger(lake).fold()  # finished answers in journals become rows, which then can go
        erase_refused(lake, removal)
        pass_on(lake, removal)
    for name in removal.found:
        if gone := _erase(lake, all_tables()[name], removal):
            say(f"{name}: {counted(gone.rows, 'row')} removed")


def pass_on(lake: Lakehouse, removal: Removal) -> None:
    """Give the answers of the ledger that stay, and that name removed rows as parents, the parents of a row that stays
    and was made with the same answer. An answer without such a row goes."""
    ids, named = removal.ids, set()
    for batch in lake.read(GENERATIONS).batches(["id", "parents"], 65_536):
        for id_, parents in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if id_ not in ids and not ids.isdisjoint(parents):
                named.add(id_)
    parents = heirs(lake, ids, named)
    notes = {"receipt": removal.receipt, "reason": removal.reason}
    erase(lake, GENERATIONS, named - parents.keys(), parents=parents, **notes)


def erase_unused(
    lake: Lakehouse, removal: Removal, unused: Mapping[Table, Callable[[], set[str]]]
) -> dict[Table, Erased]:
    """Remove what caches know about contents that the lake does not have any more; returns what went from each."""
    notes = {"receipt": removal.receipt, "reason": removal.reason}
    erased = {table: erase(lake, table, ids(), **notes) for table, ids in unused.items() if removal.found}
    return {table: gone for table, gone in erased.items() if gone}


def erase_refused(lake: Lakehouse, removal: Removal) -> None:
    """Remove the answers that were made from removed rows from journals that could not be folded."""
    ids = removal.ids
    for journal in journals(lake).glob("*.refused"):
        lines = journal.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if ids.isdisjoint(_ids_in(line))]
        if len(kept) < len(lines):
            with replaced(journal) as new:
                new.write_bytes(b"".join(kept))


def _ids_in(line: bytes) -> set[str]:
    """All ids in a line of a journal, whatever its form."""
    return {found.decode() for found in re.findall(rb"\b[0-9a-f]{32}\b", line)}


def erase_rejects(lake: Lakehouse, removal: Removal, names: Iterable[str] = ()) -> None:
    """Remove the quarantined rows that tell about a removed row, or that name what was removed: a page that could not
    be fetched has no row, and its address stands in the detail."""
    notes = {"receipt": removal.receipt, "reason": removal.reason}
    erase(lake, QUARANTINE, removal.ids, column="row_id", **notes)
    forgotten, naming = Names(names), set()
    for batch in lake.read(QUARANTINE).batches(["id", "part", "detail"]):
        for id_, *texts in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if any(forgotten.removed_from(text) != text for text in texts):
                naming.add(id_)
    erase(lake, QUARANTINE, naming, **notes)


def _erase(lake: Lakehouse, table: Table, removal: Removal) -> Any:
    ids = removal.rows_of(table.full_name)
    if table in RETURNING:
        ids = _still_made_from(lake, table, ids, removal.ids)
    return erase(lake, table, ids, receipt=removal.receipt, reason=removal.reason)


def _still_made_from(lake: Lakehouse, table: Table, ids: set[str], removed: set[str]) -> set[str]:
    """Those of the ids whose rows name removed rows. A duplicate of a removed document may be one of another document
    by now, and its row then has the same id as before."""
    found = set()
    for batch in lake.read(table).batches(["id", "parents"], 65_536, keep_memory=True):
        for id_, parents in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if id_ in ids and not removed.isdisjoint(parents):
                found.add(id_)
    return found


def _affected(removal: Removal) -> list[Table]:
    """The tables that hold removed rows, that are made again, or that tell about removed rows."""
    tables = all_tables()
    names = [*removal.found, *(table.full_name for table in (*MADE_AGAIN, *_BESIDE, QUARANTINE))]
    return [tables[name] for name in dict.fromkeys(names)] if removal.found else []


def empty_caches() -> list[str]:
    """Delete the folders of the cache that may hold texts or tokens, the lakes of ablations, which have copies of
    tables, and the page about the lake, which shows examples; returns the names of the folders."""
    emptied = []
    for name in _CACHES:
        folder = cache_dir(name)
        if any(folder.iterdir()):
            emptied.append(name)
        shutil.rmtree(folder, ignore_errors=True)
    if (home() / "ablations").exists():
        emptied.append("ablations")
        shutil.rmtree(home() / "ablations")
    for file in (home() / "cache" / "table_facts.json", report_file()):
        file.unlink(missing_ok=True)
    return emptied


def forget_checkpoints(lake: Lakehouse) -> None:
    """Delete the copies of unfinished trainings in the object store of a lake, like those in the cache of this home."""
    if not lake.is_local:
        with contextlib.suppress(FileNotFoundError):
            store_at(lake.root).delete_dir(CHECKPOINTS)


def vacuum_tables(lake: Lakehouse, say: Callable[[str], Any] = lambda line: None) -> dict[str, int]:
    """Delete all files that the newest versions of the tables do not need, also those of versions that models and
    scores name, and all that logs say of them; returns the number of deleted data files by table. Nobody may write to
    the lake meanwhile.

    Of all tables: a row may have left a table long ago, and is then in an old version alone.
    """
    deleted = {}
    repositories = set(lake.read(REPOSITORIES).scan().select("repo").unique().collect()["repo"])

    def keep(mark: str) -> bool:
        kind, _, rest = mark.partition(":")
        return kind not in ("made", "data") or rest.partition(":")[2] in repositories

    for table in all_tables().values():
        if root_of(lake.root, table.full_name) != lake.root or (delta := lake.open(table)) is None:
            continue
        files = delta.vacuum(
            0, dry_run=False, enforce_retention_duration=False, full=True, commit_properties=lake.notes(table, delta)
        )
        lake.record(table, delta.version())
        cut_log(lake, table, keep if table.part_by == "repo" else lambda mark: True)
        if files:
            deleted[table.full_name] = len(files)
            say(f"{table.full_name}: {counted(len(files), 'file')} of old versions deleted")
    return deleted


def _refresh_catalog(lake: Lakehouse) -> None:
    """Write the DuckDB catalog anew, which forgets what it had of old versions."""
    from resources.warehouse import Warehouse

    Warehouse(root=lake.root, storage_options=lake.storage_options).refresh()
