"""The catalog file: comments, atomic replacement, readers beside writers, the plain duckdb program, old tables."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest

from nemotron_assets.table.columns import ID, PARENTS, SNAPSHOT
from nemotron_assets.table.quoting import identifier, literal
from nemotron_assets.table.schema import Column, Table
from resources.lakehouse import Lakehouse
from resources.warehouse import Warehouse, WarehouseError, extension_file, install_extension
from resources.warehouse.outdated import notes
from tests.s3 import s3_server

WORDS = Table(
    "web",
    "words",
    "Words with an 'apostrophe' and \"quotes\".",
    (ID, PARENTS, SNAPSHOT, Column("at", "timestamp", "it's when"), Column('odd "name"', "int64", "a name; to quote")),
    partition_by="snapshot",
)
COUNTS = Table("web", "counts", "Counts.", (ID, Column("n", "int64", "how many")))


def words(*ids: str, snapshot: str = "S"):
    from datetime import UTC, datetime

    import pyarrow as pa

    rows = [{"id": i, "parents": [], "snapshot": snapshot, "at": datetime.now(UTC), 'odd "name"': 1} for i in ids]
    return pa.Table.from_pylist(rows, WORDS.arrow_schema())


def counts(*numbers: int):
    import pyarrow as pa

    return pa.Table.from_pylist([{"id": str(n), "n": n} for n in numbers], COUNTS.arrow_schema())


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / 'it\'s; a "lake" 100%20' / "ü"))


@pytest.fixture
def warehouse(lake, tmp_path):
    return Warehouse(root=lake.root, catalog=str(tmp_path / "it's" / "lake.duckdb"))


def refresh(warehouse, *tables):
    return warehouse.refresh(tables or [WORDS, COUNTS], sql_folder=None)


def ask(warehouse, query):
    with warehouse.connect(refresh=False) as connection:
        return connection.execute(query).fetchall()


def test_tables_comments_and_types(lake, warehouse):
    lake.write(WORDS, words("a", "b"), "S")
    catalog = refresh(warehouse)
    assert (catalog.present, catalog.missing, catalog.unreadable) == (["web.words"], ["web.counts"], {})
    with warehouse.connect(refresh=False) as connection:
        comments = dict(
            connection.execute(
                "select column_name, comment from duckdb_columns() where schema_name = 'web' and table_name = 'words'"
            ).fetchall()
        )
        tables = dict(
            connection.execute("select view_name, comment from duckdb_views() where schema_name = 'web'").fetchall()
        )
        types = connection.execute("describe web.words").fetchall()
        assert connection.execute("select count(*) from web.counts").fetchone() == (0,)
        assert connection.execute('select "odd ""name""" from web.words').fetchall() == [(1,), (1,)]
    assert comments == {column.name: column.meaning for column in WORDS.columns}
    assert tables == {"words": WORDS.description, "counts": "Counts. (not in the lake yet)"}
    assert [(name, kind) for name, kind, *_ in types] == [(c.name, c.sql_type) for c in WORDS.columns]


def test_views_follow_commits_and_prune_partitions(lake, warehouse):
    lake.write(WORDS, words("a"), "S")
    refresh(warehouse)
    lake.write(WORDS, words("b", "c", snapshot="it's"), "it's")
    lake.write(WORDS, words("d"), "S")
    assert ask(warehouse, "select id from web.words order by id") == [("b",), ("c",), ("d",)]
    plan = ask(warehouse, "explain analyze select id from web.words where snapshot = 'S'")[0][1]
    assert "1/2" in plan, "the other partition's file must not be opened"


def test_swap_under_an_open_reader(lake, warehouse):
    lake.write(WORDS, words("a"), "S")
    refresh(warehouse)
    with warehouse.connect(refresh=False) as reader:
        lake.write(COUNTS, counts(1, 2))
        refresh(warehouse)
        assert reader.execute("select count(*) from web.counts").fetchone() == (0,), "it keeps the catalog it opened"
        assert reader.execute("select count(*) from web.words").fetchone() == (1,)
        assert ask(warehouse, "select count(*) from web.counts") == [(2,)], "a new connection sees the new one"
    assert [p.name for p in warehouse.path.parent.iterdir()] == ["lake.duckdb"]


