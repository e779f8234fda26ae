"""Reads crawl snapshots that are laid out as Common Crawl lays out its own: a folder, a web server or an object store.

    collinfo.json                          the list of snapshots: id, name, from, to
    crawl-data/<id>/warc.paths.gz          the WARC files of one snapshot, one relative path per line
    crawl-data/<id>/segments/…/*.warc.gz   the WARC files

Everything in a crawl is untrusted. Names are checked before they are used, and sizes before anything is decompressed.
A path from a crawl never becomes a path on this machine: a remote file is read through an unnamed temporary file. A
transfer that breaks off is resumed where it stopped, waits as long as the server asks, and gives up within the limits
of the recipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.crawl.errors import CrawlError, Missing, Oversized, Unavailable, Unreachable
from resources.crawl.layout import SNAPSHOT_NAME, Snapshot, check_path
from resources.crawl.local import SAMPLE, file_fingerprint
from resources.http_session import retry_after

if TYPE_CHECKING:
    from resources.crawl.resource import Crawl

__all__ = [
    "SAMPLE", "SNAPSHOT_NAME", "Crawl", "CrawlError", "Missing", "Oversized", "Snapshot", "Unavailable", "Unreachable",
    "check_path", "file_fingerprint", "retry_after",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Import `Crawl`, which needs Dagster, when it is first used: most modules need only the names above."""
    if name == "Crawl":
        from resources.crawl.resource import Crawl

        return Crawl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
