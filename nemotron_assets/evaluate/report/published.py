"""The numbers that NVIDIA published, typed: each group has its source (published.yaml beside this file)."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Benchmark(Section):
    """A benchmark with the published scores of several models."""

    name: str = Field(description="name of the benchmark, with the settings that the source names")
    task: str | None = Field(
        description="name of the same benchmark in evaluate.benchmark_scores; null: not in the lake"
    )
    metric: str | None = Field(None, description="its metric there; null: the first one by name (default)")
    length: int | None = Field(None, description="length of its prompts there; null: it has none (default)")
    scores: tuple[float | None, ...] = Field(description="scores in percent, in the order of the models; null: unknown")


class Scores(Section):
    """Published scores of several models on several benchmarks."""

    source: str = Field(description="where the numbers are from")
    models: tuple[str, ...] = Field(min_length=1, description="names of the models")
    benchmarks: tuple[Benchmark, ...] = Field(min_length=1, description="benchmarks with the scores of these models")

    @model_validator(mode="after")
    def _a_score_per_model(self) -> Scores:
        for one in self.benchmarks:
            if len(one.scores) != len(self.models) or any(s is not None and not 0 <= s <= 100 for s in one.scores):
                raise ValueError(f"{one.name}: give {len(self.models)} scores from 0 to 100, or null: {one.scores}")
        return self


class Listed(Section):
    """A published table of other numbers."""

    source: str = Field(description="where the numbers are from")
    columns: tuple[str, ...] = Field(min_length=2, description="names of the columns")
    rows: tuple[tuple[str | float, ...], ...] = Field(min_length=1, description="rows, with a value per column")

    @model_validator(mode="after")
    def _a_value_per_column(self) -> Listed:
        if wrong := [row for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"{wrong[0]} has not {len(self.columns)} values, one per column")
        return self


class Published(Section):
    """All published numbers that the report shows."""

    base_scores: Scores
    aligned_scores: Scores
    compression: Listed
    candidates: Listed
    throughput: Listed
    ablations: Listed


def published() -> Published:
    """The numbers of published.yaml. Raises pydantic's `ValidationError`, which names what is wrong."""
    return Published.model_validate(yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")))
