"""Parts of a partition: skipped, replaced, deleted and read one by one, also in compacted files."""

import polars as pl
import pytest
from deltalake import DeltaTable

from nemotron_assets.table.parts import Parts
from resources.contract import CommitConflict, LakeError
from tests.resources.lakehouse.rows import DOCS, PLAIN, numbers, parts


def test_finished_parts_are_skipped_and_others_made(lake):
    calls = []
    first = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    again = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    assert calls == ["x", "y"]
    assert (again.parts_skipped, again.data_version) == (2, first.data_version)
    changed = lake.write(DOCS, parts("A", calls, x=[1], y=[5]), "A")
    assert calls == ["x", "y", "y"] and changed.data_version != first.data_version
    assert numbers(lake) == [1, 5]
    lake.write(DOCS, parts("A", calls, x=[1]), "A")
    assert numbers(lake) == [1], "a part that is no longer listed is deleted"
    lake.write(DOCS, parts("A", calls, x=[1]), "A", force=True)
    assert calls[-1] == "x"
    lake.write(DOCS, parts("A", calls, x=[1]), "A", code_version="new")
    assert calls[-2:] == ["x", "x"]


def test_incomplete_parts_leave_the_other_parts_alone(lake):
    calls = []
    whole = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    version = lake.read(DOCS).version
    none = lake.write(DOCS, Parts([], complete=False), "A")
    assert (none.data_version, none.rows, lake.read(DOCS).version) == (whole.data_version, 2, version)
    some = Parts(parts("A", calls, y=[5], z=[3]).parts, complete=False)
    assert lake.write(DOCS, some, "A").rows == 3 and numbers(lake) == [1, 3, 5]
    again = lake.write(DOCS, Parts([], complete=False), "A")
    assert again.data_version == lake.write(DOCS, parts("A", calls, x=[1], y=[5], z=[3]), "A").data_version
    assert calls == ["x", "y", "y", "z"]
    assert lake.write(DOCS, Parts([], complete=False), "B").rows == 0, "also in a partition without rows"


def test_incomplete_parts_may_be_the_first_rows_of_a_table(lake):
    assert lake.write(DOCS, Parts([], complete=False), "A").rows == 0 and lake.read(DOCS).exists


def test_a_part_may_have_an_empty_name(lake):
    """A data set may have rows without the name of a repository, for example."""
    named = {"": [1], "x": [2], "y": [3]}
    calls = []
    lake.write(DOCS, parts("A", calls, **named), "A")
    lake.write(DOCS, parts("A", calls, **named | {"": [4, 5]}), "A")
    assert calls == ["", "x", "y", ""] and numbers(lake) == [2, 3, 4, 5], "only this part was replaced"
    assert [b.num_rows for b in lake.read(DOCS, "A").part("").batches(["n"])] == [2]
    lake.write(DOCS, parts("A", calls, x=[2], y=[3]), "A")
    assert numbers(lake) == [2, 3], "only this part was deleted"


def test_a_concurrent_writer_while_parts_are_deleted_is_a_conflict(lake, monkeypatch):
    from deltalake.exceptions import CommitFailedError

    def fail(self, *args, **kwargs):
        raise CommitFailedError("a concurrent transaction deleted the same data")

    lake.write(DOCS, parts("A", [], x=[1], y=[2]), "A")
    monkeypatch.setattr(DeltaTable, "create_write_transaction", fail)
    with pytest.raises(CommitConflict, match="run the step again"):
        lake.write(DOCS, parts("A", [], x=[1]), "A")


def test_a_part_in_a_compacted_file_is_replaced_alone(lake):
    calls = []
    lake.write(DOCS, parts("A", calls, x=[1, 2], y=[3], z=[4]), "A")
    lake.write(DOCS, parts("B", calls, x=[9]), "B")
    lake.open(DOCS).optimize.compact()
    assert len(lake.open(DOCS).file_uris()) == 2
    result = lake.write(DOCS, parts("A", calls, x=[1, 2], y=[30, 31], z=[4]), "A")
    assert result.parts_skipped == 2, "parts are skipped after compaction too"
    assert numbers(lake, "A") == [1, 2, 4, 30, 31] and numbers(lake, "B") == [9]


@pytest.mark.parametrize("between", [lambda lake: None, lambda lake: lake.open(DOCS).delete("file = 'w'")])
def test_a_part_is_changed_after_another_one_dropped_out_of_a_compacted_file(lake, between):
    """delta-rs stores what is left of a file with types of its own, as an earlier version of the program did."""
    lake.write(DOCS, parts("A", [], w=[0], x=[1, 2], y=[3], z=[4]), "A")
    lake.open(DOCS).optimize.compact()
    between(lake)
    lake.write(DOCS, parts("A", [], x=[1, 2], y=[3]), "A")
    lake.write(DOCS, parts("A", [], x=[1, 2], y=[5]), "A")
    assert numbers(lake) == [1, 2, 5]
    assert [b.num_rows for b in lake.read(DOCS, "A").part("x").batches(["n"], where=("file", "x"))] == [2]


def test_a_part_that_comes_back_is_made_again(lake):
    calls = []
    lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    lake.write(DOCS, parts("A", calls, x=[1]), "A")
    result = lake.write(DOCS, parts("A", calls, x=[1], y=[2]), "A")
    assert (calls, result.parts_skipped, numbers(lake)) == (["x", "y", "y"], 1, [1, 2])


def test_parts_are_read_of_one_partition(lake):
    with pytest.raises(LakeError, match=r"web\.docs was never written: materialise web/docs first"):
        lake.read(DOCS, "s1").parts()
    lake.write(DOCS, parts("s1", [], a=[1]), "s1")
    with pytest.raises(LakeError, match="read one partition, not all"):
        lake.read(DOCS).parts()
    lake.write(PLAIN, pl.DataFrame({"id": ["a"], "n": [1]}))
    with pytest.raises(LakeError, match=r"web\.plain has no parts"):
        lake.read(PLAIN).parts()
