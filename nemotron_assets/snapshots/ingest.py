"""`nemotron ingest`: own WARC, Parquet and JSON-lines files become a named snapshot of the lake.

Naming the files stores how each is to be read in `snapshots.ingested`; the asset `snapshots/pages` then makes the
snapshot from them like from a crawl, file by file, so that an interrupted ingestion goes on where it stopped and
everything downstream sees an ordinary new partition.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.snapshots.catalog import register
from nemotron_assets.snapshots.rows import BadColumn, check_column, columns_of
from nemotron_assets.snapshots.tables import INGESTED, PAGES
from nemotron_assets.snapshots.warc import Limits, NotWarc, WarcFile
from nemotron_assets.table.ids import row_id
from resources.crawl import SNAPSHOT_NAME, file_fingerprint

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

FORMATS = {".warc": "warc", ".warc.gz": "warc", ".parquet": "parquet", ".jsonl": "jsonl", ".jsonl.gz": "jsonl",
           ".ndjson": "jsonl", ".ndjson.gz": "jsonl"}  # fmt: skip


class IngestError(ValueError):
    """Something named to `nemotron ingest` cannot be used; the message says what and why."""


def describe(
    paths: Iterable[Path],
    snapshot: str,
    *,
    text_column: str | None = None,
    html_column: str | None = None,
    url_column: str | None = None,
) -> list[dict]:
    """The rows of `snapshots.ingested` for files and folders (searched for the known endings). Raises `IngestError`.

    Every file is opened and its columns are checked, so that a mistake is found before anything is written.
    """
    if not SNAPSHOT_NAME.fullmatch(snapshot):
        raise IngestError(f"{snapshot!r} is no name for a snapshot: letters, digits, '.', '_' and '-', at most 100")
    if text_column and html_column:
        raise IngestError("name either --text-column or --html-column, not both")
    files = _files(paths)
    names = _names(files)
    now = datetime.now(UTC)
    rows = []
    for path in files:
        format_ = _format(path)
        if format_ == "warc":
            columns = (None, None, None)
            try:
                with path.open("rb") as stream:
                    WarcFile(stream, Limits())
            except NotWarc as error:
                raise IngestError(f"{path} is no usable WARC file: {error}") from None
        else:
            columns = (text_column, html_column, url_column)
            _check_columns(path, format_, *columns)
        rows.append(
            {
                "id": row_id(INGESTED.full_name, snapshot, names[path]),
                "snapshot": snapshot,
                "file": names[path],
                "path": str(path),
                "format": format_,
                "text_column": columns[0],
                "html_column": columns[1],
                "url_column": columns[2],
                "fingerprint": file_fingerprint(path),
                "at": now,
            }
        )
    return rows


def ingest(lake: Lakehouse, instance, snapshot: str, rows: list[dict]) -> None:
    """Store what a snapshot is made of and make it a partition; `snapshots/pages` does the rest."""
    import polars as pl
    import pyarrow as pa

    if not lake.read(INGESTED, snapshot).rows:
        taken = lake.read(PAGES, snapshot)
        if taken.exists and not taken.scan().head(1).select(pl.len()).collect().item() == 0:
            raise IngestError(f"{snapshot!r} is a snapshot of the crawl and cannot be replaced; choose another name")
    lake.write(INGESTED, pa.Table.from_pylist(rows, INGESTED.arrow_schema()), partition=snapshot)
    register(instance, [snapshot])


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and _format(p))
            if not inside:
                raise IngestError(f"{path} holds no file ending in {', '.join(FORMATS)}")
            found += inside
        elif not path.is_file():
            raise IngestError(f"{path} does not exist")
        elif not _format(path):
            raise IngestError(f"{path} is none of {', '.join(FORMATS)}")
        else:
            found.append(path)
    return list(dict.fromkeys(path.resolve() for path in found))


def _format(path: Path) -> str | None:
    name = path.name.lower()
    return next((format_ for ending, format_ in FORMATS.items() if name.endswith(ending)), None)


def _names(files: list[Path]) -> dict[Path, str]:
    """A short name for every file: its own, with as many folders before it as it takes to tell it from the others."""
    for depth in range(1, max(len(path.parts) for path in files) + 1):
        names = {path: "/".join(path.parts[-depth:]) for path in files}
        if len(set(names.values())) == len(files):
            return names
    raise AssertionError("resolved paths are distinct")


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
