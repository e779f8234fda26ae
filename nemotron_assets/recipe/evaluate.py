"""Numbers of the evaluation: which benchmarks, how many worked examples, how much held-out text."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.evaluate_suite import BudgetControl, SuiteAnswers
from nemotron_assets.recipe.evaluate_throughput import Throughput
from nemotron_assets.recipe.section import Section

#: The suites, each with a task file in nemotron_assets/evaluate/tasks.
SuiteName = Literal[
    "mmlu", "mmlu_pro", "agieval", "gsm8k", "math", "math_500", "aime24", "aime25", "gpqa", "arc_challenge",
    "hellaswag", "piqa", "winogrande", "openbookqa", "humaneval", "humaneval_plus", "mbpp", "mbpp_plus", "ifeval",
    "global_mmlu_lite", "mgsm", "math_level_5", "livecodebench", "hle", "bfcl_non_live", "bfcl_live",
]  # fmt: skip


class _Sampled(Section):
    @model_validator(mode="after")
    def _runs_differ(self) -> Self:
        if self.temperature == 0 and self.runs > 1:
            raise ValueError(f"runs {self.runs} at temperature 0 would give one answer {self.runs} times: set runs: 1")
        return self


class Task(_Sampled):
    """One benchmark of lm-evaluation-harness, asked without a chat template and with worked examples. Choices are
    compared by their likelihood, whatever the sampling."""

    name: SuiteName = Field(description="name of the suite")
    shots: int = Field(ge=0, le=64, description="worked examples that stand before each question")
    runs: int = Field(
        1, ge=1, le=256, description="written answers to every question (default; published: 32 for code and AIME)"
    )
    temperature: float = Field(
        0.0, ge=0, description="temperature of sampling; 0: the likeliest answer (default; for several runs not found)"
    )
    top_p: float = Field(1.0, gt=0, le=1, description="likeliest tokens with this share are sampled (default: all)")


class ChatTask(_Sampled):
    """One benchmark that chat models are asked in their chat template (Nemotron Nano 2 9B model card: thinking on,
    temperature 0.6, top-p 0.95, 32,768 tokens, 8 runs). An answer whose thought is not closed is wrong."""

    name: SuiteName = Field(description="name of the suite; its task file has a text for chats")
    thinking: bool = Field(True, description="whether the model thinks before it answers (default)")
    runs: int = Field(
        ge=1, le=256, description="answers to every question; the score is the mean over them (published: 8)"
    )
    temperature: float = Field(0.6, ge=0, description="temperature of sampling (published: 0.6); 0 for no sampling")
    top_p: float = Field(0.95, gt=0, le=1, description="likeliest tokens with this share are sampled (published: 0.95)")
    max_output_tokens: int = Field(
        ge=1, le=131_072, description="longest thought with its answer, in tokens (published: 32,768)"
    )


ModelTable = Literal[
    "base", "long_context", "sft_1", "sft_2", "sft_3", "ifeval_rl", "dpo", "rlhf", "aligned", "compressed_base",
    "compressed",
]  # fmt: skip
_MEASURED = "tables of models whose newest models are measured, the first ones made first"


class Measured(Section):
    """Which models each evaluation measures. All models answer the suite."""

    texts: tuple[ModelTable, ...] = Field(min_length=1, description=f"in bits per byte of held-out texts: {_MEASURED}")
    suites: tuple[ModelTable, ...] = Field(description=f"on the benchmarks of `tasks`: {_MEASURED}")
    chat_suites: tuple[ModelTable, ...] = Field(
        (), description=f"on the benchmarks of `chat_tasks`, in their chat template: {_MEASURED}"
    )
    ruler_answers: tuple[ModelTable, ...] = Field(min_length=1, description=f"on RULER: {_MEASURED}")
    throughput: tuple[ModelTable, ...] = Field(
        description=f"in tokens per second, beside a plain Transformer of their size: {_MEASURED}"
    )
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
    chat_tasks: tuple[ChatTask, ...] = Field(
        (), description="benchmarks that chat models are scored on, each named once, as {name: gsm8k, runs: 8, ...}"
    )
    max_items: int | None = Field(
        ge=1, description="most items scored per benchmark, and per subject or language of it; null for all"
    )
    max_output_tokens: int = Field(ge=1, le=32_768, description="longest answer that a model may generate, in tokens")
    max_held_out_documents: int | None = Field(
        ge=1, description="most held-out documents of each kind that bits per byte are measured on; null for all"
    )
    max_held_out_characters: int | None = Field(
        None,
        ge=1,
        description="characters of such a document that are read, from its start; null for whole documents (default). "
        "Many beginnings say more about a kind of text than a few long documents of the same length",
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
    throughput: Throughput
    budget_control: BudgetControl

    @field_validator("tasks", "chat_tasks")
    @classmethod
    def _named_once(cls, tasks: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [task.name for task in tasks]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(doubled)}: name each task once")
        return tasks

    @model_validator(mode="after")
    def _progress(self) -> Evaluate:
        if self.window_overlap >= self.window:
            raise ValueError(f"window_overlap {self.window_overlap} must be less than window {self.window}")
        return self
