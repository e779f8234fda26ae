"""A log that is cut has the newest version alone: readers, marks and hashes go on, names of other parts are gone."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from resources.delta_log import DeltaLog
from resources.lakehouse.cut import cut_log
from resources.warehouse.extensions import extension_file
from tests.resources.lakehouse.rows import DOCS, parts


def files(lake) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(lake.path(DOCS), "_delta_log").iterdir()}


def rows(lake) -> list:
    return sorted(lake.read(DOCS).scan().collect().rows(), key=str)


@pytest.fixture
def table(lake):
    lake.write(DOCS, parts("A", [], kept=[1, 2], dropped=[3]), "A", run_id="run", code_version="code")
    lake.write(DOCS, parts("A", [], kept=[1, 2]), "A", run_id="run", code_version="code")
    lake.open(DOCS).vacuum(0, dry_run=False, enforce_retention_duration=False)
    lake.record(DOCS, lake.open(DOCS).version())
    return lake


def keep(mark: str) -> bool:
    return not mark.endswith(":dropped")


def test_the_names_of_other_parts_are_gone_and_everything_goes_on(table):
    before = rows(table), table.read(DOCS, "A").content(), table.read(DOCS).commit()["code_version"]
    assert any(b"dropped" in content for content in files(table).values())
    cut_log(table, DOCS, keep)
    assert not any(b"dropped" in content for content in files(table).values())
    assert len(files(table)) == 3, "the newest commit, its checkpoint, and the note about the checkpoint"
    assert (rows(table), table.read(DOCS, "A").content(), table.read(DOCS).commit()["code_version"]) == before
    assert table.marker(table.open(DOCS), "made", "A", "kept") is not None
    assert table.marker(table.open(DOCS), "made", "A", "dropped") is None
    with duckdb.connect() as connection:
        connection.execute(f"load '{extension_file('delta')}'")
        found = connection.execute(f"select count(*) from delta_scan('{table.path(DOCS)}')").fetchone()
    assert found == (len(before[0]),)
    assert {problem for _, problem in DeltaLog(table.path(DOCS)).files()} == {""}
    made = table.write(DOCS, parts("A", [], kept=[1, 2], dropped=[3]), "A", code_version="code")
    assert (made.parts_skipped, made.parts_written) == (1, 1)


@pytest.mark.parametrize("step", ["_put", "_delete", "record"])
@pytest.mark.parametrize("time", [1, 2])
def test_a_kill_leaves_a_log_that_can_be_read_and_cut_again(table, step, time, monkeypatch):
    before, calls = rows(table), []
    real = getattr(DeltaLog, step)

    def killed(self, *given):
        calls.append(given)
        if len(calls) == time:
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(DeltaLog, step, killed)
        with pytest.raises(KeyboardInterrupt):
            cut_log(table, DOCS, keep)
    assert rows(table) == before
    cut_log(table, DOCS, keep)
    assert rows(table) == before and not any(b"dropped" in content for content in files(table).values())
