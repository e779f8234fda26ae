"""The lake: Delta tables under one root, and the IO manager through which every asset reads and writes them.

A write is checked against the `Table` declaration before anything reaches the disk (delta-rs casts silently), streams
record batches, and ends in one atomic commit per partition or per part of it. The commit also marks the part with the
fingerprint of what it was made from and the hash of what is in it, as Delta application transactions: they survive
checkpoints and log clean-up, so that a re-run can skip what is in and an identical rewrite does not make everything
downstream stale.

Local folders and object-store URLs are used alike; credentials come from the environment and are never configured.

The files: `lake` (where tables are, small commits, Dagster), `reader`, `writer` (a partition, part by part),
`datafiles` (the Parquet files of a write), `quarantine` (rows that could not be processed) and `commits`.
"""

from resources.lakehouse.commits import rows_with
from resources.lakehouse.lake import Lakehouse
from resources.lakehouse.quarantine import QUARANTINE
from resources.lakehouse.reader import Reader
from resources.lakehouse.writer import WriteResult

__all__ = ["QUARANTINE", "Lakehouse", "Reader", "WriteResult", "rows_with"]
