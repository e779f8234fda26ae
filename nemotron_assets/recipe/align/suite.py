"""The suite of small procedural tasks: which tasks, how many items of each, and how long the items are."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section

TaskName = Literal["first_word", "last_word", "copy", "reverse", "count", "max", "sum_1", "sum_2"]
TASKS: tuple[TaskName, ...] = get_args(TaskName)


class SuiteTask(Section):
    """The items of one task."""

    train_items: int = Field(ge=0, le=1_000_000, description="items that are trained on (default)")
    held_out_items: int = Field(ge=0, le=100_000, description="items that are only scored (default)")
    shortest: int = Field(
        2, ge=1, le=64, description="fewest letters or digits of an item; of a sum: fewest numbers (default)"
    )
    longest: int = Field(
        6, ge=1, le=64, description="most letters or digits of an item; of a sum: most numbers (default)"
    )

    @model_validator(mode="after")
    def _lengths_are_in_order(self) -> SuiteTask:
        if self.shortest > self.longest:
            raise ValueError(f"shortest {self.shortest} is more than longest {self.longest}")
        return self


def _default() -> dict[TaskName, SuiteTask]:
    sums = {"sum_1": SuiteTask(train_items=800, held_out_items=80, longest=3),
            "sum_2": SuiteTask(train_items=800, held_out_items=80, longest=2)}  # fmt: skip
    return {name: SuiteTask(train_items=800, held_out_items=80) for name in TASKS if name not in sums} | sums


class Suite(Section):
    """Small procedural tasks with short answers, for models of few million parameters. The letters and digits of an
    item stand apart ("k t b"), so that each is one token."""

    tasks: dict[TaskName, SuiteTask] = Field(
        default_factory=_default,
        min_length=1,
        description="tasks of the suite: first or last word, copy, reverse, count of a letter, largest digit, sums of "
        "numbers with one or two digits (default: all, 880 items each)",
    )
    letters: str = Field(
        "abcdefghijklmnopqrstuvwxyz",
        min_length=4,
        pattern="^[a-z]+$",
        description="letters that items are made of (default)",
    )
    seed: int = Field(42, ge=0, description="seed of the items (default)")

    @model_validator(mode="after")
    def _letters_differ(self) -> Suite:
        if len(set(self.letters)) != len(self.letters):
            raise ValueError(f"letters {self.letters!r} names a letter twice")
        return self
