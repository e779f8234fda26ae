"""A lake may lie at any path: the same query gives the same rows in every reader, also after it was moved or copied."""

import contextlib
import shutil
import tempfile
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemotron_assets.lake.upkeep import maintain_table
from nemotron_assets.recipe.lake import Maintenance
from resources.home import lake_root
from resources.lakehouse import Lakehouse
from resources.places import PlaceError
from resources.warehouse import Warehouse, extension_file
from tests.resources.lakehouse.rows import DOCS, docs, numbers, parts

UPKEEP = Maintenance.model_construct(target_file_mb=1, min_files=2, retention_hours=0)
NUMBERS = range(200)  # `is_in` with many values takes another way through polars than with few


def filled(root: str) -> Lakehouse:
    lake = Lakehouse(root=root, free_disk_mb=0)
    lake.write(DOCS, parts("A b", [], x=list(NUMBERS), y=[7]), "A b")
    lake.write(DOCS, parts("C%41", [], x=[1, 2]), "C%41")
    return lake


def answers(lake: Lakehouse) -> list:
    """The answers of all readers to the same queries."""
    rows, found = lake.read(DOCS).scan(), []
    few, many = pl.col("n").is_in([1, 7]), pl.col("id").is_in([f"A b/x/{n}" for n in NUMBERS])
    for query in (rows, rows.filter(few), rows.filter(many), rows.filter(pl.col("snapshot").is_in(["C%41"]))):
        for engine in ("in-memory", "streaming"):
            found.append(query.select("id").collect(engine=engine)["id"].sort().to_list())
    found.append(sorted(i for b in lake.read(DOCS, "A b").part("x").batches(["id"]) for i in b.column(0).to_pylist()))
    found.append(
        sorted(i for b in lake.read(DOCS).batches(["id"], where=("file", "y")) for i in b.column(0).to_pylist())
    )
    found.append([sorted(pl.read_parquet(path, glob=False)["n"]) for path in lake.read(DOCS, "C%41").files()])
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        warehouse = Warehouse(root=lake.root, catalog=f"{folder}/lake.duckdb")
        warehouse.refresh([DOCS], sql_folder=None)
        connection = opened.enter_context(warehouse.connect(refresh=False))
        for query in (
            "select id from web.docs where n in (1, 7) order by all",
            "select id from web.docs where snapshot = 'C%41' order by all",
            "select table_name, rows from lineage.files where live order by all",
        ):
            found.append(connection.execute(query).fetchall())
    return found


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> list:
    return answers(filled(str(tmp_path_factory.mktemp("plain") / "lake")))


NAMES = st.text(st.sampled_from("aü +%@#?&=[]*{}'\";:,~!$()20Ff漢"), min_size=1, max_size=12).filter(
    lambda name: not name.startswith("~") and "/" not in unquote(name) and "\0" not in unquote(name)
)


@settings(max_examples=15)
@example("a lake+ü %20")
@example("50%")
@example("snapshot=B")
@given(NAMES)
def test_the_same_query_gives_the_same_rows_whatever_the_path(expected, name):
    with tempfile.TemporaryDirectory() as folder:
        try:
            lake = filled(f"{folder}/{name}/lake")
        except PlaceError as error:  # it is refused before anything is written
            assert "Rename the folder" in str(error) and not list(Path(folder).rglob("*.parquet"))
            return
        assert answers(lake) == expected
        maintain_table(lake, DOCS, lake.open(DOCS), UPKEEP, (), dry_run=False)
        lake.write(DOCS, parts("A b", [], x=list(NUMBERS), y=[8]), "A b")
        assert numbers(lake, "A b") == sorted([*NUMBERS, 8])


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "a%2Fb", "a%ffb"])
def test_a_path_that_delta_cannot_read_is_refused_before_anything_is_written(tmp_path, name):
    lake = Lakehouse(root=str(tmp_path / name), free_disk_mb=0)
    for use in (lambda: lake.write(DOCS, docs("A", "f", [1]), "A"), lambda: lake.create(DOCS)):
        with pytest.raises(PlaceError, match="Rename the folder, or set NEMOTRON_LAKE"):
            use()
    assert not list(tmp_path.rglob("*.json")) and not list(tmp_path.rglob("*.parquet"))


def test_a_folder_that_has_the_decoded_name_is_not_touched(tmp_path):
    (tmp_path / "a b").mkdir()
    with pytest.raises(PlaceError, match=r"exists already\. Rename the folder"):
        Lakehouse(root=str(tmp_path / "a%20b"), free_disk_mb=0).write(DOCS, docs("A", "f", [1]), "A")
    assert list((tmp_path / "a b").iterdir()) == []


@pytest.mark.parametrize("move", [False, True])
def test_a_copied_or_moved_lake_is_whole_without_the_original(tmp_path, move, expected):
    first = filled(str(tmp_path / "first" / "a%20b"))
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"w")
    uri, _ = first.put_weights(folder, "base")
    if move:
        (tmp_path / "first").rename(tmp_path / "second")
    else:
        shutil.copytree(tmp_path / "first", tmp_path / "second", symlinks=True)
        shutil.rmtree(tmp_path / "first")
    second = Lakehouse(root=str(tmp_path / "second" / "a%20b"), free_disk_mb=0)
    assert answers(second) == expected
    assert (second.get_weights(uri) / "model.safetensors").read_bytes() == b"w"
    assert second.write(DOCS, parts("C%41", [], x=[1, 2]), "C%41").parts_skipped == 1


def test_a_copied_catalog_does_not_read_the_original_lake(tmp_path):
    import duckdb

    filled(str(tmp_path / "first" / "lake"))
    first = Warehouse(root=str(tmp_path / "first" / "lake"), catalog=str(tmp_path / "first" / "lake.duckdb"))
    first.refresh([DOCS], sql_folder=None)
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    Lakehouse(root=str(tmp_path / "second" / "lake"), free_disk_mb=0).write(DOCS, docs("C%41", "x", [5]), "C%41")
    query = "select n from web.docs where snapshot = 'C%41' order by all"
    for catalog, found in ((first.path, [(1,), (2,)]), (tmp_path / "second" / "lake.duckdb", None)):
        with duckdb.connect(str(catalog), read_only=True) as connection:  # as the plain duckdb program opens it
            connection.execute(f"load '{extension_file('delta')}'")
            if found:
                assert connection.execute(query).fetchall() == found
            else:
                with pytest.raises(duckdb.Error, match=r"copied or moved from .*first/lake\.duckdb"):
                    connection.execute(query)
    second = Warehouse(root=str(tmp_path / "second" / "lake"), catalog=str(tmp_path / "second" / "lake.duckdb"))
    assert not second.current([DOCS]), "so that `nemotron sql` writes it again"
    second.refresh([DOCS], sql_folder=None)
    with second.connect(refresh=False) as connection:
        assert connection.execute(query).fetchall() == [(5,)]


@pytest.mark.parametrize("prefix", ["a lake", "Zürich", "50%", "a%20b", "a#b", "a&b"])
def test_an_object_store_prefix_that_libraries_read_differently_is_refused(monkeypatch, prefix):
    monkeypatch.setenv("NEMOTRON_LAKE", f"s3://bucket/{prefix}")
    with pytest.raises(PlaceError, match="use a prefix of letters"):
        lake_root()