def test_a_failed_rebuild_keeps_the_old_catalog(lake, warehouse, tmp_path):
    lake.write(WORDS, words("a"), "S")
    refresh(warehouse)
    folder = tmp_path / "sql"
    (folder / "views" / "web").mkdir(parents=True)
    (folder / "views" / "web" / "wrong.sql").write_text("create view web.wrong as select nothing from web.nowhere")
    with pytest.raises(WarehouseError, match=r"wrong\.sql"):
        warehouse.refresh([WORDS], sql_folder=folder)
    assert ask(warehouse, "select id from web.words") == [("a",)]
    assert [p.name for p in warehouse.path.parent.iterdir()] == ["lake.duckdb"]


def test_views_may_use_views_of_later_files(lake, warehouse, tmp_path):
    folder = tmp_path / "sql" / "views" / "web"
    folder.mkdir(parents=True)
    (folder / "a.sql").write_text("create view web.a as select * from web.b; comment on view web.a is 'first'")
    (folder / "b.sql").write_text("create view web.b as select 1 as one")
    warehouse.refresh([WORDS], sql_folder=tmp_path / "sql")
    assert ask(warehouse, "select * from web.a") == [(1,)]


def test_temporary_files_of_killed_rebuilds_are_deleted(lake, warehouse):
    warehouse.path.parent.mkdir(parents=True)
    old, young = (warehouse.path.with_name(f"lake.duckdb.{n}.tmp") for n in (1, 2))
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    refresh(warehouse)
    assert not old.exists() and young.exists(), "another rebuild may be at work on a young one"


def test_an_older_table_shows_a_new_column_as_null(lake, warehouse):
    lake.write(COUNTS, counts(1))
    wider = Table("web", "counts", "Counts.", (*COUNTS.columns, Column("note", "string", "new", nullable=True)))
    refresh(warehouse, wider)
    assert ask(warehouse, "select n, note from web.counts") == [(1, None)]
    lake.append(wider, counts(2).append_column("note", [["hello"]]).cast(wider.arrow_schema()))
    assert ask(warehouse, "select n, note from web.counts order by n") == [(1, None), (2, "hello")]


def test_columns_that_are_not_stored_yet_are_named_until_they_are(lake, warehouse, tmp_path):
    lake.write(WORDS, words("a"), "S")
    lake.append(COUNTS, counts(1))
    wider = Table("web", "counts", "Counts.", (*COUNTS.columns, Column("note", "string", "new", nullable=True)))
    folder = tmp_path / "sql" / "views" / "web"
    folder.mkdir(parents=True)
    (folder / "sums.sql").write_text("create view web.sums as select sum(n) as n from web.counts")
    warehouse.refresh([WORDS, wider], sql_folder=tmp_path / "sql")
    with warehouse.connect(refresh=False) as connection:
        for query in ("from web.counts", "select (select max(n) from web.sums)", "select 1; from web.counts"):
            (note,) = notes(connection, query)
            assert "web.counts" in note and "column note" in note and "`nemotron maintain --migrate`" in note
        assert notes(connection, "from web.words") == notes(connection, "explain select 1") == []
        comment = "select comment from duckdb_columns() where table_name = 'counts' and column_name = 'note'"
        assert connection.execute(comment).fetchone()[0].startswith("new (not stored yet")
        lake.append(wider, counts(2).append_column("note", [["hello"]]).cast(wider.arrow_schema()))
        assert notes(connection, "from web.counts") == [], "the catalog is older than the column"


def test_an_unreadable_table_does_not_affect_other_tables(lake, warehouse, caplog):
    lake.write(COUNTS, counts(1))
    log = Path(lake.root, "web", "words", "_delta_log")
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("nonsense")
    catalog = refresh(warehouse)
    assert list(catalog.unreadable) == ["web.words"] and catalog.present == ["web.counts"]
    assert "web.words cannot be read" in caplog.text
    with pytest.raises(duckdb.Error, match=r"web\.words cannot be read: "):
        ask(warehouse, "select count(*) from web.words")
    assert warehouse.current([WORDS, COUNTS]), "it is not written again by every query"
    (log / "00000000000000000000.json").write_text("other nonsense")
    assert not warehouse.current([WORDS, COUNTS]), "it is written again when the log has changed"
    comment = ask(warehouse, "select comment from duckdb_views() where view_name = 'words'")[0][0]
    assert "cannot be read" in comment


