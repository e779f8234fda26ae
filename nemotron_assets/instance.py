"""The Dagster instance of a home folder: its first use, its SQLite storage, and the launcher of its runs.

`dagster.yaml` names the two classes, so that the daemon, the web server and all commands use them.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from nemotron_assets.dagster_private import keep_sqlite_engines, sqlite_storage, worker_health
from nemotron_assets.run_processes import is_lost
from resources.home import dagster_home

PROJECT = Path(__file__).resolve().parents[1]

#: How long a statement waits for another process that writes to the same database. Dagster waits 5 to 30 seconds.
_BUSY_TIMEOUT_S = 120

#: sha256 of the `dagster.yaml` files of earlier versions of this project. The new file replaces an unchanged copy.
_EARLIER_SETTINGS = {
    "bba22c9434f90fc5b0cd1dd1e8df534e9a99882a9b0a4a8405f0cb12b771abb6",
    "732702a9b9b6c01bf2e0c1a36678bb4630ae6934135dd2f10c684a6edba04df0",
    "34964d9f39d4a2b6f8f756507e541b431edcbeeec3a77b4b981c9e39ef8a0c60",
}

#: The databases of an instance by path, each with a table that has rows as soon as the database is in use.
_DATABASES = {"history/runs.db": "runs", "history/runs/index.db": "event_logs", "schedules/schedules.db": "job_ticks"}


def instance() -> dg.DagsterInstance:
    """The Dagster instance of the home folder. On first use, the folder gets a copy of the project's `dagster.yaml`."""
    home = dagster_home()
    home.mkdir(parents=True, exist_ok=True)
    _write_settings(home)
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


def _write_settings(home: Path) -> None:
    """Copy the project's `dagster.yaml` into the home, unless the home has settings of its own.

    A copy that a killed process left unfinished is replaced, and so is an unchanged copy of an earlier version.
    """
    template, settings = PROJECT / "dagster.yaml", home / "dagster.yaml"
    if not template.is_file():
        return
    wanted, stored = template.read_bytes(), settings.read_bytes() if settings.exists() else b""
    unfinished = len(stored) < len(wanted) and wanted.startswith(stored)
    if unfinished or hashlib.sha256(stored).hexdigest() in _EARLIER_SETTINGS:
        new = home / f"dagster.yaml.{os.getpid()}"
        new.write_bytes(wanted)
        new.replace(settings)


class Storage(sqlite_storage()):
    """Dagster's SQLite storage, made for processes that are killed and for several processes at once.

    Dagster makes its tables one by one. If it is killed meanwhile, the tables that are missing stay missing. This class
    deletes such unfinished databases, and only one process at a time makes tables.
    """

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        _wait_for_other_writers()
        keep_sqlite_engines()
        with _first_use(Path(base_dir)):
            super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: dict[str, str]) -> Storage:
        """Without a folder in the settings, the storage is in the home's: `dg dev` in a clone shows the same lake."""
        return cls.from_local(inst_data=inst_data, base_dir=config_value.get("base_dir") or str(dagster_home()))


@contextlib.contextmanager
def _first_use(folder: Path) -> Iterator[None]:
    """The tables are made inside this context. A file in `folder` says that they are complete."""
    from filelock import FileLock

    complete = folder / "tables_are_complete"
    if complete.exists():
        yield
        return
    with FileLock(folder / "first_use.lock"):
        if not complete.exists():
            for path, table in _DATABASES.items():
                if _is_unfinished(folder / path, table):
                    for suffix in ("-wal", "-shm", ""):
                        Path(f"{folder / path}{suffix}").unlink(missing_ok=True)
        yield
        complete.touch()


def _is_unfinished(database: Path, table: str) -> bool:
    """Whether a database has no row yet in a table that a database in use has rows in. Deleting it then loses nothing.

    Only a database of a home without the mark "complete" is asked: either its first use was interrupted, or an earlier
    version of this project made it.
    """
    if not database.exists():
        return False
    with contextlib.closing(sqlite3.connect(database, timeout=_BUSY_TIMEOUT_S)) as connection:
        try:
            return connection.execute(f"select count(*) from {table}").fetchone()[0] == 0
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return True
            raise


def _wait_for_other_writers() -> None:
    """Set the time that SQLite waits for a lock, for all connections that this process opens from now on."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _set_busy_timeout):
        event.listen(Engine, "connect", _set_busy_timeout)


def _set_busy_timeout(connection: Any, record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"pragma busy_timeout = {_BUSY_TIMEOUT_S * 1000}")


class Launcher(dg.DefaultRunLauncher):
    """Dagster's default launcher, which can also tell Dagster's run monitoring whether the process of a run lives."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> Any:
        if is_lost(self._instance, run):
            return worker_health("FAILED", "its process was killed; the next run goes on where this one stopped")
        return worker_health("RUNNING", "")
