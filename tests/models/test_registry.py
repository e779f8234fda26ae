"""The registry of model versions: found or made, newest or by id, one row and one part per version."""

from __future__ import annotations

import itertools

import pytest

from nemotron_assets.models.columns import model_table
from nemotron_assets.models.registry import Identity, Made, ModelError, Parent, Registry, by_id, newest
from nemotron_assets.models.registry import newest_of_each_name as newest_of_each
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Column
from resources.lakehouse import Lakehouse

MODELS = model_table("toys", "Toys.", named="name of the toy", own=(Column("legs", "int32", "legs it has"),))


@pytest.fixture
def lake(tmp_path) -> Lakehouse:
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def maker(content: str, legs: int = 4, **more):
    """What makes a toy; it counts its calls."""

    def make(scratch):
        make.calls += 1
        (scratch / "toy.txt").write_text(content)
        return Made(scratch, {"legs": legs}, **more)

    make.calls = 0
    return make


def want(lake: Lakehouse, *wanted) -> list[dict]:
    """What an asset does: ask for models, hand the parts to the lake."""
    registry = Registry(lake, MODELS, "run")
    rows = [registry.want(identity, make) for identity, make in wanted]
    lake.write(MODELS, registry.parts())
    return rows


def stored(lake: Lakehouse) -> list[tuple[str, str]]:
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
    a, b = (Identity("dog", "a"), maker("a")), (Identity("dog", "b"), maker("b"))
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


def test_versions_count_per_name_and_each_name_has_a_newest(lake):
    want(lake, (Identity("dog", "d1"), maker("1")), (Identity("cat", "c1"), maker("2")))
    want(lake, (Identity("dog", "d2"), maker("3")))
    assert sorted(stored(lake)) == [("c1", "1"), ("d1", "1"), ("d2", "2")]
    reader = lake.read(MODELS)
    assert [row["id"] for row in newest_of_each(reader)] == ["c1", "d2"]
    assert newest(reader, "dog")["id"] == "d2" and newest(reader, "cat")["id"] == "c1"


def test_a_download_is_known_by_its_files(lake):
    def fetched(content):
        return Identity("guess", None), maker(content, id=lambda sha: row_id("toys", sha), name="real name")

    (first,) = want(lake, fetched("same"))
    (again,) = want(lake, fetched("same"))
    (other,) = want(lake, fetched("other"))
    assert again["id"] == first["id"] != other["id"] and first["name"] == "real name"
    assert [version for _, version in stored(lake)] == ["1", "2"]


def test_what_is_missing_is_said_with_the_asset_that_makes_it(lake):
    for ask in (newest, lambda reader: newest(reader, "dog"), lambda reader: by_id(reader, "x")):
        with pytest.raises(ModelError, match="materialise models/toys first"):
            ask(lake.read(MODELS))


def test_a_maker_that_fails_leaves_no_row(lake):
    def broken(scratch):
        raise RuntimeError("out of clay")

    with pytest.raises(RuntimeError, match="out of clay"):
        want(lake, (Identity("dog", "a"), broken))
    assert not lake.read(MODELS).exists


def test_parts_that_are_kept_cost_no_commit(lake):
    for number in range(3):
        want(lake, (Identity("dog", f"d{number}"), maker(str(number))))
    commits = lake.open(MODELS).history()
    writes = [c for c in commits if c["operation"] == "WRITE"]
    assert len(writes) == 3, "one commit per model"
    contents = [lake.read(MODELS).parts()[f"d{number}"] for number in range(3)]
    assert len(set(contents)) == 3 and all(contents)
    assert all(a != b for a, b in itertools.combinations(contents, 2))
