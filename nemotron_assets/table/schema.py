"""What a table is: its columns with their meanings, its key, its partitions, what it is made from.

A `Table` declares a Delta table once. The same declaration is the write contract, the column schema in the Dagster UI,
the comments in DuckDB and the edges of the lineage graph. Worker processes import declarations, so this module loads
neither Dagster nor the recipe.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import dagster as dg
    import polars as pl

DTYPES = (
    "string", "binary", "bool", "int32", "int64", "float32", "float64", "timestamp",
    "list[string]", "list[int32]", "list[int64]", "list[float32]",
)  # fmt: skip

SQL_TYPES = {
    "string": "VARCHAR", "binary": "BLOB", "bool": "BOOLEAN", "int32": "INTEGER", "int64": "BIGINT",
    "float32": "FLOAT", "float64": "DOUBLE", "timestamp": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column: `dtype` is one of `DTYPES`; timestamps are UTC microseconds.

    `volatile` columns (timings, run ids) are left out of a partition's content-based data version, so that doing the
    same work again does not make everything downstream stale.
    """

    name: str
    dtype: str
    meaning: str
    nullable: bool = False
    volatile: bool = False

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ValueError(f"column {self.name}: dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")

    @property
    def sql_type(self) -> str:
        """The DuckDB type of this column."""
        if self.dtype.startswith("list["):
            return SQL_TYPES[self.dtype[5:-1]] + "[]"
        return SQL_TYPES[self.dtype]


#: What every table of models has: which model it is, where its weights are, and the models it was made from.
MODEL_COLUMNS = ("id", "name", "version", "uri", "sha256", "parents", "sources", "input_versions", "run_id", "at")


@dataclass(frozen=True)
class Published:
    """How a table is laid out as a Hugging Face dataset by `nemotron export` (nemotron_assets/export).

    `columns` are those of every config, `more` those that a config has beside them. The configs are the values of the
    column `configs_by`, those of `configs` first and even when they have no rows; without it there is one, "default".
    `structs` names columns of which the dataset makes one with fields, as {"metadata": ("category", ...)}.
    `histograms` are (table, column) of what the card counts beside: the quality buckets of the documents, say.
    """

    title: str
    columns: tuple[str, ...]
    configs_by: str | None = None
    configs: tuple[str, ...] = ("default",)
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    structs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    histograms: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Table:
    """A Delta table `<lake>/<schema>/<name>`, which is also asset key `schema/name` and DuckDB `schema.name`.

    `partition_by` is one of `PARTITIONS`. `part_by` names a column whose values are units of work inside a partition
    (a WARC file): each is one commit, and a re-run skips those that are in. `parents` names the tables (as
    "web.documents") whose ids stand in the `parents` column. `version` grows with an incompatible schema change.
    `published` is its layout when it is exported. `point_reads` says that single rows are looked up: long values are
    stored a few rows to a page, so that readers which skip pages decompress little for one, at the price of some size.
    `uncompressed` names columns of random bytes or digits that are scanned again and again.
    """

    schema: str
    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ("id",)
    partition_by: str | None = None
    part_by: str | None = None
    parents: tuple[str, ...] = ()
    version: int = 1
    published: Published | None = None
    point_reads: bool = False
    uncompressed: tuple[str, ...] = ()
    kind: Literal["rows", "model"] = "rows"
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        by_name = {column.name: column for column in self.columns}
        if len(by_name) != len(self.columns):
            raise ValueError(f"table {self.full_name} declares a column twice")
        for name in (*self.key, *filter(None, (self.partition_by, self.part_by)), *self.uncompressed):
            if name not in by_name:
                raise ValueError(f"table {self.full_name} has no column {name!r} to use as key, partition or part")
        if out := self.published:
            groups = (out.columns, *out.more.values(), *out.structs.values(), filter(None, (out.configs_by,)))
            for name in itertools.chain(*groups):
                if name not in by_name:
                    raise ValueError(f"table {self.full_name} has no column {name!r} to publish")
        if self.kind == "model" and (missing := [name for name in MODEL_COLUMNS if name not in by_name]):
            raise ValueError(f"table {self.full_name} holds models and needs the columns {', '.join(missing)}")
        object.__setattr__(self, "_by_name", by_name)

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def asset_key(self) -> dg.AssetKey:
        """The Dagster asset that writes this table. Dagster is loaded here, for who asks, and not with the module."""
        import dagster as dg

        return dg.AssetKey([self.schema, self.name])

    @property
    def is_model(self) -> bool:
        """Whether each row describes one version of a model whose weights lie in the lake."""
        return self.kind == "model"

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        return self._by_name[name]

    def arrow_schema(self):
        """The pyarrow schema every written batch must have, column for column."""
        import pyarrow as pa

        scalar = {
            "string": pa.large_string(), "binary": pa.large_binary(), "bool": pa.bool_(), "int32": pa.int32(),
            "int64": pa.int64(), "float32": pa.float32(), "float64": pa.float64(),
            "timestamp": pa.timestamp("us", tz="UTC"),
        }  # fmt: skip

        def arrow_type(dtype: str):
            return pa.large_list(scalar[dtype[5:-1]]) if dtype.startswith("list[") else scalar[dtype]

        return pa.schema([pa.field(c.name, arrow_type(c.dtype), nullable=c.nullable) for c in self.columns])

    def empty(self) -> pl.DataFrame:
        """A frame without rows, with the columns as they are read."""
        import polars as pl

        return pl.from_arrow(self.arrow_schema().empty_table())
