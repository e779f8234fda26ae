"""Crawl files on this machine: the embedded sample, files below a folder, and a file's fingerprint."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from resources.crawl.errors import CrawlError, Missing
from resources.crawl.layout import check_path

#: The embedded sample data: a small crawl, and beside it the other samples (`code`, `truth`, …).
SAMPLE = Path(__file__).parents[2] / "nemotron_assets" / "sample"

_END_BYTES = 65_536


def file_below(folder: str, path: str) -> Path:
    """The absolute place of a path from a crawl below the crawl's folder.

    Raises CrawlError for an unsafe path and for a symbolic link that leads out of the folder.
    """
    root = Path(folder).resolve()
    place = (root / check_path(path)).resolve()
    if not place.is_relative_to(root):
        raise CrawlError(f"{path!r} leads out of {root}: the path follows a symbolic link")
    return place


def file_fingerprint(path: Path) -> str:
    """Identify a local file's content by its size and a hash of its first and last 64 KiB. Raises `Missing`.

    The fingerprint does not depend on the file's path or modification time. Example: `1048576:9f86d081884c7d65…`.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            ends = stream.read(_END_BYTES)
            stream.seek(max(0, size - _END_BYTES))
            ends += stream.read(_END_BYTES)
    except OSError as error:
        raise Missing(f"{path}: {error.strerror}") from error
    return f"{size}:{hashlib.sha256(ends).hexdigest()[:32]}"
