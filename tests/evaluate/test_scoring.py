"""Which models are scored, and when a model is scored again. A fake function makes the scores."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.evaluate import scoring
from nemotron_assets.evaluate.harness import Score
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.evaluate.tables import BENCHMARK_SCORES
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import load_recipe
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
def lake(tmp_path, monkeypatch) -> Lakehouse:
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "file").write_text("weights")
    uri, _ = lake.put_weights(tmp_path / "files", "weights")
    store(lake, uri, a=1)

    def score(weights, items, texts, recipe, device):
        assert set(texts) == {scoring.DOCUMENTS}, "there is no code in this lake"
        return [Score("gsm8k", "exact_match", 0.5, None, 0.0, 1, 0)]

    monkeypatch.setattr(scoring, "score", score)
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


def run(lake: Lakehouse, gpu: FakeGpu | None = None) -> list[str]:
    """The models that one run of the asset scores."""
    inputs = scoring.Inputs(*(lake.read(table) for table in (BENCHMARKS, UNIQUE_DOCUMENTS, CURATED)))
    work = scoring.Scoring(inputs, load_recipe("laptop"), lake, gpu or FakeGpu(), "run", lambda line: None)
    lake.write(BENCHMARK_SCORES, work.parts([lake.read(BASE)]), code_version="1")
    return sorted(work.scored)


def scored(lake: Lakehouse) -> list[str]:
    return sorted(lake.read(BENCHMARK_SCORES).scan().collect()["model_id"])


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


def test_scores_that_another_run_stores_meanwhile_stay(lake):
    inputs = scoring.Inputs(*(lake.read(table) for table in (BENCHMARKS, UNIQUE_DOCUMENTS, CURATED)))
    work = scoring.Scoring(inputs, load_recipe("laptop"), lake, FakeGpu(), "run", lambda line: None)
    parts = work.parts([lake.read(BASE)])
    store(lake, uri_of(lake), b=2)
    run(lake)
    lake.write(BENCHMARK_SCORES, parts, code_version="1")
    assert scored(lake) == ["a", "b"]


@pytest.mark.parametrize(("kind", "released"), [("cpu", 0), ("cuda", 1)])
def test_the_kept_language_model_is_closed_before_a_gpu_scores(lake, kind, released):
    gpu = FakeGpu(kind)
    run(lake, gpu)
    assert gpu.released == released
