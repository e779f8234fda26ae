"""The lake: Delta tables under one root, and the IO manager through which every asset reads and writes them.

A write streams record batches. Each batch is checked against the `Table` declaration before it reaches the disk,
because delta-rs casts types silently. The write ends in one atomic commit per partition, or per part of a partition.

The commit also stores two marks of the part: a fingerprint of its inputs and a hash of its content. With the first, a
re-run skips finished parts; with the second, an identical rewrite does not make downstream assets stale. Marks are
Delta application transactions, which survive checkpoints and log clean-up.

Local folders and object-store URLs work alike. Credentials come from the environment and are never configured.

The files: `lake` (where tables are, small commits), `io_manager` (the lake for Dagster), `reader`, `writer` (writes a
partition part by part), `changes` (what a commit adds and ends), `datafiles` (writes Parquet files), `stored` (finds
and reads them), `verify` (compares files with their recorded hashes), `quarantine` (rows that could not be processed),
`commits` and `errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.lakehouse.quarantine import QUARANTINE
from resources.lakehouse.reader import Reader
from resources.lakehouse.writer import WriteResult

if TYPE_CHECKING:
    from resources.lakehouse.io_manager import Lakehouse
    from resources.lakehouse.lake import Lake

__all__ = ["QUARANTINE", "Lake", "Lakehouse", "Reader", "WriteResult"]


def __getattr__(name: str) -> object:
    """Import the lake when it is first used, because `Lakehouse` needs Dagster: commands that only read the catalog
    need none."""
    if name == "Lakehouse":
        from resources.lakehouse.io_manager import Lakehouse

        return Lakehouse
    if name == "Lake":
        from resources.lakehouse.lake import Lake

        return Lake
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
