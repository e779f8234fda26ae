"""The Dagster instance of a home: its first use can be interrupted anywhere, it waits for locks, and its run monitoring
sees which runs have lost their process."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from unittest import mock

import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.test_utils import create_run_for_test

from nemotron_assets import instance as module
from nemotron_assets.run_processes import PROCESS_TAG, end_lost_runs, is_lost, this_process
from tests.imports import PROJECT

GONE = f"{socket.gethostname()}:999999999:1.0"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    return tmp_path / "dagster"


def assert_usable(home) -> None:
    """Everything a command needs of an instance: runs, events, partitions, pools, ticks."""
    with module.instance() as instance:
        run = create_run_for_test(instance)
        instance.report_run_failed(run)
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE
        instance.report_runless_asset_event(dg.AssetMaterialization("web"))
        assert instance.get_latest_materialization_event(dg.AssetKey("web"))
        instance.add_dynamic_partitions("snapshot", ["A"])
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        assert instance.all_instigator_state() == []
        for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
            assert storage.alembic_version()[0] == storage.alembic_version()[1], "stamped with the newest version"
        assert instance.run_storage.has_built_index("run_partitions")
    assert (home / "dagster.yaml").read_bytes() == (PROJECT / "dagster.yaml").read_bytes()


def test_queries_of_a_database_share_an_engine(home):
    """Dagster makes an engine per query by itself, which compiles the query anew."""
    with module.instance() as instance, mock.patch("sqlalchemy.create_engine") as make:
        for _ in range(2):
            assert not instance.get_runs() and not instance.all_asset_keys() and not instance.all_instigator_state()
    assert not make.called


@pytest.mark.parametrize("length", [0, 1, 700, -1])
def test_settings_that_were_copied_in_part_are_copied_again(home, length):
    home.mkdir()
    (home / "dagster.yaml").write_bytes((PROJECT / "dagster.yaml").read_bytes()[:length])
    module._write_settings(home)
    assert (home / "dagster.yaml").read_bytes() == (PROJECT / "dagster.yaml").read_bytes()


def test_settings_of_the_user_stay(home):
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    module._write_settings(home)
    assert (home / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """A home after its first use, with the mark that says so removed."""
    folder = tmp_path_factory.mktemp("complete")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(folder / "dagster"))
        with module.instance():
            pass
    (folder / "dagster" / "tables_are_complete").unlink()
    return folder / "dagster"


@pytest.mark.parametrize("state", ["empty", "one table", "no version", "a leftover journal"])
def test_databases_that_were_made_in_part_are_made_again(home, complete, state):
    shutil.copytree(complete, home)
    for database, kept in module._DATABASES.items():
        file = home / database
        if state == "empty":
            file.write_bytes(b"")
            continue
        with contextlib.closing(sqlite3.connect(file)) as connection:
            tables = connection.execute("select name from sqlite_master where type = 'table'").fetchall()
            for (name,) in tables:
                if name == "alembic_version" or (state == "one table" and name not in (kept, "sqlite_sequence")):
                    connection.execute(f"drop table {name}")
        if state == "a leftover journal":
            file.with_name(file.name + "-wal").write_bytes(b"not a journal")
    assert_usable(home)


INTERRUPTED = """
import os, sys, warnings
warnings.simplefilter("ignore")
import dagster, sqlalchemy
from nemotron_assets import instance
from nemotron_assets.dagster_private import sqlite_storage
home, step = sys.argv[1], int(sys.argv[2])
for number in range(step, 400, step):
    os.environ.update(NEMOTRON_HOME=f"{home}/{number}", DAGSTER_HOME=f"{home}/{number}/dagster")
    child = os.fork()
    if not child:
        seen = 0
        def count(*event):
            global seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), 9)
        sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", count)
        instance.instance()
        os._exit(0)
    if not os.waitpid(child, 0)[1]:
        break  # it ended before the statement at which it was to be killed
"""


def test_a_first_use_that_was_killed_at_any_statement_is_repeated(tmp_path, monkeypatch):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path), "31"], cwd=PROJECT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    homes = sorted(tmp_path.iterdir(), key=lambda home: int(home.name))
    assert len(homes) > 2
    for home in homes:
        monkeypatch.setenv("NEMOTRON_HOME", str(home))
        monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
        assert_usable(home / "dagster")
        shutil.rmtree(home)


def test_a_database_in_use_is_kept(home):
    with module.instance() as instance:
        run = create_run_for_test(instance)
    (home / "tables_are_complete").unlink()
    with module.instance() as instance:
        assert instance.get_run_by_id(run.run_id)


def test_statements_wait_for_other_writers(home):
    with module.instance() as instance:
        for connect in (instance.run_storage.connect, instance.schedule_storage.connect):
            with connect() as connection:
                assert connection.exec_driver_sql("pragma busy_timeout").scalar() == 120_000
                assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        with instance.event_log_storage.index_connection() as connection:
            assert connection.exec_driver_sql("pragma busy_timeout").scalar() == 120_000


def server_tag(path) -> dict[str, str]:
    return {".dagster/grpc_info": f'{{"host": "localhost", "socket": "{path}"}}'}


def test_runs_whose_process_is_gone_are_ended(home, tmp_path):
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "alive"))
    listening.listen()
    cases = [
        ("STARTED", {PROCESS_TAG: GONE}, "FAILURE"),
        ("CANCELING", {PROCESS_TAG: GONE}, "CANCELED"),
        ("NOT_STARTED", {PROCESS_TAG: GONE}, "FAILURE"),
        ("NOT_STARTED", {}, "NOT_STARTED"),
        ("STARTED", {PROCESS_TAG: this_process()}, "STARTED"),
        ("STARTED", {PROCESS_TAG: "elsewhere:1:1.0"}, "STARTED"),
        ("STARTING", server_tag(tmp_path / "nothing"), "FAILURE"),
        ("STARTING", server_tag(tmp_path / "alive"), "STARTING"),
        ("STARTED", {}, "STARTED"),
    ]
    with module.instance() as instance, listening:
        runs = [create_run_for_test(instance, status=dg.DagsterRunStatus(s), tags=tags) for s, tags, _ in cases]
        health = [instance.run_launcher.check_run_worker_health(run).status.value for run in runs]
        assert health == ["FAILED" if after in ("FAILURE", "CANCELED") else "RUNNING" for *_, after in cases]
        assert instance.run_launcher.supports_check_run_worker_health
        end_lost_runs(instance)
        assert [instance.get_run_by_id(run.run_id).status.value for run in runs] == [after for *_, after in cases]


def test_a_run_that_dagster_started_is_known_by_the_process_in_its_events(home, tmp_path):
    """Also a process with the same id that is younger than the run counts as another one."""
    with module.instance() as instance, subprocess.Popen(["sleep", "60"]) as child:
        run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags=server_tag(tmp_path / "nothing"))
        instance.report_engine_event("Started process for run", run, EngineEventData.in_process(child.pid))
        assert not is_lost(instance, run)
        child.kill()
        child.wait()
        assert is_lost(instance, run)
        later = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED, tags=server_tag(tmp_path / "nothing"))
        with mock.patch("time.time", lambda: 1_000_000.0):
            instance.report_engine_event("Started process for run", later, EngineEventData.in_process(os.getpid()))
        assert is_lost(instance, later)
