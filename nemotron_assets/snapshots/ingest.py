"""Makes WARC, Parquet and JSON-lines files of one's own a named snapshot of the lake (`nemotron ingest`).

The command only stores in `snapshots.ingested` which files there are and how to read each. The asset `snapshots/pages`
then makes the snapshot file by file, like a snapshot of a crawl: an interrupted ingestion continues where it stopped,
and every later asset sees an ordinary new partition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.snapshots.ranges import Range, ranges
from nemotron_assets.snapshots.rows import BadColumn, Unreadable, check_column, columns_of
from nemotron_assets.snapshots.tables import INGESTED, PAGES
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.storable import storable
from nemotron_assets.warc.reader import Limits, NotWarc, WarcFile
from resources.crawl import SNAPSHOT_NAME, Missing, file_fingerprint

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

FORMATS = {".warc": "warc", ".warc.gz": "warc", ".warc.zst": "warc", ".parquet": "parquet", ".jsonl": "jsonl",
           ".jsonl.gz": "jsonl", ".jsonl.zst": "jsonl", ".ndjson": "jsonl", ".ndjson.gz": "jsonl",
           ".ndjson.zst": "jsonl"}  # fmt: skip


class IngestError(ValueError):
    """A file, column or name given to `nemotron ingest` cannot be used; the message says which one and why."""


#: Called with (file, what is wrong) for every file that cannot be used.
OnUnusable = Callable[[Path, str], None]


def refuse_file(path: Path, why: str) -> None:
    """Raise `IngestError` for a file that cannot be used."""
    raise IngestError(f"{why} (--strict refuses such a file)")


def describe(
    paths: Iterable[Path],
    snapshot: str,
    *,
    text_column: str | None = None,
    html_column: str | None = None,
    url_column: str | None = None,
    on_unusable: OnUnusable = refuse_file,
    part_bytes: int | None = None,
    limits: Limits = Limits(),
) -> list[dict]:
    """Rows of `snapshots.ingested` for files and folders; in folders, all files with a known ending are found. A file
    of more than `part_bytes` has one row per range (`snapshots.ranges`).

    Opens every file and checks its columns, so that a mistake is found before anything is written. A file that is
    empty or damaged goes to `on_unusable`; it still has a row if it can be opened, so that its records are counted.
    Raises `IngestError`, also if no file at all can be used.
    """
    if not SNAPSHOT_NAME.fullmatch(snapshot):
        raise IngestError(f"{snapshot!r} cannot name a snapshot: use at most 100 letters, digits, '.', '_' and '-'")
    if text_column and html_column:
        raise IngestError("give either --text-column or --html-column, not both")
    files = _files(paths, on_unusable)
    names = _names(files)
    now, unusable = datetime.now(UTC), {}
    rows = []
    for path in files:
        format_ = _format(path)
        columns = (None, None, None) if format_ == "warc" else (text_column, html_column, url_column)
        try:
            if storable(str(path)) != str(path):
                raise Unreadable(f"{path!r}: rename the file, its name is not UTF-8")
            fingerprint = file_fingerprint(path)
        except (Unreadable, Missing) as error:
            unusable[path] = str(error)
            continue
        if why := _why_unusable(path, format_, columns):
            unusable[path] = why
        described = {
            "snapshot": snapshot,
            "path": str(path),
            "format": format_,
            "text_column": columns[0],
            "html_column": columns[1],
            "url_column": columns[2],
            "fingerprint": fingerprint,
            "at": now,
        }
        divided = [] if part_bytes is None or path in unusable else ranges(path, format_, part_bytes, limits)
        rows += [described | _part(snapshot, names[path], part) for part in enumerate(divided)]
        rows += [] if divided else [described | _part(snapshot, names[path])]
    if len(unusable) == len(files):
        raise IngestError("; ".join([*unusable.values()][:3]) + ("; …" if len(unusable) > 3 else ""))
    for path, why in unusable.items():
        on_unusable(path, why)
    return rows


def _part(snapshot: str, file: str, part: tuple[int, Range] | None = None) -> dict:
    """What a row of `snapshots.ingested` says about one range of a file, by its number, or about the whole file."""
    number, place = part or (0, None)
    name = f"{file}#{number:05}" if place else file
    return {
        "id": row_id(INGESTED.full_name, snapshot, name),
        "file": name,
        "whole_file": file if place else None,
        "first": place and place.first,
        "end": place and place.end,
        "first_row": place and place.row,
    }


def refuse_crawl_snapshot(open_table: Callable[[Table], DeltaTable | None], snapshot: str) -> None:
    """Raise `IngestError` if the crawl has a snapshot of that name: the lake has pages of it that were not ingested.
    `open_table` is `Lakehouse.open`, or another function that opens a table of the lake."""

    def holds(table: Table) -> bool:
        delta = open_table(table)
        return delta is not None and bool(delta.partitions([("snapshot", "=", snapshot)]))

    if holds(PAGES) and not holds(INGESTED):
        raise IngestError(f"{snapshot!r} is a snapshot of the crawl and cannot be replaced; choose another name")


def ingest(lake: Lakehouse, instance, snapshot: str, rows: list[dict]) -> None:
    """Store which files a snapshot is made of (`rows` from `describe`), and make the snapshot a partition of the lake.
    Raises `IngestError` if the crawl has a snapshot of that name."""
    import pyarrow as pa

    from nemotron_assets.snapshots.catalog import register  # needs Dagster, and `describe` must refuse names at once

    refuse_crawl_snapshot(lake.open, snapshot)
    lake.write(
        INGESTED, pa.Table.from_pylist(_first_times(lake, snapshot, rows), INGESTED.arrow_schema()), partition=snapshot
    )
    register(instance, [snapshot])


def _first_times(lake: Lakehouse, snapshot: str, rows: list[dict]) -> list[dict]:
    """The rows, but a file that was named before with the same content keeps its first time.

    A page without a date of its own gets the time of its file, by which duplicates are ordered. An ingestion that was
    killed and started again must order its pages as one that was not.
    """
    known = lake.read(INGESTED, snapshot).scan().collect().to_dicts()
    times = {(whole_file(row), row["fingerprint"]): row["at"] for row in known}
    return [row | {"at": times.get((whole_file(row), row["fingerprint"]), row["at"])} for row in rows]


def whole_file(row: dict) -> str:
    """The short name of the file that a row of `snapshots.ingested` is, or is a range of."""
    return row["whole_file"] or row["file"]


def _files(paths: Iterable[Path], on_unusable: OnUnusable) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file())
            if not any(map(_format, inside)):
                raise IngestError(f"{path} holds no file ending in {', '.join(FORMATS)}")
            for file in inside:
                if _format(file):
                    found.append(file)
                elif any(f"{ending}." in file.name.lower() for ending in FORMATS):  # texts.parquet.gz, texts.jsonl.bz2
                    on_unusable(file, f"{file}: unpack the file, only {', '.join(FORMATS)} are read")
        elif not path.is_file():
            raise IngestError(f"{path} does not exist")
        elif not _format(path):
            raise IngestError(f"{path}: the file's name must end in one of {', '.join(FORMATS)}")
        else:
            found.append(path)
    return list(dict.fromkeys(path.resolve() for path in found))


def _format(path: Path) -> str | None:
    name = path.name.lower()
    return next((format_ for ending, format_ in FORMATS.items() if name.endswith(ending)), None)


def _names(files: list[Path]) -> dict[Path, str]:
    """{file: its short name}: the file's name, with as many folders before it as make all names different."""
    for depth in range(1, max(len(path.parts) for path in files) + 1):
        names = {path: "/".join(path.parts[-depth:]) for path in files}
        if len(set(names.values())) == len(files):
            return names
    raise AssertionError("resolved paths are distinct")


def _why_unusable(path: Path, format_: str, columns: tuple[str | None, str | None, str | None]) -> str:
    """Why nothing can be read from a file: it is empty or damaged. "" for a file that can be read. Raises `IngestError`
    for a column that the file does not have."""
    try:
        if format_ == "warc":
            with path.open("rb") as stream:
                WarcFile(stream, Limits())
        else:
            _check_columns(path, format_, *columns)
    except NotWarc as error:
        return f"{path} cannot be used as a WARC file: {error}"
    except (Unreadable, OSError) as error:
        return str(error)
    return ""


def _check_columns(path: Path, format_: str, text: str | None, html: str | None, url: str | None) -> None:
    try:
        content = text or html
        if content is None:
            there = ", ".join(map(repr, columns_of(path, format_))) or "none"
            raise IngestError(f"{path} needs --text-column or --html-column; its columns are {there}")
        for column in (content, url):
            if column is not None:
                check_column(path, format_, column)
    except BadColumn as error:
        raise IngestError(str(error)) from None
