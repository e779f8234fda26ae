"""Reading a lake: order, filters, one partition, the facts in the Delta log."""

import polars as pl
import pyarrow as pa

from nemotron_assets.table.columns import ID, SNAPSHOT
from nemotron_assets.table.schema import Column, Table
from resources.lakehouse import Lakehouse
from tests.resources.lakehouse.rows import DOCS, docs, parts


def test_the_log_knows_rows_and_ranges(lake):
    lake.write(DOCS, docs("A", "f", [5, 7, 6]), "A")
    action = pa.table(lake.open(DOCS).get_add_actions(flatten=True)).to_pylist()[0]
    assert (action["num_records"], action["min.n"], action["max.n"]) == (3, 5, 7)
    assert (action["min.file"], action["max.file"], action["null_count.at"]) == ("f", "f", 3)


def test_rows_are_read_in_the_same_order_and_filtered(lake):
    for snapshot in ("s1", "s2"):
        lake.write(DOCS, parts(snapshot, [], **{f"f{k}": [k, k + 100] for k in range(6)}), snapshot)
    whole = lake.read(DOCS)
    ids = [i for b in whole.batches(["id"]) for i in b.column("id").to_pylist()]
    assert ids == [i for b in lake.read(DOCS).batches(["id"], batch_size=1) for i in b.column("id").to_pylist()]
    assert ids == [i for s in ("s1", "s2") for b in whole.within(s).batches(["id"]) for i in b.column("id").to_pylist()]
    found = [i for b in whole.within("s2").batches(["id"], where=("file", "f3")) for i in b.column("id").to_pylist()]
    assert sorted(found) == ["s2/f3/103", "s2/f3/3"]
    assert list(whole.batches(["id"], where=("file", "f9"))) == []
    assert whole.within(None) is whole and whole.within("s1").version == whole.version


def test_rows_of_one_value_are_found_in_files_without_statistics_of_it(tmp_path):
    table = Table("test", "mixed", "d", (ID, SNAPSHOT, Column("colour", "string", "m")), partition_by="snapshot")
    lake = Lakehouse(root=str(tmp_path), free_disk_mb=0)
    for snapshot in ("S1", "S2"):
        rows = {"id": ["1", "2", "3"], "snapshot": [snapshot] * 3, "colour": ["blue", "green", "blue"]}
        lake.write(table, pl.DataFrame(rows), snapshot)
    found = {
        colour: sum(batch.num_rows for batch in lake.read(table, "S1").batches(["id"], where=("colour", colour)))
        for colour in ("blue", "green", "red")
    }
    assert found == {"blue": 2, "green": 1, "red": 0}
    assert sum(batch.num_rows for batch in lake.read(table).batches(where=("colour", "blue"))) == 4
