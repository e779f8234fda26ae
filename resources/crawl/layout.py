"""Common Crawl's layout: the names of its files, the list of snapshots, the list of WARC files of a snapshot."""

from __future__ import annotations

import gzip
import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from resources.crawl.errors import CrawlError, Oversized

#: Names a snapshot may have. They become partition keys and folder names. Example: CC-MAIN-2024-51.
SNAPSHOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
COLLINFO = "collinfo.json"
MAX_COLLINFO_MB = 16
MAX_LISTING_MB = 256

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

    Raises ValueError, TypeError or RecursionError if the text is not a JSON list.
    """
    found = [
        Snapshot(e["id"], str(e.get("name") or e["id"]), _date(e.get("from")), _date(e.get("to")))
        for e in json.loads(text)
        if isinstance(e, dict) and isinstance(e.get("id"), str) and SNAPSHOT_NAME.fullmatch(e["id"])
    ]
    return sorted({s.id: s for s in found}.values(), key=lambda s: s.id)


def listing_of(snapshot: str) -> str:
    """The path of the file that lists the WARC files of a snapshot. Raises CrawlError for an invalid name."""
    if not SNAPSHOT_NAME.fullmatch(snapshot):
        raise CrawlError(
            f"{snapshot!r} is not a valid snapshot name: use up to 100 letters, digits, '.', '_' and '-', "
            "beginning with a letter or digit"
        )
    return f"crawl-data/{snapshot}/warc.paths.gz"


def parse_listing(data: bytes) -> list[str]:
    """The paths in a warc.paths.gz, each once, in their order.

    Raises `Oversized` if it decompresses to more than `MAX_LISTING_MB`, CrawlError for an unsafe path, and zlib.error,
    EOFError or gzip.BadGzipFile if it is damaged.
    """
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        text = stream.read((MAX_LISTING_MB << 20) + 1)
    if len(text) > MAX_LISTING_MB << 20:
        raise Oversized(f"a list of WARC files decompresses to more than {MAX_LISTING_MB} MB")
    lines = [line for line in text.decode("ascii", "replace").split("\n") if line.strip()]
    return list(dict.fromkeys(check_path(line.rstrip("\r")) for line in lines))


def check_path(path: str) -> str:
    """Return a relative path of plain segments unchanged; raise CrawlError for any other path.

    Example: `crawl-data/a/b.warc.gz` is accepted; `../a`, `/a`, `a//b` and `http://host/a` are not.
    """
    parts = path.split("/")
    if len(path) > 1024 or not all(_SEGMENT.fullmatch(part) for part in parts) or PurePosixPath(path).is_absolute():
        raise CrawlError(f"{path[:200]!r} is not a safe path in a crawl: expected a relative path without '..'")
    return path


def _date(value: object) -> datetime | None:
    try:
        date = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return date and (date if date.tzinfo else date.replace(tzinfo=UTC))
