"""DuckDB over the lake: one small catalog file with a view per table, for queries in SQL.

The catalog file `cache/lake.duckdb` holds no data. Every declared table is a view over `delta_scan`, so that a query
reads the last commit, and only the partitions and files it needs. A table that was not written yet is a view without
rows, so that every query and report runs on any lake. Descriptions and column meanings are comments of the views. A
rebuild writes a new file and renames it to the old name: open readers keep the old file, and never block a run.

The plain `duckdb -readonly` program opens the same file after `install_extension` has put the Delta extension (from the
Python package `duckdb-extension-delta`) into the user's DuckDB folder. No step needs a network.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.stages import all_tables
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.quoting import literal
from nemotron_assets.table.schema import Table
from resources.delta_log import DeltaLog
from resources.files import replaced
from resources.home import home, lake_root
from resources.lakehouse.branch import root_of, roots
from resources.store import delta_at
from resources.warehouse.catalog import Catalog, CatalogBuild
from resources.warehouse.extensions import QUIET, WarehouseError, extension_file, install_extension
from resources.warehouse.interrupting import interruptible
from resources.warehouse.lineage_views import views as lineage_views
from resources.warehouse.reading import lock

if TYPE_CHECKING:
    import duckdb

logger = logging.getLogger(__name__)

#: The folder of the project.
PROJECT = Path(__file__).resolve().parents[2]

#: The folder with views, macros and reports as SQL files.
SQL_FOLDER = PROJECT / "sql"

#: Name under which the catalog is attached. It is the stem of the file name, as in the `duckdb` program.
CATALOG = "lake"


@dataclass(frozen=True)
class Warehouse:
    """The DuckDB catalog of a lake, and read-only connections to it. A plain object, so that a query loads no Dagster.

    `root` is the folder or object-store URL of the lake; if it is empty, the lake is where NEMOTRON_LAKE says.
    `storage_options` are those of the object store, such as endpoint and region, and never credentials. `catalog` is
    the path of the catalog file; if it is empty, the file is cache/lake.duckdb below the home.
    """

    root: str = ""
    storage_options: Mapping[str, str] = field(default_factory=dict)
    catalog: str = ""

    @property
    def path(self) -> Path:
        """The catalog file."""
        return Path(self.catalog) if self.catalog else home() / "cache" / f"{CATALOG}.duckdb"

    @property
    def lake(self) -> str:
        """The folder or URL of the lake, without a slash at the end."""
        return (self.root or lake_root()).rstrip("/")

    @property
    def is_local(self) -> bool:
        return "://" not in self.lake

    def table_path(self, table: Table) -> str:
        """Path or URL of a table, the same as `Lakehouse.path`."""
        return f"{root_of(self.lake, table.full_name)}/{table.schema}/{table.name}"

    def exists(self, table: Table) -> bool:
        """Whether the lake holds the table."""
        if self.is_local:
            return os.path.isdir(os.path.join(self.table_path(table), "_delta_log"))
        from deltalake.exceptions import TableNotFoundError

        try:
            delta_at(self.table_path(table), self.storage_options, without_files=True)
        except TableNotFoundError:
            return False
        return True

    # -- the catalog file ---------------------------------------------------------------------------------------

    def refresh(self, tables: Iterable[Table] | None = None, sql_folder: Path | None = SQL_FOLDER) -> Catalog:
        """Rebuild the catalog file and move it into place.

        `tables` defaults to all declared tables. `sql_folder` has the folders macros/ and views/; with None only the
        tables get views. A table that cannot be read becomes a view that fails with the reason; it is logged, and named
        in the result.
        """
        tables = None if tables is None else list(tables)
        signature = self.signature(tables)  # taken first: a table that is written meanwhile makes the file out of date
        tables = list(all_tables().values()) if tables is None else tables
        path = self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._sweep(path)
        with replaced(path) as temporary, self._session(str(temporary)) as connection:
            catalog = CatalogBuild(self, connection, tables, signature).run(path, sql_folder)
        for name, reason in catalog.unreadable.items():
            logger.warning("%s cannot be read, so queries of it fail: %s", name, reason)
        try:
            install_extension(*self._extensions)
        except Exception as error:  # the catalog is complete, and only the separate duckdb program needs this
            logger.warning("The plain duckdb program cannot open the catalog: no extension was installed: %s", error)
        return catalog

    def current(self, tables: Iterable[Table] | None = None) -> bool:
        """Whether the catalog file was made from the current declarations, SQL files and tables in the lake."""
        if not self.path.exists():
            return False
        import duckdb

        try:
            with _attached(duckdb.connect(":memory:"), self.path) as connection:
                stored = connection.execute("select signature from lineage.catalog").fetchone()
                unreadable = connection.execute(
                    "select path, unreadable_log from lineage.tables where unreadable_log is not null"
                ).fetchall()
        except duckdb.Error:
            return False
        if stored != (self.signature(tables),) or any(DeltaLog(path).state() != log for path, log in unreadable):
            return False
        return self._damaged_logs() <= {path for path, _ in unreadable}

    def _damaged_logs(self) -> set[str]:
        """The tables of a local lake with a damaged log, which DuckDB may read without an error."""
        folders = [str(log.parent) for log in Path(self.lake).glob("*/*/_delta_log")] if self.is_local else []
        return {folder for folder in folders if DeltaLog(folder).damage()}

    def signature(self, tables: Iterable[Table] | None = None) -> str:
        """A hash of everything the catalog file is made from: declarations, SQL files, code, and tables in the lake.

        For the tables of the project, the code that declares them stands for the declarations: reading all of it takes
        a twentieth of the time of importing it.
        """
        import duckdb

        files = [file for file in SQL_FOLDER.rglob("*.sql") if file.parent.name != "reports"]
        files += (PROJECT / "resources").rglob("*.py")
        sources = [duckdb.__version__, self.lake]
        if tables is None:
            files += (PROJECT / "nemotron_assets").rglob("*.py")
        else:
            tables = list(tables)
            sources += [*(repr(table) for table in tables), *lineage_views(tables)]
        sources += [f"{file.relative_to(PROJECT)}\x1f{file.read_text(encoding='utf-8')}" for file in sorted(files)]
        return content_hash("\x1f".join([*sources, *sorted(self._in_lake(tables))]))

    def _in_lake(self, tables: list[Table] | None) -> Iterator[str]:
        """The names of the tables in the lake; without `tables`, of all folders of a local lake that hold a table."""
        if tables is None and self.is_local:
            for log in Path(self.lake).glob("*/*/_delta_log"):
                yield f"{log.parent.parent.name}.{log.parent.name}"
        else:
            for table in all_tables().values() if tables is None else tables:
                if self.exists(table):
                    yield table.full_name

    @staticmethod
    def _sweep(path: Path, seconds: float = 3600) -> None:
        """Delete temporary files of killed rebuilds that are older than `seconds`."""
        for leftover in path.parent.glob(f"{path.name}.*.tmp*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - leftover.stat().st_mtime > seconds:
                    leftover.unlink()

    # -- connections --------------------------------------------------------------------------------------------

    def connect(self, refresh: bool = True, files: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
        """A connection on which the catalog is attached read-only and in use, and that can open no file but those of
        the lake and `files`, to which results are written.

        With `refresh`, the catalog is rebuilt first if it is out of date. Each connection has its own database in
        memory, to which the file is attached: a new connection sees a new catalog even if an older one is still open.
        Queries that need more memory than there is spill to the cache folder.
        """
        if refresh and not self.current():
            self.refresh()
        if not self.path.exists():
            raise WarehouseError(f"there is no catalog at {self.path}: `nemotron sql` and Warehouse.refresh() make it")
        connection = self._session(":memory:")
        try:
            _attached(connection, self.path)
            lock(connection, roots(self.lake), files)
            return connection
        except BaseException:
            connection.close()
            raise

    def sql(self, query: str, parameters: Any = None) -> list[tuple]:
        """All rows of a query, in memory. For large results, use `connect` and fetch in steps."""
        with self.connect() as connection, interruptible(connection):
            return connection.execute(query, parameters).fetchall()

    @property
    def _extensions(self) -> tuple[str, ...]:
        """The DuckDB extensions that reading the lake needs."""
        if self.is_local:
            return ("delta",)
        scheme = self.lake.split("://")[0]
        if scheme in ("s3", "s3a", "gs", "gcs", "r2"):
            return ("delta", "httpfs", "aws")
        if scheme in ("az", "azure", "abfs", "abfss"):
            return ("delta", "azure")
        raise WarehouseError(f"DuckDB cannot read a lake at {scheme}://; use a folder, s3://, gs:// or az://")

    def _session(self, database: str) -> duckdb.DuckDBPyConnection:
        """A connection that can read the lake: extensions are loaded, and the credentials are a secret in memory."""
        import duckdb

        connection = duckdb.connect(
            database,
            config={
                "autoinstall_known_extensions": False,
                "temp_directory": str(self.path.parent / "spill"),
                # The extension is a file of the Python environment, like DuckDB itself. To check its signature, DuckDB
                # hashes 80 MB, which takes longer than most queries.
                "allow_unsigned_extensions": True,
                # Secrets that the user stored for DuckDB would be looked for in a folder that `lock` closes.
                "allow_persistent_secrets": False,
            },
        )
        try:
            connection.execute(QUIET)
            for name in self._extensions:
                connection.execute(f"load {literal(str(extension_file(name)))}")
            if not self.is_local:
                connection.execute(self._secret())
            if "httpfs" in self._extensions:  # DuckDB reads objects without resources/store.py; waits up to 26 s
                connection.execute("set http_retries = 9; set http_retry_backoff = 2")
        except BaseException:
            connection.close()
            raise
        return connection

    def _secret(self) -> str:
        """The SQL statement by which DuckDB finds the credentials of the object store, as AWS and Azure tools do."""
        scheme = self.lake.split("://")[0]
        options = {key.lower().removeprefix("aws_"): value for key, value in self.storage_options.items()}
        if scheme.startswith(("az", "abfs")):
            account = options.get("azure_storage_account_name") or options.get("account_name")
            extra = f", account_name {literal(account)}" if account else ""
            return f"create secret lake (type azure, provider credential_chain{extra})"
        kind = "gcs" if scheme in ("gs", "gcs") else "r2" if scheme == "r2" else "s3"
        extra = ""
        region = options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        endpoint = options.get("endpoint_url") or options.get("endpoint") or os.environ.get("AWS_ENDPOINT_URL")
        if region:
            extra += f", region {literal(region)}"
        if endpoint:
            protocol, _, host = endpoint.rpartition("://")
            ssl = "false" if protocol == "http" else "true"
            extra += f", endpoint {literal(host.rstrip('/'))}, url_style 'path', use_ssl {ssl}"
        return f"create secret lake (type {kind}, provider credential_chain{extra})"


def _attached(connection: duckdb.DuckDBPyConnection, path: Path) -> duckdb.DuckDBPyConnection:
    """Attach the catalog file to a connection, read-only, and use it; returns the connection."""
    connection.execute(f"attach {literal(str(path))} as {CATALOG} (read_only)")
    connection.execute(f"use {CATALOG}")
    return connection
