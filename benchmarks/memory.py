"""A 4 GB partition is filtered and rewritten through the IO manager in less than 1.5 GB of memory.

The partition has rows like web pages, 4 GB of raw text, and is written in pieces. It is read as batches, filtered with
polars, and written to a second table as one partition in one commit. Memory is the peak resident set of the process
that rewrites it, and of everything this process starts. The input is made in another process, which is not counted.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Claim, measure, table, verdict
from nemotron_assets.table.columns import ID, SNAPSHOT
from nemotron_assets.table.schema import Column, Table

GB = 1_000_000_000
PAGE_CHARACTERS = 20_000  # the size of an average web page
BATCH_ROWS = 512


def _pages(name: str) -> Table:
    columns = (ID, SNAPSHOT, Column("number", "int64", "running number"), Column("text", "string", "the page"))
    return Table("benchmark", name, "Pages for the memory benchmark.", columns, partition_by="snapshot")


RAW, KEPT = _pages("raw"), _pages("kept")


def make(root: str, size: int) -> None:
    """Write the partition "big" of RAW with `size` bytes of text, as a stream; all rows are different."""
    import random

    import polars as pl

    from resources.lakehouse import Lakehouse

    words = [f"{a}{b}" for a in "bcdfghklmnprstvw" for b in ("alpha", "enor", "ister", "okun", "ulip", "yran")]

    def frames() -> Iterator[pl.DataFrame]:
        for first in range(0, size // PAGE_CHARACTERS, BATCH_ROWS):
            chance = random.Random(first)
            numbers = range(first, min(first + BATCH_ROWS, size // PAGE_CHARACTERS))
            texts = [" ".join(chance.choices(words, k=PAGE_CHARACTERS // 6))[:PAGE_CHARACTERS] for _ in numbers]
            ids = [f"{n:032x}" for n in numbers]
            yield pl.DataFrame({"id": ids, "snapshot": "big", "number": list(numbers), "text": texts})

    Lakehouse(root=root).write(RAW, frames(), partition="big")


def rewrite(root: str) -> None:
    """Keep two of three rows of the partition, and print the number of rows and bytes written."""
    import polars as pl

    from resources.lakehouse import Lakehouse

    lake = Lakehouse(root=root)
    kept = (
        pl.from_arrow(batch).filter(pl.col("number") % 3 != 0) for batch in lake.read(RAW, partition="big").batches()
    )
    result = lake.write(KEPT, kept, partition="big")
    print("rows", result.rows, "bytes", result.bytes)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a partition of 0.5 GB")
    parser.add_argument("--child", nargs=2, metavar=("STEP", "ROOT"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where to put the tables (default: the temporary folder)")
    options = parser.parse_args(argv)
    size = GB // 2 if options.quick else 4 * GB
    if options.child:
        step, root = options.child
        make(root, size) if step == "make" else rewrite(root)
        return 0

    folder = Path(tempfile.mkdtemp(prefix="nemotron-memory-", dir=options.folder))
    command = [sys.executable, "-m", "benchmarks.memory", *(["--quick"] if options.quick else [])]
    # Home and lake are both in the folder, so that the benchmark cannot touch a lake of the user.
    env = {"NEMOTRON_HOME": str(folder / "home"), "NEMOTRON_LAKE": str(folder / "lake")}
    try:
        made = measure([*command, "--child", "make", str(folder / "lake")], env=env)
        done = measure([*command, "--child", "rewrite", str(folder / "lake")], env=env)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _, rows, _, written = done.output.split()[-4:]
    expected = sum(1 for n in range(size // PAGE_CHARACTERS) if n % 3)
    if int(rows) != expected:
        print(f"The rewritten partition has {rows} rows, not {expected}.", file=sys.stderr)
        return 1
    header = ("step", "seconds", "CPU seconds", "peak RSS MB")
    rows_ = [(n, m.seconds, m.cpu_seconds, f"{m.peak_rss / 1e6:,.0f}") for n, m in (("make", made), ("rewrite", done))]
    print(table(header, rows_))
    print(f"{size / GB:g} GB of text; kept {int(rows):,} rows, {int(written) / 1e6:,.0f} MB on disk")
    return verdict([Claim("peak memory of the rewrite", done.peak_rss / GB, "GB", at_most=1.5)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
