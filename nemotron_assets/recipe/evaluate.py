"""Numbers of the evaluation: which benchmarks, how many worked examples, how much text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.section import Section


class Task(Section):
    """One benchmark that models are scored on."""

    name: Literal["arc_challenge", "gsm8k"] = Field(description="a task file in evaluate/tasks, and its benchmark")
    shots: int = Field(ge=0, le=64, description="worked examples before each question")


class Evaluate(Section):
    """Benchmarks (shots of the Nano 2 base model's published settings and its successor's)."""

    benchmarks: str = Field(description="'sample', or a folder with the benchmark files")
    tasks: tuple[Task, ...] = Field(min_length=1, description="benchmarks that models are scored on, each named once")
    max_items: int | None = Field(ge=1, description="most items per benchmark; null for all")
    max_output_tokens: int = Field(ge=1, le=32_768, description="longest generated answer, in tokens")
    max_held_out_documents: int | None = Field(ge=1, description="documents for bits per byte; null for all")
    window: int = Field(ge=16, le=1_048_576, description="tokens the model sees at once for bits per byte")
    window_overlap: int = Field(ge=0, description="tokens of context carried into the next window of a long document")
    batch_size: int = Field(ge=1, description="sequences per forward pass")

    @field_validator("tasks")
    @classmethod
    def _named_once(cls, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
        names = [task.name for task in tasks]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(doubled)}: name each task once")
        return tasks

    @model_validator(mode="after")
    def _progress(self) -> Evaluate:
        if self.window_overlap >= self.window:
            raise ValueError(f"window_overlap {self.window_overlap} must be less than window {self.window}")
        return self
