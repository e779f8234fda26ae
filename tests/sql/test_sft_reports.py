"""The view sft.outcomes and its report: rows by status and rejects by cause of every table of SFT data."""

from __future__ import annotations

import pytest

from nemotron_assets.sft.instructions.tables import CODE_SFT
from nemotron_assets.sft.release.tables import SFT_TABLES
from nemotron_assets.sft.stem.tables import STEM_EXPANSIONS
from nemotron_assets.table.parts import Batches, Part, Parts, Reject, Rejects
from resources.lakehouse import Lakehouse
from tests.sql.lake import Opened, frame
from tests.sql.report import answer

STATUSES = ("verified", "verified", "majority", "judged", "unverified", "failed")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    root = tmp_path_factory.mktemp("outcomes")
    lake = Lakehouse(root=str(root / "lake"), free_disk_mb=0)
    for table in (*SFT_TABLES, STEM_EXPANSIONS):
        rejects = Rejects()
        for number in range(3):
            rejects.add(Reject(f"g{number}", "refused" if number else "truncated", "no answer"))
        rows = [] if table is CODE_SFT else [{"id": str(n), "status": s, "tokens": 10} for n, s in enumerate(STATUSES)]
        rows = [{"id": "q"}] if table is STEM_EXPANSIONS else rows
        if part := table.part_by:
            content = frame(table, [{**row, part: "one"} for row in rows])
            made = Part("one", "1", lambda content=content: content)
            lake.write(table, Parts([made], rejects=rejects))
        else:
            lake.write(table, Batches([frame(table, rows)], rejects))
    return Opened(root)


def test_every_table_has_its_rows_by_status_and_its_rejects_by_cause(opened):
    found = answer(opened, "sft_outcomes")
    for table in SFT_TABLES:
        mine = found.filter(found["table"] == table.full_name)
        counts = {(row["kind"], row["outcome"]): row["number"] for row in mine.iter_rows(named=True)}
        rows = {("row", status): STATUSES.count(status) for status in STATUSES} if table is not CODE_SFT else {}
        assert counts == {**rows, ("reject", "refused"): 2, ("reject", "truncated"): 1}
        assert set(mine.filter(mine["usable"])["outcome"]) == ({"verified", "majority", "judged"} if rows else set())
        assert mine.filter(mine["outcome"] == "verified")["tokens"].to_list() == ([20] if rows else [])
    assert found.filter(found["table"] == STEM_EXPANSIONS.full_name)["number"].sum() == 3
