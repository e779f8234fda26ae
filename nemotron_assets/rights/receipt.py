"""The receipt of a removal: what went and from where, what was checked, and what nobody can prove. It holds no text and
no address: the targets are printed once, and stored as a salted hash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.rights.containing import Contained, contained
from nemotron_assets.rights.events import Names
from nemotron_assets.rights.plan import Plan
from nemotron_assets.rights.tables import RECEIPTS, TOMBSTONES
from nemotron_assets.rights.texts import folder, remembered
from nemotron_assets.rights.tombstones import Tombstones, tombstones
from nemotron_assets.table.counting import counted
from nemotron_assets.table.ids import row_id
from resources.files import replaced
from resources.home import home

if TYPE_CHECKING:
    from nemotron_assets.rights.forgetting import Done
    from nemotron_assets.rights.removal import Removal
    from nemotron_assets.rights.targets import Target
    from resources.lakehouse import Lakehouse

#: What no program can prove or undo here.
NOT_PROVEN = {
    "weights": "a model that was trained on removed rows may still repeat them; train it again to be sure",
    "exports": "copies of exports, and exports that an earlier version of the program wrote; listed exports keep what "
    "they have: write each again or delete it",
    "older versions": "a model made from a version whose files are gone is listed as one that may contain removed rows",
    "backups": "backups, snapshots of the file system, versions of an object store, and disk blocks of deleted files",
    "logs": "what programs printed elsewhere: log files of a service, a terminal, the history of a shell",
}

#: Findings that a receipt lists; all are counted.
_FINDINGS = 100


@dataclass(frozen=True)
class Line:
    """A row of `rights.receipts`, without its ids and times."""

    kind: str
    place: str
    rows: int
    detail: str
    version_before: int | None = None
    version_after: int | None = None
    share: float | None = None


def lines_of(done: Done, inside: Iterable[Contained], verified: Iterable[Line] = ()) -> Iterator[Line]:
    """The lines of a receipt. `inside` are the models and scores that were made from removed rows, `verified` what was
    checked afterwards."""
    for place, rows in done.rows.items():
        before, after = done.versions.get(place, (None, None))
        yield Line("table", place, rows, f"{counted(rows, 'row')} removed", before, after)
    for place in done.made_again:
        if place not in done.rows and place in done.versions:
            yield Line(
                "made_again", place, 0, "made again, because it follows from removed rows", *done.versions[place]
            )
    if done.events:
        yield Line("events", "dagster", done.events, "previews and other texts were removed from the event log")
    if done.lines:
        yield Line("files", "logs", done.lines, f"{counted(done.lines, 'line')} of the output of steps removed")
    for name in done.caches:
        yield Line("files", name if name == "ablations" else f"cache/{name}", 0, "the folder was emptied")
    yield Line("catalog", "lake.duckdb", 0, "the DuckDB catalog was written anew")
    for place, files in done.vacuumed.items():
        yield Line("files", place, files, f"{counted(files, 'data file')} of old versions deleted from the disk")
    if not done.vacuumed and done.rows:
        why = "old versions still hold the rows, and logs the names of repositories; `--vacuum` deletes both"
        yield Line("not_proven", "old versions", 0, why)
    for c in inside:
        is_gone = c.rows is None and not c.made_from.startswith("model ")
        what = f"made from {c.made_from}" + (", whose files are gone: it may contain removed rows" if is_gone else "")
        yield Line("contained", f"{c.table} {c.name} {c.id}".rstrip(), c.rows or 0, what, share=c.share)
    yield from verified
    for note in done.notes:
        yield Line("not_proven", "events", 0, note)
    for place, why in NOT_PROVEN.items():
        yield Line("not_proven", place, 0, why)


def inside_of(lake: Lakehouse, removal: Removal, wanted: Iterable[Target]) -> list[Contained]:
    """The models, scores and exports that were made from rows of a removal of these targets. They are stored, because
    a removal that goes on after a kill cannot read the old versions any more."""
    file = folder(lake) / f"{removal.receipt}.json"
    if file.exists():
        return [Contained(**fields) for fields in json.loads(file.read_text("utf-8"))]
    stored = lake.read(TOMBSTONES).scan().filter(receipt=removal.receipt).collect().to_dicts()
    forgotten = Tombstones([*tombstones(wanted, (), salt=lake.identity), *stored])
    inside = list(contained(lake, Plan(found=removal.found), forgotten))
    file.parent.mkdir(parents=True, exist_ok=True)
    with replaced(file) as new:
        new.write_text(json.dumps([asdict(one) for one in inside]), encoding="utf-8")
    return inside


def verified(lake: Lakehouse, removal: Removal, wanted: Iterable[Target]) -> Iterator[Line]:
    """Search everything that is stored for what a removal took: a line that says how much was read, and one for each
    finding and each file that could not be read."""
    from nemotron_assets.rights.verify import verify

    wanted = list(wanted)
    result = verify(wanted, remembered(lake, [removal.receipt]))
    searched = f"{counted(result.pieces, 'piece')} of text and {counted(result.names, 'id or name')}"
    unread = f", {counted(len(result.unread), 'file')} not read to the end" if result.unread else ""
    yield Line(
        "verified",
        "everything that is stored",
        len(result.findings),
        f"{counted(result.files, 'file')} of {result.bytes:,} bytes searched for {searched}: "
        f"{counted(len(result.findings), 'finding')}{unread}",
    )
    names = Names(target.value for target in wanted)  # the path of an archive may name its repository
    for finding in result.findings[:_FINDINGS]:
        where = names.removed_from(f"{finding.what} in {finding.where} ({finding.store})")
        yield Line("found", names.removed_from(finding.path), finding.cells, where)
    for path, why in result.unread.items():
        yield Line("found", names.removed_from(path), 0, names.removed_from(f"not read: {why}"))


def store(lake: Lakehouse, removal: Removal, lines: list[Line]) -> Path:
    """Store a receipt in `rights.receipts` and as a JSON file in the home; returns the file. With it the removal is
    complete."""
    import pyarrow as pa

    file = home() / "receipts" / f"{removal.receipt}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    facts: dict[str, Any] = {"receipt": removal.receipt, "request": removal.request}
    times = {"at": removal.at.isoformat(), "ended": now.isoformat()}
    with replaced(file) as new:
        new.write_text(json.dumps({**facts, **times, "lines": [asdict(line) for line in lines]}, indent=1) + "\n")
    rows = [
        {"id": row_id(RECEIPTS.full_name, removal.receipt, number), **facts, **asdict(line), "at": now}
        for number, line in enumerate(lines)
    ]
    lake.append(RECEIPTS, pa.Table.from_pylist(rows, RECEIPTS.arrow_schema()))
    return file