def test_current_notices_new_tables_and_declarations(lake, warehouse):
    tables = [WORDS, COUNTS]
    assert not warehouse.current(tables)
    refresh(warehouse)
    assert warehouse.current(tables)
    lake.write(WORDS, words("a"), "S")
    assert not warehouse.current(tables)
    refresh(warehouse)
    assert warehouse.current(tables)
    assert not warehouse.current([WORDS, Table("web", "counts", "Others.", COUNTS.columns)])
    warehouse.path.write_bytes(b"not a database")
    assert not warehouse.current(tables)


def test_connections_cannot_write(lake, warehouse):
    lake.write(WORDS, words("a"), "S")
    refresh(warehouse)
    with warehouse.connect(refresh=False) as connection:
        for statement in ("drop view web.words", "create table web.more (a int)", "delete from lineage.catalog"):
            with pytest.raises(duckdb.Error, match="read-only"):
                connection.execute(statement)


def test_quoting():
    with duckdb.connect() as connection:
        for text in ("it's", 'a"b', "x'; drop table y; --", "ü\n"):
            assert connection.execute(f"select {literal(text)}").fetchone() == (text,)
            assert connection.execute(f"select 1 as {identifier(text)}").description[0][0] == text


# -- the plain duckdb program -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A fresh user's home with the extension installed."""
    folder = tmp_path_factory.mktemp("home")
    code = "from resources.warehouse import install_extension; print(install_extension(), install_extension())"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["['delta']", "[]"], done.stderr
    yield folder
    extensions = list(folder.rglob("*.duckdb_extension"))
    assert len(extensions) == 1
    extensions[0].unlink()


def duckdb_program(home, catalog, query):
    program = Path(importlib.util.find_spec("duckdb_cli").submodule_search_locations[0], "duckdb")
    done = subprocess.run(
        [program, "-readonly", "-csv", "-noheader", catalog, "-c", query],
        env={"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_plain_program_reads_while_a_run_commits(lake, warehouse, home):
    lake.write(COUNTS, counts(0))
    refresh(warehouse)
    writer = textwrap.dedent(
        """
        import sys
        from resources.lakehouse import Lakehouse
        from tests.resources.test_warehouse import COUNTS, WORDS, counts, refresh
        from resources.warehouse import Warehouse
        lake = Lakehouse(root=sys.argv[1])
        print("ready", flush=True)
        for n in range(1, 25):
            lake.append(COUNTS, counts(n))
            if n % 8 == 0:
                refresh(Warehouse(root=sys.argv[1], catalog=sys.argv[2]))
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", writer, lake.root, str(warehouse.path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        seen = []
        while process.poll() is None:
            seen.append(int(duckdb_program(home, warehouse.path, "select count(*) from web.counts")[0]))
        assert process.returncode == 0
    assert seen == sorted(seen) and seen[0] < 25, "every read saw a whole commit, and later reads no less"
    assert duckdb_program(home, warehouse.path, "select count(*), sum(n) from web.counts") == ["25,300"]


def test_a_missing_extension_package_is_named():
    with pytest.raises(WarehouseError, match=r"pip install --no-deps duckdb-extension-nonsense==\d"):
        extension_file("nonsense")
    with pytest.raises(WarehouseError, match="duckdb-extension-nonsense"):
        install_extension("nonsense")


# -- object stores ----------------------------------------------------------------------------------------------------


def test_an_object_store_lake(tmp_path, monkeypatch):
    boto3 = pytest.importorskip("boto3")
    pytest.importorskip("duckdb_extension_httpfs")
    pytest.importorskip("duckdb_extension_aws")
    with s3_server() as endpoint:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "very-secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "HOME": str(tmp_path),
        }.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="bucket")
        lake = Lakehouse(root="s3://bucket/lake", storage_options={"AWS_S3_ALLOW_UNSAFE_RENAME": "true"})
        lake.write(WORDS, words("a", "b"), "S")
        warehouse = Warehouse(
            root=lake.root, storage_options=lake.storage_options, catalog=str(tmp_path / "lake.duckdb")
        )
        catalog = refresh(warehouse)
        assert catalog.present == ["web.words"] and not catalog.unreadable
        assert ask(warehouse, "select id from web.words order by id") == [("a",), ("b",)]
        assert ask(warehouse, "select table_name, rows, live from lineage.files") == [("web.words", 2, True)]
        stored = warehouse.path.read_bytes()
        assert b"very-secret" not in stored and b"AKIDEXAMPLE" not in stored
