"""The registry of models: finds or makes a version, stores one row and one part per version, knows which is in use."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.models.columns import model_table
from nemotron_assets.models.registry import (
    Identity,
    Made,
    ModelError,
    Parent,
    Registry,
    by_id,
    newest,
    newest_of_each_name,
)
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Column
from resources.lakehouse import Lakehouse

MODELS = model_table("toys", "Toys.", named="name of the toy", own=(Column("legs", "int32", "number of its legs"),))


@pytest.fixture
def lake(tmp_path) -> Lakehouse:
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def maker(content: str, legs: int = 4, **more):
    """A function that makes a toy and counts its calls."""

    def make(scratch):
        make.calls += 1
        (scratch / "toy.txt").write_text(content)
        return Made(scratch, {"legs": legs}, **more)

    make.calls = 0
    return make


def toy(name: str, id_: str) -> tuple:
    """An identity and the function that makes it."""
    return Identity(name, id_), maker(id_)


def want(lake: Lakehouse, *wanted) -> list[dict]:
    """What an asset does: ask for models, and hand the parts to the lake."""
    registry = Registry(lake, MODELS, "run")
    rows = [registry.want(identity, make) for identity, make in wanted]
    lake.write(MODELS, registry.parts())
    return rows


def stored(lake: Lakehouse) -> list[tuple[str, str]]:
    """(id, version) of every row, the version in use last."""
    rows = lake.read(MODELS).scan().sort("at").collect()
    return list(rows.select("id", "version").iter_rows())


def test_a_model_is_made_once_and_its_row_says_what_it_was_made_from(lake):
    make = maker("dog")
    identity = Identity(
        "dog", "id-1", "hash", ("web.pages@3",), (Parent("models.wolves", "w"), Parent("models.b", "x"))
    )
    for _ in range(2):
        (row,) = want(lake, (identity, make))
    assert make.calls == 1 and stored(lake) == [("id-1", "1")]
    assert (row["parents"], row["sources"]) == (["w", "x"], ["models.wolves", "models.b"])
    assert (row["input_versions"], row["recipe_hash"], row["legs"]) == (["web.pages@3"], "hash", 4)
    assert (lake.get_weights(row["uri"]) / "toy.txt").read_text() == "dog"
    assert by_id(lake.read(MODELS), "id-1") == newest(lake.read(MODELS)) == row


def test_an_earlier_version_becomes_the_newest_again_and_nothing_else_is_written(lake):
    a, b = toy("dog", "a"), toy("dog", "b")
    want(lake, a)
    want(lake, b)
    before = lake.read(MODELS).parts()
    want(lake, a)
    after = lake.read(MODELS).parts()
    assert stored(lake) == [("b", "2"), ("a", "1")] and newest(lake.read(MODELS))["id"] == "a"
    assert before["b"] == after["b"] and before["a"] != after["a"]
    version = lake.read(MODELS).version
    want(lake, a)
    assert lake.read(MODELS).version == version, "nothing is written when the newest is asked for"


def test_an_earlier_model_of_another_name_becomes_the_newest_again(lake):
    """A recipe names one generator, then another one, then the first one again."""
    for id_ in ("a", "b", "a"):
        want(lake, toy(f"generator {id_}", id_))
        assert newest(lake.read(MODELS))["id"] == id_
    assert stored(lake) == [("b", "1"), ("a", "1")]


def test_versions_count_per_name_and_each_name_has_a_newest(lake):
    want(lake, toy("dog", "d1"), toy("cat", "c1"))
    want(lake, toy("dog", "d2"))
    assert sorted(stored(lake)) == [("c1", "1"), ("d1", "1"), ("d2", "2")]
    reader = lake.read(MODELS)
    assert [row["id"] for row in newest_of_each_name(reader)] == ["c1", "d2"]
    assert newest(reader, "dog")["id"] == "d2" and newest(reader, "cat")["id"] == "c1"


def test_models_of_several_names_that_are_wanted_together_do_not_replace_each_other(lake):
    want(lake, toy("dog", "d1"), toy("cat", "c1"))
    version = lake.read(MODELS).version
    want(lake, toy("dog", "d1"), toy("cat", "c1"))
    assert lake.read(MODELS).version == version, "both were in use"
    want(lake, toy("dog", "d2"), toy("cat", "c1"))
    before = lake.read(MODELS).parts()
    want(lake, toy("dog", "d1"), toy("cat", "c1"))
    after = lake.read(MODELS).parts()
    assert {key for key in before if before[key] != after[key]} == {"d1"}
    assert newest(lake.read(MODELS), "dog")["id"] == "d1"


def test_a_model_that_another_run_stores_meanwhile_stays(lake):
    want(lake, toy("dog", "d0"))
    first, second = Registry(lake, MODELS, "first"), Registry(lake, MODELS, "second")
    first.want(*toy("dog", "d1"))
    second.want(*toy("dog", "d2"))
    lake.write(MODELS, second.parts())
    lake.write(MODELS, first.parts())
    assert sorted(stored(lake)) == [("d0", "1"), ("d1", "3"), ("d2", "2")], "each version has a number of its own"


def test_a_model_that_two_runs_made_is_stored_once(lake):
    first, second = Registry(lake, MODELS, "first"), Registry(lake, MODELS, "second")
    for registry in (first, second):
        registry.want(*toy("dog", "d1"))
    lake.write(MODELS, first.parts())
    want(lake, toy("dog", "d2"))
    lake.write(MODELS, second.parts())
    assert sorted(stored(lake)) == [("d1", "1"), ("d2", "2")]


def test_versions_go_on_from_the_highest_number(lake):
    """A migrated table may have counted the versions of all names together."""
    want(lake, toy("dog", "d1"))
    rows = lake.read(MODELS).scan().with_columns(version=pl.lit("7")).collect()
    lake.replace(MODELS, rows, {"id": "d1"})
    (row,) = want(lake, toy("dog", "d2"))
    assert row["version"] == "8"


def test_a_download_is_known_by_its_files(lake):
    def fetched(content):
        return Identity("guess", None), maker(content, id=lambda sha: row_id("toys", sha), name="real name")

    (first,) = want(lake, fetched("same"))
    (again,) = want(lake, fetched("same"))
    (other,) = want(lake, fetched("other"))
    assert again["id"] == first["id"] != other["id"] and first["name"] == "real name"
    assert [version for _, version in stored(lake)] == ["1", "2"]


def test_a_missing_model_is_an_error_that_names_the_asset(lake):
    for ask in (newest, lambda reader: newest(reader, "dog"), lambda reader: by_id(reader, "x")):
        with pytest.raises(ModelError, match="materialise models/toys first"):
            ask(lake.read(MODELS))
    assert newest_of_each_name(lake.read(MODELS)) == []


def test_a_maker_that_fails_leaves_no_row(lake):
    def broken(scratch):
        raise RuntimeError("out of clay")

    with pytest.raises(RuntimeError, match="out of clay"):
        want(lake, (Identity("dog", "a"), broken))
    assert not lake.read(MODELS).exists


def test_each_model_is_one_commit(lake):
    for number in range(3):
        want(lake, toy("dog", f"d{number}"))
    commits = lake.open(MODELS).history()
    writes = [c for c in commits if c["operation"] == "WRITE"]
    assert len(writes) == 3
    contents = [lake.read(MODELS).parts()[f"d{number}"] for number in range(3)]
    assert len(set(contents)) == 3 and all(contents)
