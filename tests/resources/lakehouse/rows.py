"""Two small tables with rows, for the tests of the lake."""

import os

import polars as pl

from nemotron_assets.table.columns import ID, PARENTS, SNAPSHOT
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.table.schema import Column, Table

DOCS = Table(
    "web",
    "docs",
    "Documents of the tests.",
    (
        ID,
        PARENTS,
        SNAPSHOT,
        Column("file", "string", "name of the part"),
        Column("n", "int64", "a number"),
        Column("at", "timestamp", "a time", nullable=True, volatile=True),
    ),
    partition_by="snapshot",
    part_by="file",
)


PLAIN = Table("web", "plain", "Unpartitioned.", (ID, Column("n", "int64", "a number")))


def docs(snapshot: str, file: str, numbers, at=None) -> pl.DataFrame:
    return pl.DataFrame(
        {"id": f"{snapshot}/{file}/{n}", "parents": ["p"], "snapshot": snapshot, "file": file, "n": n, "at": at}
        for n in numbers
    ).cast({"at": pl.Datetime("us", "UTC")})


def parts(snapshot: str, calls: list, **files) -> Parts:
    """One part per file. `calls` collects the files whose part was made."""

    def make(file):
        calls.append(file)
        return docs(snapshot, file, files[file])

    return Parts([Part(file, f"{file}:{files[file]}", lambda file=file: make(file)) for file in files])


def numbers(lake, snapshot=None):
    return sorted(lake.read(DOCS, snapshot).scan().collect()["n"])


def data_files(lake, table):
    return {f for _, _, names in os.walk(lake.path(table)) for f in names if f.endswith(".parquet")}
