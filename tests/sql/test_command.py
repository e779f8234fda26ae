"""`nemotron sql` and `nemotron tables`: printed rows, files, limits, and statements that are refused."""

from __future__ import annotations

import csv
import os
import subprocess
import sys

import pytest
from click import UsageError
from click.testing import CliRunner

from nemotron_assets.commands.cli import cli
from nemotron_assets.commands.console import print_table, printable
from resources.lakehouse import Lakehouse
from resources.warehouse import WarehouseError
from resources.warehouse.reading import read_only_statements
from tests.sql.lake import fill


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with a filled lake, and its rows."""
    folder = tmp_path_factory.mktemp("home")
    return folder, fill(Lakehouse(root=str(folder / "lake")))


@pytest.fixture
def nemotron(home, monkeypatch):
    """Runs the command on that lake and returns what it printed."""
    monkeypatch.setenv("NEMOTRON_HOME", str(home[0]))
    for name in ("NEMOTRON_LAKE", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_a_query_prints_a_table_and_says_if_rows_are_left_out(nemotron, home):
    out = nemotron("sql", "select id, url from snapshots.pages order by id", "--limit", "3")
    first = sorted(p["id"] for p in home[1]["snapshots.pages"])[:4]
    assert all(id_ in out for id_ in first[:3]) and first[3] not in out
    assert "first 3 rows; there are more" in out
    assert "20 rows" in nemotron("sql", "select id from snapshots.pages", "--limit", "0")


def test_reports(nemotron):
    out = nemotron("sql", "--reports")
    assert "pages_per_host" in out and "Which hosts give the most pages" in out
    assert "host0.example" in nemotron("sql", "--report", "pages_per_host", "--param", "rows=1")
    with pytest.raises(WarehouseError, match=r"no report 'page_per_host'; there are .*pages_per_host"):
        nemotron("sql", "--report", "page_per_host")


def test_csv_and_parquet_have_all_rows(nemotron, home, tmp_path):
    import polars as pl

    query = "select id, url, warc_offset from snapshots.pages order by id"
    nemotron(
        "sql", query, "--csv", str(tmp_path / "it's.csv"), "--parquet", str(tmp_path / "out.parquet"), "--limit", "1"
    )
    expected = sorted((p["id"], p["url"], p["warc_offset"]) for p in home[1]["snapshots.pages"])
    with open(tmp_path / "it's.csv", newline="") as stream:
        assert [(i, u, int(o)) for i, u, o in list(csv.reader(stream))[1:]] == expected
    assert pl.read_parquet(tmp_path / "out.parquet").rows() == expected
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(Exception, match="Conversion Error"):
        nemotron("sql", "select url::int from snapshots.pages", "--csv", str(tmp_path / "failed.csv"))
    assert len(list(tmp_path.iterdir())) == 2, "a failed query leaves no file"


@pytest.mark.parametrize("place", ["lake/web/documents/_delta_log/00000000000000000009.json", "dagster/x", "cache/x"])
def test_results_are_not_written_over_what_the_program_stores(nemotron, home, place):
    with pytest.raises(WarehouseError, match="where only the program itself writes: choose another folder"):
        nemotron("sql", "select 1", "--csv", str(home[0] / place))
    assert not (home[0] / place).exists()


def test_csv_on_standard_output_is_appended_to_a_file(home, tmp_path):
    file = tmp_path / "all.csv"
    file.write_text("earlier content\n")
    with file.open("a") as stream:
        subprocess.run(
            [sys.executable, "-m", "nemotron_assets.commands", "sql", "--csv", "-", "select range as n from range(3)"],
            stdout=stream,
            check=True,
            env={**os.environ, "NEMOTRON_HOME": str(home[0])},
        )
    assert file.read_text() == "earlier content\nn\n0\n1\n2\n"


def test_the_real_command_writes_csv_to_standard_output(home):
    def run(*arguments: str):
        return subprocess.run(
            [sys.executable, "-m", "nemotron_assets.commands", "sql", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, "NEMOTRON_HOME": str(home[0])},
        )

    done = run("select 1 as a, 'x,y' as b union all select 2, 'z' order by a", "--csv", "-")
    assert done.stdout == 'a,b\n1,"x,y"\n2,z\n'
    failed = run("select nothing from web.documents")
    assert failed.returncode == 1 and "nothing" in failed.stderr and "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    "query",
    [
        "drop view web.documents", "create table x (a int)", "copy (select 1) to 'x.csv'", "attach 'x.db'",
        "set threads = 1",
        "insert into web.documents select * from web.documents", "select 1; delete from lineage.catalog",
        "install httpfs",
        "explain analyze copy (select 1) to 'x.csv'", "EXPLAIN (ANALYZE, FORMAT JSON) COPY (SELECT 1) TO 'x.csv'",
        "/* plan */ explain analyze copy (select 1) to 'x.csv'",
        "create temp table x as select 1", "begin", "load 'x'", "call pragma_version()", "checkpoint", "use memory", "",
        "export database 'x'", "prepare p as delete from lineage.catalog", "execute p",
        "update lineage.catalog set lake = ''",
    ],
)  # fmt: skip
def test_writes_are_refused(filled, query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with filled[1].cursor() as connection:
        with pytest.raises(WarehouseError, match=r"refused|empty"):
            read_only_statements(connection, query)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "query",
    ["from web.documents", "describe web.documents", "show tables", "with a as (select 1) select * from a",
     "explain select 1", "explain analyze select 1", "summarize web.documents", "select 1; select 2", "values (1)",
     "-- a comment\nselect 1;", "pivot web.documents on language in ('en', 'de') using count(*) group by snapshot"],
)  # fmt: skip
def test_questions_are_answered(filled, query):
    with filled[1].cursor() as connection:
        for statement in read_only_statements(connection, query):
            assert connection.execute(statement).description


def test_pivot_without_values_says_what_to_write(filled):
    with filled[1].cursor() as connection, pytest.raises(WarehouseError, match="PIVOT needs the values"):
        read_only_statements(connection, "pivot web.documents on language using count(*)")


# A page of the web may hold any of these; a cell with the first six would be run by a spreadsheet.
_TEXTS = ["=1+1", "+1", "-1", "@sum(1)", "\t=1", " =1", "＝1", "a=1", "", None]


def test_csv_safe_puts_an_apostrophe_before_formulas_and_changes_nothing_else(nemotron, tmp_path):
    values = ", ".join("(null)" if t is None else "('" + t + "')" for t in _TEXTS)
    columns = "t, -2 as number, date '2026-01-02' as day, ['=1'] as list, '=2'::blob as bytes"
    query = f"select {columns} from (values {values}) x(t)"
    for name, options in (("plain", ()), ("safe", ("--csv-safe",))):
        nemotron("sql", query, "--csv", str(tmp_path / name), *options)
    plain, safe = (list(csv.reader((tmp_path / name).open(newline=""))) for name in ("plain", "safe"))
    assert [row[0] for row in plain[1:]] == [t or "" for t in _TEXTS]
    assert [row[0] for row in safe[1:]] == [f"'{t}" if t and t != "a=1" else t or "" for t in _TEXTS]
    assert plain[0] == safe[0] and [row[1:4] for row in plain] == [row[1:4] for row in safe]
    assert {row[4] for row in plain[1:]} == {"=2"} and {row[4] for row in safe[1:]} == {"'=2"}


def test_csv_safe_puts_an_apostrophe_before_names_of_columns_too(nemotron, tmp_path):
    nemotron("sql", """select 1 as "=1+1", 'a' as "@b", 2 as c""", "--csv", str(tmp_path / "safe"), "--csv-safe")
    assert (tmp_path / "safe").read_text().splitlines() == ["'=1+1,'@b,c", "1,a,2"]


def test_csv_safe_needs_a_csv_file(nemotron):
    with pytest.raises(UsageError, match="--csv-safe needs --csv"):
        CliRunner().invoke(cli, ["sql", "select 1", "--csv-safe"], standalone_mode=False, catch_exceptions=False)


def test_lineage_macros(filled):
    rows, opened = filled
    page = rows["snapshots.pages"][0]["id"]
    published = next(r["id"] for r in rows["web.nemotron_cc_v2"] if r["sources"] == ["web.curated"])
    sequence = next(s for s in rows["blend.token_shards"] if published in s["parents"])
    with opened.cursor() as connection:
        up = connection.execute(
            "select id, table_name, distance from lineage.ancestors(?)", [sequence["id"]]
        ).fetchall()
        down = connection.execute("select id from lineage.descendants(?)", [page]).fetchall()
    assert (page, "snapshots.pages", 5) in up  # published, curated, unique, document, page
    assert (sequence["id"],) in down


def test_tables(nemotron, home):
    from nemotron_assets.stages import all_tables

    out = nemotron("tables")
    assert all(name in out for name in all_tables())
    one = nemotron("tables", "web/documents")
    assert f"{len(home[1]['web.documents'])} rows" in one and "partitioned by snapshot" in one
    assert all(c.meaning.split()[0] in one for c in all_tables()["web.documents"].columns)
    with pytest.raises(WarehouseError, match=r"perhaps web\.documents"):
        nemotron("tables", "web.document")


def test_a_table_can_be_traced_by_its_name_in_both_spellings(nemotron):
    from nemotron_assets.lineage.nodes import NotFound
    from nemotron_assets.table.ids import row_id

    newest = row_id("models.base", 2)
    for name in ("models.base", "models/base"):
        assert nemotron("trace", name, "--backward").startswith(f"models.base {newest}")
    assert nemotron("trace", "blend/token_shards@1", "--backward").startswith("blend.token_shards@1  made from")
    assert nemotron("trace", "blend/token_shards", "--backward").startswith("blend.token_shards@")
    with pytest.raises(NotFound, match=r"`nemotron run models\.math_writer` makes it"):
        nemotron("trace", "models/math_writer")


def test_values_cannot_change_the_terminal():
    assert printable("a\x1b[31mb\u202ec\nd") == "a?[31mb?c d"
    assert printable(b"\x00" * 5000) == "<5,000 bytes>"
    assert len(printable("x" * 10_000)) < 300


def test_a_broken_header_keeps_its_spaces(capsys):
    print_table(("id", "LLM tokens out", "status_detail"), [("x" * 30, "1", "2")], width=60)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["LLM", "tokens", "status_"] and lines[1] == ["id", "out", "detail"]
