"""Lakes of earlier versions and of other programs: opened, or refused with what to do."""

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Column, Table
from resources.contract import LakeError
from tests.resources.lakehouse.rows import PLAIN


class TestOlderLake:
    """A lake of an earlier version can be opened, or the error says what to do."""

    def test_a_new_nullable_column_evolves_in_place(self, lake):
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
        newer = Table("web", "plain", "", (*PLAIN.columns, Column("more", "string", "new", nullable=True)))
        assert lake.read(newer).scan().collect().rows() == [("a", 1, None)]
        assert next(lake.read(newer).batches(["more", "n"])).to_pylist() == [{"more": None, "n": 1}]
        lake.append(newer, pl.DataFrame({"id": ["b"], "n": [2], "more": ["x"]}))
        assert sorted(lake.read(newer).scan().collect().rows()) == [("a", 1, None), ("b", 2, "x")]

    @pytest.mark.parametrize(
        ("columns", "version", "words"),
        [
            ((ID, Column("n", "string", "")), 1, "column 'n' is"),
            ((ID,), 1, "column 'n' is no longer declared"),
            ((*PLAIN.columns, Column("more", "string", "")), 1, "'more' is not stored and must not be null"),
            (PLAIN.columns, 2, "schema version 1, this program writes version 2"),
        ],
    )
    def test_anything_else_says_what_to_do(self, lake, columns, version, words):
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
        newer = Table("web", "plain", "", columns, version=version)
        with pytest.raises(LakeError, match=r"--set-aside web\.plain.*nemotron run --force web/plain") as error:
            lake.read(newer)
        assert words in str(error.value)

    def test_set_aside_keeps_the_old_table(self, lake, monkeypatch):
        from nemotron_assets.lake import upkeep

        monkeypatch.setattr(upkeep, "all_tables", lambda: {"web.plain": PLAIN})
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
        said = upkeep.set_aside(lake, "web.plain")
        kept = said.split("kept in ")[1].split(";")[0]
        assert DeltaTable(kept).version() >= 0 and not lake.read(PLAIN).exists
        with pytest.raises(LakeError, match=r"no table 'web\.nothing'"):
            upkeep.set_aside(lake, "web.nothing")


def test_a_table_of_another_program_is_an_error(lake):
    write_deltalake(lake.path(PLAIN), pa.table({"id": ["a"], "n": ["text"]}))
    with pytest.raises(LakeError, match="another version of the lakehouse"):
        lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
