"""Common Crawl's layout: the names of its files, the list of snapshots, the list of WARC files of a snapshot."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from nemotron_assets.table.storable import storable
from resources import gunzip
from resources.crawl.errors import CrawlError, Oversized

#: Names a snapshot may have. They become partition keys and folder names. Example: CC-MAIN-2024-51.
SNAPSHOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
COLLINFO = "collinfo.json"
#: Longest path, and longest title of a snapshot, in characters.
_MAX_PATH, _MAX_TITLE = 1024, 200

_SEGMENT = re.compile(r"(?!\.\.?$)[A-Za-z0-9._=+,@%~-]+", re.ASCII)


@dataclass(frozen=True)
class Snapshot:
    """One entry of collinfo.json. The dates are in UTC; None if the entry has no valid date."""

    id: str
    name: str
    from_date: datetime | None
    to_date: datetime | None


def parse_collinfo(text: bytes) -> list[Snapshot]:
    """The snapshots of a collinfo.json, oldest first, without entries whose id is not a valid snapshot name.

    Raises ValueError, TypeError or RecursionError if the text is not a JSON list, or if no entry is left.
    """
    entries = json.loads(text)
    if not isinstance(entries, list):
        raise TypeError(f"its JSON is not a list but {type(entries).__name__}")
    found = [
        Snapshot(e["id"], _title(e.get("name") or e["id"]), _date(e.get("from")), _date(e.get("to")))
        for e in entries
        if isinstance(e, dict) and isinstance(e.get("id"), str) and SNAPSHOT_NAME.fullmatch(e["id"])
    ]
    if entries and not found:
        raise ValueError("no entry has an id that can be the name of a snapshot")
    return sorted({s.id: s for s in found}.values(), key=lambda s: s.id)


def listing_of(snapshot: str) -> str:
    """The path of the file that lists the WARC files of a snapshot. Raises CrawlError for an invalid name."""
    if not SNAPSHOT_NAME.fullmatch(snapshot):
        raise CrawlError(
            f"{snapshot!r} is not a valid snapshot name: use up to 100 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    return f"crawl-data/{snapshot}/warc.paths.gz"


def parse_listing(data: bytes, max_mb: int, max_files: int) -> list[str]:
    """The paths in a warc.paths.gz, each once, in their order.

    Raises `Oversized` for a list of more than `max_mb` MB (2**20 bytes) or `max_files` lines, CrawlError for an unsafe
    path, and zlib.error, EOFError or ValueError for damaged data.
    """
    paths: dict[str, None] = {}
    for number, line in enumerate(_lines(data, max_mb)):
        if number == max_files:
            raise Oversized(f"it has more than the {max_files:,} lines allowed")
        if line.strip():
            paths[check_path(line.rstrip("\r"))] = None
    return list(paths)


def _lines(data: bytes, max_mb: int) -> Iterator[str]:
    """The lines of a gzip file of ASCII text, one after the other: the whole text is never in memory."""
    size, rest = 0, b""
    for piece in gunzip.inflated(io.BytesIO(data)):
        size += len(piece)
        if size > max_mb << 20:
            raise Oversized(f"it decompresses to more than the {max_mb} MB allowed")
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.decode("ascii", "replace")
        if len(rest) > _MAX_PATH:
            break  # no path is so long: the caller refuses it
    yield rest.decode("ascii", "replace")


def check_path(path: str) -> str:
    """Return a relative path of plain segments unchanged; raise CrawlError for any other path.

    Example: `crawl-data/a/b.warc.gz` is accepted; `../a`, `/a`, `a//b` and `http://host/a` are not.
    """
    parts = path.split("/")
    if (
        len(path) > _MAX_PATH
        or not all(_SEGMENT.fullmatch(part) for part in parts)
        or PurePosixPath(path).is_absolute()
    ):
        raise CrawlError(f"{path[:200]!r} is not a safe path in a crawl: expected a relative path without '..'")
    return path


def _title(value: object) -> str:
    return storable(str(value)[:_MAX_TITLE])


def _date(value: object) -> datetime | None:
    try:
        date = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return date and (date if date.tzinfo else date.replace(tzinfo=UTC))
