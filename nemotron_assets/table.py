"""What a table is, and how an asset becomes one.

`Table` declares a Delta table once: columns with their meaning, key, partition, parents. The same declaration is the
write contract, the column schema in the Dagster UI, the comments in DuckDB and the edges of the lineage graph.
`table_asset` turns a function from tables to a table into a Dagster asset with the house's conventions.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import xxhash

from nemotron_assets.recipe import current_recipe

if TYPE_CHECKING:
    import polars as pl

# Checks of one partition are used on purpose; whether Dagster calls them a preview is pinned in the lock file.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)

#: Crawl snapshots are the lakehouse's unit of arrival: "CC-MAIN-2024-51", or the name given to ingested data.
snapshot_partitions = dg.DynamicPartitionsDefinition(name="snapshot")

#: What a model writes about code is made language by language; which ones there are, the recipe says.
language_partitions = dg.StaticPartitionsDefinition(list(current_recipe().code_qa.languages))

#: How a table with this `partition_by` is partitioned in Dagster.
PARTITIONS = {None: None, "snapshot": snapshot_partitions, "language": language_partitions}

#: For steps that ask a model or the network: what fails may work a little later, and what is done is kept.
RETRIES = dg.RetryPolicy(max_retries=2, delay=15, backoff=dg.Backoff.EXPONENTIAL)

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


ID = Column("id", "string", "xxh3-128 hex of the table and the row's natural key; stable across runs")
PARENTS = Column("parents", "list[string]", "ids of the rows this row was made from")
SOURCES = Column("sources", "list[string]", "table that each of the parents stands in")
SNAPSHOT = Column("snapshot", "string", "crawl snapshot or name of the ingested data set")
CONTENT_HASH = Column("content_hash", "string", "xxh3-128 hex of the content; equal contents have equal hashes")


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
        object.__setattr__(self, "_by_name", by_name)

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def asset_key(self) -> dg.AssetKey:
        return dg.AssetKey([self.schema, self.name])

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

    def column_schema(self) -> dg.TableSchema:
        """The columns as Dagster's UI shows them."""
        return dg.TableSchema(
            columns=[
                dg.TableColumn(c.name, c.dtype, c.meaning, constraints=dg.TableColumnConstraints(nullable=c.nullable))
                for c in self.columns
            ]
        )


def row_id(table_name: str, *natural_key: object) -> str:
    """The id of a row: xxh3-128 hex of the table's full name and the row's natural key."""
    return content_hash("\x1f".join([table_name, *map(str, natural_key)]))


def content_hash(data: str | bytes) -> str:
    """xxh3-128 hex of a text (as UTF-8) or of bytes."""
    return xxhash.xxh3_128_hexdigest(data.encode() if isinstance(data, str) else data)


@dataclass(frozen=True)
class Reject:
    """One row that a stage could not process. `cause` is a short snake_case kind, `detail` says more."""

    row_id: str
    cause: str
    detail: str = ""


@dataclass(frozen=True)
class Part:
    """One unit of work inside a partition, written as one commit.

    `fingerprint` names everything the part depends on; `make` is called only when the lake does not hold the part
    with this fingerprint, and may be called again after a write conflict.
    """

    key: str
    fingerprint: str
    make: Callable[[], Any]


@dataclass(frozen=True)
class Parts:
    """A partition as a stream of parts. Parts in the lake that are not among them are removed at the end.

    `beside` names tables that are written in the same pass, so that Dagster shows them as materialised too;
    `metadata` is called after the last part for what only the whole table can tell.
    """

    parts: Iterable[Part]
    beside: tuple[Table, ...] = ()
    metadata: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class Batches:
    """A stream of frames or record batches; keeps Dagster from taking a generator for a stream of events."""

    batches: Iterable[Any]


def all_tables() -> dict[str, Table]:
    """Every declared table by full name."""
    from importlib import import_module

    modules = (
        "nemotron_assets.snapshots.tables", "nemotron_assets.web.tables", "nemotron_assets.web.dedup.tables",
        "nemotron_assets.web.quality.tables", "nemotron_assets.web.synthetic.tables",
        "nemotron_assets.web.release.tables", "nemotron_assets.math.tables", "nemotron_assets.math.corpus.tables",
        "nemotron_assets.code.sources.tables", "nemotron_assets.code.licences.tables",
        "nemotron_assets.code.quality.tables", "nemotron_assets.code.qa.tables",
        "nemotron_assets.blend.tables",
        "nemotron_assets.models", "nemotron_assets.evaluate.tables", "resources.generations",
        "resources.lakehouse.quarantine",
    )  # fmt: skip
    return {table.full_name: table for module in modules for table in import_module(module).TABLES}


def made_once(*inputs: dg.AssetKey) -> dg.AutomationCondition:
    """Made when missing, and again when the recipe or the content of `inputs` changed, but not for a new snapshot."""
    condition = dg.AutomationCondition
    wanted = (condition.any_deps_updated() & condition.missing()) | condition.code_version_changed()
    if inputs:
        changed = condition.any_deps_match(condition.data_version_changed())
        wanted |= changed.allow(dg.AssetSelection.assets(*inputs))
    ready = ~condition.any_deps_missing() & ~condition.any_deps_in_progress() & ~condition.in_progress()
    return wanted.since_last_handled() & ready


def table_asset(
    table: Table,
    *,
    recipe: str | Sequence[str],
    code: str = "1",
    kinds: Iterable[str] = (),
    owners: Sequence[str] = ("team:lakehouse",),
    automation: dg.AutomationCondition | None = None,
    retry_policy: dg.RetryPolicy | None = None,
    metadata: Mapping[str, Any] | None = None,
    **options: Any,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Make an asset that writes `table` out of a function from tables to a table.

    `recipe` names the dotted recipe sections the asset depends on; their hash and `code` (raise it when the logic
    changes) are the asset's code version, so that a changed number shows up as a stale asset. Inputs arrive as
    `Reader`s; the function returns whatever `Lakehouse.write` takes. Other `options` go to `dagster.asset`.
    """
    sections = (recipe,) if isinstance(recipe, str) else tuple(recipe)
    version = content_hash("\x1f".join([code, str(table.version), *map(current_recipe().section_hash, sections)]))

    def decorate(function: Callable[..., Any]) -> dg.AssetsDefinition:
        @functools.wraps(function)
        def compute(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            return Batches(result) if inspect.isgenerator(result) else result

        return dg.asset(
            key=table.asset_key,
            group_name=table.schema,
            description=inspect.getdoc(function) or table.description,
            partitions_def=PARTITIONS[table.partition_by],
            code_version=version[:16],
            kinds={"delta", *kinds},
            owners=list(owners),
            automation_condition=automation or dg.AutomationCondition.eager(),
            retry_policy=retry_policy,
            metadata={
                "dagster/column_schema": table.column_schema(),
                "dagster/table_name": table.full_name,
                "recipe_sections": ", ".join(sections),
                **(metadata or {}),
            },
            output_required=True,
            **options,
        )(compute)

    return decorate
