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


def test_models_are_judged_by_kind_of_text_and_by_position(monkeypatch, capsys):
    """A base model that is good at English and bad at code, and a longer one that uses its context."""
    from datetime import UTC, datetime

    from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, BITS_BY_POSITION
    from nemotron_assets.models.tables import TRAINING_METRICS
    from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
    from tests.sql.lake import frame

    at = datetime(2026, 1, 1, tzinfo=UTC)
    bits = {"held_out_english_web": 2.0, "held_out_code": 4.0, "held_out_other_languages": 5.5}
    simple = {"unigram_bits_per_byte": 5.0, "gzip_bits_per_byte": 2.5, "metric": "bits_per_byte", "samples": 2}
    scores = [
        {**simple, "id": f"{model}{task}", "model_id": model, "task": task, "value": value, "at": at}
        for model in ("b", "l")
        for task, value in bits.items()
    ]
    scores += [
        {
            "id": f"l{length}",
            "model_id": "l",
            "task": "ruler",
            "metric": "recall",
            "length": length,
            "value": 0.0,
            "at": at,
        }
        for length in (512, 1_024)
    ]
    positions = [
        {"id": f"{model}{first}", "model_id": model, "model": model, "trained_length": length, "bits_per_byte": value,
         "first_token": first, "last_token": first + 512, "bytes": 10, "documents": 1, "at": at}
        for model, length, values in (("b", 512, (2.0, 2.0)), ("l", 1_024, (2.1, 1.5)))
        for first, value in zip((0, 512), values, strict=True)
    ]  # fmt: skip
    losses = [{"model_id": "b", "step": step, "loss": 9.0 - step} for step in (1, 2)]
    rows = {BASE: [{"id": "b", "at": at}], LONG_CONTEXT: [{"id": "l", "at": at}], TRAINING_METRICS: losses}
    rows |= {BENCHMARK_SCORES: scores, BITS_BY_POSITION: positions}
    frames = {table.name: pl.DataFrame(pl.from_arrow(frame(table, of))) for table, of in rows.items()}
    claims = {claim.what: claim for claim in laptop.models(Lake(**frames))}
    held = {name: claim.holds for name, claim in claims.items()}
    assert held == {
        "fall of the loss of models.base": True,
        "held_out_english_web: bits per byte, to single bytes": True,
        "held_out_code: bits per byte, to single bytes": False,
        "held_out_other_languages: bits per byte, to single bytes": False,
        "English web pages: bits per byte, to gzip": True,
        "long context, to base, within its context": False,
        "long context, to base, beyond its context": True,
        "lengths of RULER that models.long_context is asked at": False,
    }
    assert "held_out_other_languages" in capsys.readouterr().out
