"""Which models are measured, and when a model is measured again. A fake function makes the scores."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import get_args

import polars as pl
import pytest

from nemotron_assets.evaluate import assets
from nemotron_assets.evaluate.harness import Score
from nemotron_assets.evaluate.in_use import Measuring
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.evaluate.scoring import as_row, recall_rows
from nemotron_assets.evaluate.suite.tables import MODELS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES, RULER_ANSWERS
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.evaluate import ModelTable
from nemotron_assets.table.parts import Part, Parts
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from resources.lakehouse import Lakehouse
from tests.sql.lake import frame


class FakeGpu:
    """A resource with one device. It counts how often the kept engine is released."""

    def __init__(self, kind: str = "cpu"):
        self.device, self.released = SimpleNamespace(kind=kind, label=kind), 0

    @contextmanager
    def lock(self, log):
        yield [self.device]

    def release(self):
        self.released += 1


@pytest.fixture
def lake(tmp_path) -> Lakehouse:
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "file").write_text("weights")
    uri, _ = lake.put_weights(tmp_path / "files", "weights")
    store(lake, uri, a=1)

    return lake


def store(lake: Lakehouse, uri: str, **models: int) -> None:
    """Store base models: {id: minute in which it was made}. Ids with the same first letter are versions of one name."""
    rows = [
        {"id": id_, "name": f"base {id_[0]}", "version": id_, "uri": uri, "sha256": id_, "at": minute(number)}
        for id_, number in models.items()
    ]
    for row in rows:
        lake.write(BASE, Parts([Part(row["id"], "1", lambda row=row: frame(BASE, [row]))], complete=False))


def minute(number: int) -> datetime:
    return datetime(2025, 1, 1, 0, number, tzinfo=UTC)


def measuring(lake: Lakehouse, gpu: FakeGpu | None = None) -> Measuring:
    inputs = [lake.read(BENCHMARKS), lake.read(UNIQUE_DOCUMENTS)]
    key = ("task", "metric", "length")
    answers = [lake.read(RULER_ANSWERS)]
    return Measuring(BENCHMARK_SCORES, key, inputs, lake, gpu or FakeGpu(), "run", lambda line: None, answers)


def measure(folder, device: str, model_id: str) -> list[dict]:
    assert (folder / "file").read_text() == "weights"
    return [
        as_row(Score("gsm8k", "exact_match", 0.5, None, 0.0, 1, 0)),
        as_row(Score("ruler", "recall", 0.25, None, 0.0, 1, 0, length=512)),
        as_row(Score("ruler", "recall", 0.25, None, 0.0, 1, 0, length=1024)),
    ]


def run(lake: Lakehouse, gpu: FakeGpu | None = None) -> list[str]:
    """The models that one run of the asset scores."""
    parts = measuring(lake, gpu).parts([lake.read(BASE)], measure, lambda made: {"made": sorted(made)})
    lake.write(BENCHMARK_SCORES, parts, code_version="1")
    return parts.metadata()["made"]


def scored(lake: Lakehouse) -> list[str]:
    rows = lake.read(BENCHMARK_SCORES).scan().collect()
    assert rows["id"].is_unique().all() and len(rows) == 3 * rows["model_id"].n_unique()
    return sorted(rows["model_id"].unique())


def uri_of(lake: Lakehouse) -> str:
    return lake.read(BASE).scan().collect()["uri"][0]


def test_only_models_without_scores_are_scored_and_earlier_scores_stay(lake):
    assert run(lake) == ["base a a"] and run(lake) == []
    store(lake, uri_of(lake), b=2)
    assert run(lake) == ["base b b"]
    store(lake, uri_of(lake), a2=3)
    assert run(lake) == ["base a a2"], "the newest version of each name"
    assert scored(lake) == ["a", "a2", "b"]
    lake.write(BENCHMARKS, frame(BENCHMARKS, []))
    assert run(lake) == ["base a a2", "base b b"], "an input has changed"
    assert scored(lake) == ["a", "a2", "b"]


def test_the_answers_of_another_model_score_no_model_again(lake):
    store(lake, uri_of(lake), b=2)
    assert run(lake) == ["base a a", "base b b"]
    rows = frame(RULER_ANSWERS, [{"id": "1", "model_id": "b", "recall": 0.5}])
    lake.write(RULER_ANSWERS, Parts([Part("b", "1", lambda: rows)], complete=False))
    assert run(lake) == ["base b b"]


def test_scores_that_another_run_stores_meanwhile_stay(lake):
    parts = measuring(lake).parts([lake.read(BASE)], measure, dict)
    store(lake, uri_of(lake), b=2)
    run(lake)
    lake.write(BENCHMARK_SCORES, parts, code_version="1")
    assert scored(lake) == ["a", "b"]


@pytest.mark.parametrize(("kind", "released"), [("cpu", 0), ("cuda", 1)])
def test_the_kept_language_model_is_closed_before_a_gpu_scores(lake, kind, released):
    gpu = FakeGpu(kind)
    run(lake, gpu)
    assert gpu.released == released


def test_the_recall_of_ruler_is_a_mean_per_task_and_one_per_length():
    answers = [
        ("m", "needle", 512, 1.0),
        ("m", "needle", 512, 0.0),
        ("m", "words", 512, 0.2),
        ("m", "words", 1024, 0.6),
        ("other", "words", 512, 1.0),
    ]
    columns = ("model_id", "task", "length", "recall")
    frame = pl.DataFrame([dict(zip(columns, row, strict=True)) for row in answers], RULER_ANSWERS.empty().schema)
    rows = recall_rows(frame)
    found = {(row["task"], row["length"]): (row["value"], row["samples"]) for row in rows["m"]}
    assert found == {
        ("ruler", 512): (pytest.approx(0.35), 3),
        ("ruler", 1024): (0.6, 1),
        ("ruler_needle", 512): (0.5, 2),
        ("ruler_words", 512): (0.2, 1),
        ("ruler_words", 1024): (0.6, 1),
    }, "every task counts alike, whatever its number of items"
    assert {row["metric"] for row in rows["m"]} == {"recall"} and set(rows) == {"m", "other"}


def test_the_recipe_says_which_models_are_measured(monkeypatch):
    """The published recipe scores the aligned model too, the laptop's recipe does not wait for it."""
    assert list(assets.measured(BENCHMARK_SCORES)) == ["base", "long_context"]
    monkeypatch.setattr(assets, "current_recipe", lambda: load_recipe("nano2"))
    assert list(assets.measured(BENCHMARK_SCORES)) == ["base", "long_context", "aligned"]
    assert list(assets.measured(RULER_ANSWERS)) == ["base", "long_context", "aligned"]
    assert set(get_args(ModelTable)) == set(MODELS)
