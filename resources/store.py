"""Opens a folder of the lake as a file system, on this machine or in an object store."""

from __future__ import annotations

from typing import Any


def store_at(path: str) -> Any:
    """The pyarrow file system rooted at a local folder or an object-store URL.

    Credentials and endpoints of an object store come from the environment variables of its provider.
    """
    from pyarrow.fs import FileSystem, LocalFileSystem, SubTreeFileSystem

    filesystem, base = FileSystem.from_uri(path) if "://" in path else (LocalFileSystem(), path)
    return SubTreeFileSystem(base, filesystem)
