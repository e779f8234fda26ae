"""Which models are measured, and when a model is measured again. A fake function makes the scores."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import get_args

import polars as pl
import pytest

from nemotron_assets.evaluate import assets
from nemotron_assets.evaluate.in_use import Measuring
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.evaluate.results import assets as results_assets
from nemotron_assets.evaluate.results.result import ItemResult, Score
from nemotron_assets.evaluate.results.tables import ITEM_RESULTS
from nemotron_assets.evaluate.scoring import item_scores, recall_scores, score_parts, suite_scores, wilson
from nemotron_assets.evaluate.suite.tables import MODELS, SUITE_ANSWERS
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
        Score("gsm8k", "exact_match", 0.5, None, 0.0, 1, 0).as_row(),
        Score("ruler", "recall", 0.25, None, 0.0, 1, 0, length=512).as_row(),
        Score("ruler", "recall", 0.25, None, 0.0, 1, 0, length=1024).as_row(),
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
    answers = [("needle", 512, 1.0), ("needle", 512, 0.0), ("words", 512, 0.2), ("words", 1024, 0.6)]
    rows = [dict(zip(("task", "length", "recall"), row, strict=True)) for row in answers]
    scores = list(recall_scores(pl.DataFrame(rows, RULER_ANSWERS.empty().schema)))
    assert {(s.task, s.length): (s.value, s.samples) for s in scores} == {
        ("ruler", 512): (pytest.approx(0.35), 3),
        ("ruler", 1024): (0.6, 1),
        ("ruler_needle", 512): (0.5, 2),
        ("ruler_words", 512): (0.2, 1),
        ("ruler_words", 1024): (0.6, 1),
    }, "every task counts alike, whatever its number of items"
    assert {s.metric for s in scores} == {"recall"}


def results_of(*results: ItemResult) -> pl.DataFrame:
    return pl.DataFrame([r.as_row() for r in results], ITEM_RESULTS.empty().schema)


def test_a_score_is_the_mean_over_items_and_several_answers_to_an_item_count_as_one():
    def answer(item, run, score):
        return ItemResult("gsm8k", item, "exact_match", score, 0.0, run=run)

    once = results_of(*(answer(f"i{n}", 0, float(n < 6)) for n in range(8)))
    again = results_of(*(answer(f"i{n}", run, float(n < 6)) for n in range(8) for run in range(4)))
    (first,), (second,) = item_scores(once), item_scores(again)
    assert (first.value, first.samples, first.runs) == (0.75, 8, 1)
    assert (second.value, second.samples, second.runs) == (0.75, 8, 4)
    assert (first.stderr, first.low, first.high) == (second.stderr, second.low, second.high)
    assert (first.low, first.high) == pytest.approx((0.4093, 0.9285), abs=1e-4)  # Wilson, by hand
    two = answer("a", 0, 1.0), answer("a", 1, 0.0), answer("b", 0, 0.0), answer("b", 1, 0.0)
    (mixed,) = item_scores(results_of(*two))
    assert mixed.value == 0.25 and mixed.low == 0.0 and 0.25 < mixed.high < 1
    assert list(item_scores(results_of())) == []


def test_texts_weigh_by_their_bytes():
    rows = [ItemResult("t", item, "bits_per_byte", score, 4.0, weight=size) for item, score, size in
            (("a", 2.0, 10), ("b", 1.0, 30))]  # fmt: skip
    (score,) = item_scores(results_of(*rows))
    assert score.value == 50 / 40 and score.random_baseline == 4 and score.low < score.value < score.high


def test_an_interval_is_sure_of_nothing():
    for items in (1, 5, 1_000):
        low, high = wilson(1.0, items)
        assert low < 1 and high == pytest.approx(1) and wilson(0.0, items) == pytest.approx((0, 1 - low))


def test_the_suite_has_a_score_per_task_and_one_for_all():
    counts = (("b", 4), ("a", 6))
    rows = [{"task": task, "item": f"{task}{n}", "right": n < 3} for task, count in counts for n in range(count)]
    scores = {s.task: s for s in suite_scores(pl.DataFrame(rows, SUITE_ANSWERS.empty().schema))}
    assert {task: (s.value, s.samples) for task, s in scores.items()} == {
        "suite_a": (0.5, 6), "suite_b": (0.75, 4), "suite": (0.6, 10),
    }  # fmt: skip


def test_scores_are_computed_again_only_for_models_with_new_results(lake):
    def write(table, model, rows):
        common = {"model": "m", "model_id": model}
        content = frame(table, [row | common | {"id": f"{model}{n}"} for n, row in enumerate(rows)])
        lake.write(table, Parts([Part(model, str(rows), lambda: content)], complete=False))

    def run():
        parts = score_parts(*map(lake.read, (ITEM_RESULTS, RULER_ANSWERS, SUITE_ANSWERS)), "run")
        lake.write(BENCHMARK_SCORES, parts, code_version="1")
        return parts.metadata()["models"].split(", ")

    one = ItemResult("gsm8k", "i", "acc", 1.0, 0.0).as_row() | {"model_version": "1"}
    write(ITEM_RESULTS, "a", [one])
    write(SUITE_ANSWERS, "b", [{"task": "x", "item": "i", "right": True, "model_version": "2"}])
    assert run() == ["m 1", "m 2"] and run() == ["none"]
    write(RULER_ANSWERS, "b", [{"task": "words", "length": 64, "item": "i", "recall": 0.5, "model_version": "2"}])
    assert run() == ["m 2"], "another model's results are no reason"
    rows = lake.read(BENCHMARK_SCORES).scan().select("model_id", "task", "metric").collect()
    assert sorted(rows.rows()) == [
        ("a", "gsm8k", "acc"),
        ("b", "ruler", "recall"),
        ("b", "ruler_words", "recall"),
        ("b", "suite", "right"),
        ("b", "suite_x", "right"),
    ]


def test_the_recipe_says_which_models_are_measured(monkeypatch):
    """Every model is measured in bits per byte; the laptop's recipe asks few of them benchmarks."""
    for name in ("laptop", "nano2"):
        monkeypatch.setattr(results_assets, "current_recipe", lambda name=name: load_recipe(name))
        assert results_assets.measured() == MODELS
    monkeypatch.setattr(assets, "current_recipe", lambda: load_recipe("laptop"))
    assert list(assets.measured(RULER_ANSWERS)) == ["base", "long_context"]
    monkeypatch.setattr(assets, "current_recipe", lambda: load_recipe("nano2"))
    assert list(assets.measured(RULER_ANSWERS)) == ["base", "long_context", "aligned"]
    assert load_recipe("laptop").evaluate.models.suites == ("base", "aligned", "compressed")
    assert set(get_args(ModelTable)) == set(MODELS)
