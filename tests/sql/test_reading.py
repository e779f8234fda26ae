"""A connection of the warehouse only reads, and only the lake: by DuckDB's settings, and by the names of functions."""

from __future__ import annotations

import duckdb
import pytest

from resources.lakehouse.errors import with_way_out
from resources.warehouse import WarehouseError, extension_file
from resources.warehouse.reading import READING, REFUSED, read_only_statements


@pytest.fixture
def connection(filled):
    with filled[1].cursor() as cursor:
        yield cursor


@pytest.mark.parametrize(
    "statement",
    [
        "select * from read_text('{outside}/secret.txt')",
        "select * from '{outside}/secret.csv'",
        "select * from glob('{outside}/*')",
        "select * from read_blob('{lake}/../../secret.txt')",
        "copy (select 1) to '{outside}/made.csv'",
        "attach '{outside}/other.duckdb' as other",
        "install httpfs",
        "load '{outside}/x.duckdb_extension'",
        "select * from read_csv('https://example.org/x.csv')",
        "set enable_external_access = true",
        "set allowed_directories = ['/']",
        "reset lock_configuration",
        "set memory_limit = '1GB'",
        "export database '{outside}/all'",
        "create table lake.web.more (a int)",
    ],
)
def test_duckdb_itself_refuses(filled, statement, tmp_path):
    """The statements go to DuckDB without any check of their kind or of their functions."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    warehouse = filled[1].warehouse
    with warehouse.connect() as own, pytest.raises(duckdb.Error):
        own.execute(statement.format(outside=tmp_path, lake=warehouse.lake)).fetchall()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv", "secret.txt"]


@pytest.mark.parametrize(
    "query",
    [
        "select write_blob('{outside}/made', 'x'::blob)",
        "select \"WRITE_BLOB\"('{outside}/made', 'x')",
        "select system.main.write_blob('{outside}/made', 'x')",
        "with a as (select write_blob('{outside}/made', 'x')) select * from a",
        "select list_transform([1], lambda x: write_blob('{outside}/made', x::varchar::blob))",
        "select 1 from web.documents order by (select max(write_blob('{outside}/made', 'x')))",
        "select columns(c -> write_blob('{outside}/made', c)) from web.documents",
        "explain analyze select write_blob('{outside}/made', 'x')",
        "explain select write_blob('{outside}/made', 'x')",
        "describe select write_blob('{outside}/made', 'x')",
        "select 1; select write_blob('{outside}/made', 'x')",
        "from copy_dir('{lake}/web', '{outside}/made')",
        "from query('select write_blob(''{outside}/made'', ''x'')')",
        "from json_execute_serialized_sql(json_serialize_sql('select write_blob(''{outside}/made'', ''x'')'))",
        "from delta_set_transaction_version('{lake}/web/documents', 'a', 1::ubigint)",
        "from enable_logging('FileSystem', storage = 'file', storage_path = '{lake}/log')",
        "from delta_scan('{outside}')",
        "from delta_scan('{lake}/../../elsewhere')",
        "from delta_scan('{lake}-other/web/documents')",
        "from delta_scan('s3://bucket/table')",
        "from delta_list_files(a := '{lake}/web/documents', '/etc')",
        "from delta_scan('{lake}/web' || '/documents')",
        "from delta_scan(['{lake}/web/documents'])",
    ],
)
def test_functions_that_write_or_hide_a_query_are_refused(filled, connection, query, tmp_path):
    before = sorted(str(path) for path in tmp_path.parent.rglob("made*"))
    with pytest.raises(WarehouseError, match="refused"):
        lake = filled[1].warehouse.lake.replace("'", "''")
        read_only_statements(connection, query.format(outside=tmp_path, lake=lake))
    assert not list(tmp_path.iterdir()) and sorted(str(path) for path in tmp_path.parent.rglob("made*")) == before


@pytest.mark.parametrize("query", ["from read_parquet('{}')", "from '{}'", "from read_csv('{}')", "from glob('{}')"])
def test_a_file_outside_the_lake_is_refused_with_the_way_to_read_it(connection, query, tmp_path):
    own = str(tmp_path / "own.parquet")
    with pytest.raises(duckdb.Error) as error:
        connection.execute(query.format(own.replace("'", "''"))).fetchall()
    text = with_way_out(error.value)
    assert text.startswith(f"{own} is refused: nemotron sql reads the tables of the lake only")
    assert "duckdb -readonly" in text and "maintain" not in text


@pytest.mark.parametrize(
    "path", ["/a lake+ü/web/documents/_delta_log/1.json", "/a%20lake+%C3%BC/web/documents/x.parquet"]
)
def test_an_error_about_a_file_of_the_lake_names_its_table(monkeypatch, path):
    monkeypatch.setenv("NEMOTRON_LAKE", "/a lake+ü")
    text = with_way_out(duckdb.IOException(f'DeltaKernel GenericError (5): a gap {"." * 300} path: "{path}"'))
    assert text.startswith("web.documents: DeltaKernel GenericError (5): a gap") and "maintain --verify" in text


def test_the_functions_are_refused_for_what_they_do(tmp_path):
    """Without the check, DuckDB's settings let write_blob write: the check is not there for nothing."""
    with duckdb.connect(":memory:", config={"allow_unsigned_extensions": True}) as own:
        own.execute(f"load '{extension_file('delta')}'; set enable_external_access = false")
        own.execute(f"select write_blob('{tmp_path}/made', 'x')").fetchall()
    assert (tmp_path / "made").exists()


def test_every_function_of_the_delta_extension_is_known():
    """A new version of the extension may bring a new function that writes."""
    names = "select distinct function_name from duckdb_functions()"
    with duckdb.connect(":memory:", config={"allow_unsigned_extensions": True}) as own:
        before = {row[0] for row in own.execute(names).fetchall()}
        own.execute(f"load '{extension_file('delta')}'")
        added = {row[0] for row in own.execute(names).fetchall()} - before
    assert added and added <= READING | REFUSED.keys()


def test_a_version_of_a_table_can_be_read(filled, connection):
    lake = filled[1].warehouse.lake.replace("'", "''")
    query = f"select count(*) from delta_scan('{lake}/web/documents', version := 1)"
    (statement,) = read_only_statements(connection, query)
    assert connection.execute(statement).fetchone()[0] > 0


@pytest.mark.parametrize(
    "query",
    ["select 'write_blob(1)' as query", "select 1 as checkpoint -- query(", "with query as (select 1) from query"],
)
def test_names_like_those_of_refused_functions_can_be_used(connection, query):
    assert read_only_statements(connection, query)
