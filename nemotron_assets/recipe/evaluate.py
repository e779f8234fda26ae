"""Numbers of the evaluation: which benchmarks, how many worked examples, how much held-out text."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.evaluate_suite import BudgetControl, SuiteAnswers
from nemotron_assets.recipe.section import Section


class Task(Section):
    """One benchmark that models are scored on."""

    name: Literal["arc_challenge", "gsm8k"] = Field(
        description="name of the benchmark, and of its task file in nemotron_assets/evaluate/tasks"
    )
    shots: int = Field(ge=0, le=64, description="worked examples that stand before each question")


ModelTable = Literal["base", "long_context", "sft_1", "sft_2", "sft_3", "ifeval_rl", "dpo", "rlhf", "aligned"]
_MEASURED = "tables of models whose newest models are measured, the first ones made first"


class Measured(Section):
    """Which models each evaluation measures. All models answer the suite."""

    texts: tuple[ModelTable, ...] = Field(min_length=1, description=f"in bits per byte of held-out texts: {_MEASURED}")
    suites: tuple[ModelTable, ...] = Field(description=f"on the benchmarks of `tasks`: {_MEASURED}")
    ruler_answers: tuple[ModelTable, ...] = Field(min_length=1, description=f"on RULER: {_MEASURED}")
    bits_by_position: tuple[ModelTable, ...] = Field(min_length=1, description=f"on long texts: {_MEASURED}")


class Ruler(Section):
    """Questions about long prompts, made from texts of the lake (in the manner of RULER; published: 13 tasks at 131,072
    tokens)."""

    lengths: tuple[Annotated[int, Field(ge=128, le=1_048_576)], ...] = Field(
        min_length=1,
        description="tokens of a prompt and its answer together; a model is asked at the lengths up to the context "
        "that it was trained for",
    )
    items: int = Field(ge=1, description="questions of every task and length")
    max_output_tokens: int = Field(
        ge=16, le=4_096, description="room for an answer, in tokens; a right answer that needs more is an error"
    )
    seed: int = Field(0, ge=0, description="seed of what is hidden and where (default)")
    batch_tokens: int = Field(
        32_768,
        ge=1,
        description="items of one length are asked together, as many as have this number of tokens, and at least one; "
        "more are faster and need more memory (default)",
    )

    @field_validator("lengths")
    @classmethod
    def _ascending(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if list(lengths) != sorted(set(lengths)):
            raise ValueError(f"{', '.join(map(str, lengths))}: give every length once, the shortest first")
        return lengths

    @model_validator(mode="after")
    def _room_for_a_prompt(self) -> Ruler:
        if self.lengths[0] <= self.max_output_tokens:
            raise ValueError(
                f"max_output_tokens {self.max_output_tokens} leaves no room for a prompt in {self.lengths[0]} tokens, "
                "the shortest of lengths"
            )
        return self


class Evaluate(Section):
    """Benchmarks and held-out text that score models (shots: settings of the Nano 2 base model and its successor)."""

    benchmarks: str = Field(description="'sample' (the embedded items), or a folder with the benchmark files")
    tasks: tuple[Task, ...] = Field(
        min_length=1,
        description="benchmarks that models are scored on, each named once, as {name: gsm8k, shots: 8}",
    )
    max_items: int | None = Field(ge=1, description="most items scored per benchmark, the first ones; null for all")
    max_output_tokens: int = Field(ge=1, le=32_768, description="longest answer that a model may generate, in tokens")
    max_held_out_documents: int | None = Field(
        ge=1, description="most held-out documents of each kind that bits per byte are measured on; null for all"
    )
    max_long_documents: int | None = Field(
        ge=1,
        description="most held-out documents of each kind that bits per byte by position are measured on, the longest "
        "ones; documents that are not longer than a sequence of the pretraining are left out; null for all",
    )
    window: int = Field(
        ge=16, le=1_048_576, description="tokens that the model sees at once when bits per byte are measured"
    )
    window_overlap: int = Field(
        ge=0,
        description="tokens of a window that repeat the end of the one before, as context for a long document; fewer "
        "are faster and raise the bits per byte",
    )
    batch_size: int = Field(ge=1, description="sequences per forward pass; more are faster and need more memory")
    models: Measured
    ruler: Ruler
    suite: SuiteAnswers
    budget_control: BudgetControl

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
