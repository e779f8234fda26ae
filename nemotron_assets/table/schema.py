"""Declares tables: the columns with their meanings, the key, the partitions, and the tables that the rows come from.

A `Table` declares a Delta table once. The declaration is used as the write contract, the column schema in the Dagster
UI, the comments in DuckDB and the edges of the lineage graph. Worker processes import declarations, so this module
loads neither Dagster nor the recipe.
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
    "list[string]", "list[bool]", "list[int32]", "list[int64]", "list[float32]",
)  # fmt: skip

SQL_TYPES = {
    "string": "VARCHAR", "binary": "BLOB", "bool": "BOOLEAN", "int32": "INTEGER", "int64": "BIGINT",
    "float32": "FLOAT", "float64": "DOUBLE", "timestamp": "TIMESTAMP WITH TIME ZONE",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column. `dtype` is one of `DTYPES`; timestamps are UTC in microseconds.

    The content hash of a partition ignores `volatile` columns (timings, run ids), so that doing the same work again
    does not make downstream assets stale.
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


#: Columns that every table of models has: which model it is, where its weights are, and what it was made from.
MODEL_COLUMNS = ("id", "name", "version", "uri", "sha256", "parents", "sources", "input_versions", "run_id", "at")


@dataclass(frozen=True)
class Published:
    """The layout of a table as a Hugging Face dataset, for `nemotron export` (nemotron_assets/export).

    Every config has the columns `columns`, or those that `instead` gives it; `more` gives further columns by config.
    The configs are the values of the column `configs_by`. Those in `configs` come first, and exist even without rows.
    Without `configs_by` there is one config, "default". `structs` joins columns into one column with fields:
    {"metadata": ("category", ...)}.
    `histograms` names (table, column) pairs whose values the dataset card counts, such as the quality of documents.
    With `examples` the card shows a row of each config. With `empty_configs` a config without rows has a file without
    rows, and not only a line in the card.
    """

    title: str
    columns: tuple[str, ...]
    configs_by: str | None = None
    configs: tuple[str, ...] = ("default",)
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    structs: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    histograms: tuple[tuple[str, str], ...] = ()
    examples: bool = False
    empty_configs: bool = False

    def columns_of(self, config: str) -> tuple[str, ...]:
        """The published columns of a config."""
        return (*self.instead.get(config, self.columns), *self.more.get(config, ()))


@dataclass(frozen=True)
class Table:
    """A Delta table `<lake>/<schema>/<name>`, which is also the asset `schema/name` and `schema.name` in DuckDB.

    - `partition_by`: a column that a stage declares partitions for (in its `partitions` module).
    - `part_by`: a column whose values are units of work inside a partition, such as WARC files. Each part is one
      commit, and a re-run skips the parts that are stored.
    - `parents`: the tables ("web.documents") whose ids are in the column `parents`.
    - `version`: raised with every incompatible schema change.
    - `published`: the layout of its export.
    - `point_reads`: single rows are looked up. A Parquet page then holds few long values, so that a reader decompresses
      little for one row; the files become a little larger.
    - `uncompressed`: columns of random bytes or digits that are scanned often.
    - `kind`: "model" for a table in which every row is one version of a model.
    - `origins`: the columns of other tables that a column is made of: {"level": ("web.quality.level",)}. The name "*"
      stands for all columns that have no origins of their own and none by their name; see table/origins.py.
    - `group`: the group of its asset in the Dagster UI, if it is not the schema. Groups follow the flow of the data, so
      that no two groups are made from each other.
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
    group: str = ""
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        by_name = {column.name: column for column in self.columns}
        if len(by_name) != len(self.columns):
            raise ValueError(f"table {self.full_name} declares a column twice")
        for name in (*self.key, *filter(None, (self.partition_by, self.part_by)), *self.uncompressed):
            if name not in by_name:
                raise ValueError(
                    f"table {self.full_name} names the column {name!r} as key, partition, part or uncompressed, "
                    f"but declares only {', '.join(by_name)}"
                )
        for name in filter(None, (self.partition_by, self.part_by)):
            if by_name[name].nullable:
                raise ValueError(f"table {self.full_name} is divided by {name!r}, so that column must not be nullable")
        if out := self.published:
            by_config = itertools.chain(out.more.values(), out.instead.values(), out.structs.values())
            groups = (out.columns, *by_config, filter(None, (out.configs_by,)))
            for name in itertools.chain(*groups):
                if name not in by_name:
                    raise ValueError(f"table {self.full_name} has no column {name!r} to publish")
        if self.kind == "model" and (missing := [name for name in MODEL_COLUMNS if name not in by_name]):
            raise ValueError(f"table {self.full_name} holds models and needs the columns {', '.join(missing)}")
        if unknown := self.origins.keys() - by_name.keys() - {"*"}:
            raise ValueError(f"table {self.full_name} has no column {min(unknown)!r}, but names its origins")
        object.__setattr__(self, "_by_name", by_name)

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def group_name(self) -> str:
        """The group of the asset in the Dagster UI."""
        return self.group or self.schema

    @property
    def asset_key(self) -> dg.AssetKey:
        """The key of the Dagster asset that writes this table. Dagster is imported only when this is called."""
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
        """The column of this name. Raises `KeyError` for an undeclared name."""
        return self._by_name[name]

    def arrow_schema(self):
        """The pyarrow schema that every written batch must have."""
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
        """A frame without rows that has the columns and types of a frame read from the table."""
        import polars as pl

        return pl.from_arrow(self.arrow_schema().empty_table())
