"""The benchmark of a finished laptop lake: how it counts seconds and statuses, and what it does not judge."""

import dagster as dg
import polars as pl

from benchmarks import laptop
from benchmarks.harness import verdict
from nemotron_assets.sft.columns import STATUS
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Table


def test_seconds_are_those_of_the_longest_run_of_every_step_with_its_checks():
    naps = iter([0.2, 0.0])

    @dg.asset
    def slept():
        import time

        time.sleep(next(naps))

    @dg.asset_check(asset=slept)
    def rested():
        return dg.AssetCheckResult(passed=True)

    with dg.DagsterInstance.ephemeral() as home:
        for _ in range(2):
            dg.materialize([slept, rested], instance=home)
        seconds = laptop.step_seconds(home)
    assert list(seconds) == [dg.AssetKey("slept")]
    assert 0.2 <= seconds[dg.AssetKey("slept")] < 20


class Lake:
    """A lake of frames by the name of their table."""

    def __init__(self, **frames):
        self.frames = frames

    def read(self, table):
        frame = self.frames.get(table.name)

        class Reader:
            exists = frame is not None
            scan = staticmethod(lambda: frame.lazy())

        return Reader


def judged(monkeypatch, capsys, **frames) -> tuple[int, str]:
    names = ("procedural", "math_sft", "nemotron_sft")
    tables = {f"sft.{name}": Table("sft", name, "A table.", (ID, STATUS)) for name in names if name in frames}
    monkeypatch.setattr("nemotron_assets.stages.all_tables", lambda: tables)
    quarantine = pl.DataFrame({"stage": ["sft.math_sft"] * 2, "cause": ["no box", "cut"]})
    code = verdict(laptop.sft(Lake(rows=quarantine, **{k: pl.DataFrame({"status": v}) for k, v in frames.items()})))
    return code, capsys.readouterr().out


def test_rows_by_status_are_shown_and_an_empty_table_lists_its_reasons(monkeypatch, capsys):
    code, printed = judged(monkeypatch, capsys, procedural=["verified", "verified"], math_sft=["failed"])
    assert code == 0
    assert "| sft.procedural | 2 | 0 | 0 | 0 | 0 |" in printed
    assert "| sft.math_sft | 0 | 0 | 0 | 0 | 1 | no box 1, cut 1 |" in printed


def test_bars_that_are_missed(monkeypatch, capsys):
    assert judged(monkeypatch, capsys, procedural=["verified", "unverified"])[0] == 1, "not all verified"
    assert judged(monkeypatch, capsys, nemotron_sft=["verified", "failed"])[0] == 1, "a failed row is published"
    assert judged(monkeypatch, capsys, procedural=pl.Series([], dtype=pl.String))[0] == 1, "no row and no reason"


def test_a_lake_that_is_not_finished_is_not_judged(tmp_path, monkeypatch, capsys):
    class Nothing:
        root = "nowhere"

        def read(self, table):
            return type("Reader", (), {"exists": False})

    monkeypatch.setattr("nemotron_assets.definitions.lake", Nothing())
    assert laptop.main([]) == 2
    assert "run `make run` first" in capsys.readouterr().out
