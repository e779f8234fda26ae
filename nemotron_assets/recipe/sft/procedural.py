"""Questions that programs make and check: tasks of reasoning-gym, at three difficulties each."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field, JsonValue, model_validator

from nemotron_assets.recipe.section import Section

Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = get_args(Difficulty)


#: Items that a seed has, and the number of different seeds of a split: so many items lie between two seeds.
MOST_ITEMS = 1_000_000
SEEDS = 1_000


class Task(Section):
    """A task of reasoning-gym. Each difficulty has the values of the task's config that differ from its defaults."""

    easy: dict[str, JsonValue] = Field(description="config of easy items, for a model of a few million parameters")
    medium: dict[str, JsonValue] = Field(description="config of items of medium difficulty")
    hard: dict[str, JsonValue] = Field(description="config of hard items")


def _task(easy: dict[str, Any], medium: dict[str, Any], hard: dict[str, Any]) -> Task:
    return Task(easy=easy, medium=medium, hard=hard)


#: Tasks with short questions and answers, cheap items, and a scorer that finds no junk right. Of the tasks with short
#: items, complex_arithmetic is left out (its scorer finds "nan" right), coin_flip (its scorer fails on "1e999"), and
#: time_intervals (its scorer finds "13 days or 7" right for 13 days, and its own answers ignore time zones and are a
#: millisecond short).
_TASKS = {
    "basic_arithmetic": _task(
        {
            "max_terms": 2,
            "max_digits": 1,
            "operators": ["+", "-"],
            "allow_parentheses": False,
            "allow_negation": False,
        },
        {"max_terms": 3, "max_digits": 2, "operators": ["+", "-", "*"], "allow_negation": False},
        {"min_terms": 3, "max_terms": 5, "max_digits": 3},
    ),
    "chain_sum": _task(
        {"max_terms": 2, "max_digits": 1},
        {"max_terms": 3, "max_digits": 2},
        {"min_terms": 3, "max_terms": 5, "min_digits": 2, "allow_negation": True},
    ),
    "decimal_chain_sum": _task(
        {"max_terms": 2, "max_digits": 1, "max_decimal_places": 1},
        {"max_terms": 3, "max_digits": 2, "max_decimal_places": 2},
        {"min_terms": 3, "max_terms": 5, "max_decimal_places": 3},
    ),
    "products": _task(
        {"max_digits": 1}, {"max_digits": 2}, {"min_digits": 2, "max_digits": 4},
    ),
    "count_bits": _task({"max_n": 255}, {"max_n": 65_535}, {"min_n": 65_536}),
    "count_primes": _task({"max_n": 50}, {"max_n": 1_000}, {"max_n": 10_000}),
    "gcd": _task({"max_value": 20}, {"max_value": 200}, {"max_numbers": 3, "max_value": 1_000}),
    "lcm": _task({"max_value": 12}, {"max_value": 50}, {"max_numbers": 3, "max_value": 60}),
    "base_conversion": _task(
        {"max_base": 4, "min_value": 1, "max_value": 63},
        {"max_base": 10, "min_value": 1, "max_value": 255},
        {"max_base": 16, "min_value": 1, "max_value": 4_095},
    ),
    "simple_equations": _task(
        {"max_terms": 2, "max_value": 9},
        {"max_terms": 3, "max_value": 20},
        {"min_terms": 3, "max_terms": 4, "max_value": 100},
    ),
    "number_sequence": _task(
        {"max_complexity": 1, "min_value": -20, "max_value": 20}, {"max_complexity": 2}, {"max_complexity": 3}
    ),
    "letter_counting": _task(
        {"min_words": 2, "max_words": 4}, {"min_words": 5, "max_words": 9}, {"min_words": 10, "max_words": 20}
    ),
    "spell_backward": _task(
        {"min_word_len": 3, "max_word_len": 4},
        {"min_word_len": 5, "max_word_len": 7},
        {"min_word_len": 8, "max_word_len": 10},
    ),
    "word_sequence_reversal": _task(
        {"min_words": 2, "max_words": 3}, {"min_words": 4, "max_words": 6}, {"min_words": 7, "max_words": 10}
    ),
    "caesar_cipher": _task(
        {"min_words": 2, "max_words": 3, "max_rotation": 3},
        {"min_words": 2, "max_words": 4, "max_rotation": 10},
        {"min_words": 4, "max_words": 8},
    ),
    "calendar_arithmetic": _task(
        {"tasks": ["weekday_of_date"]},
        {"tasks": ["weekday_offset", "weekday_of_date"], "offset_upper_bound": 30},
        {"tasks": ["weekday_offset", "weekday_of_date_from_first_date", "recurring_event_day", "count_days"]},
    ),
    "leg_counting": _task(
        {"min_animals": 1, "max_animals": 2, "max_instances": 5},
        {"min_animals": 2, "max_animals": 4, "max_instances": 9},
        {"min_animals": 5, "max_animals": 10},
    ),
    "simple_geometry": _task(
        {"min_sides": 3, "max_sides": 3}, {"min_sides": 4, "max_sides": 4}, {"min_sides": 5, "max_sides": 7}
    ),
}  # fmt: skip


class Procedural(Section):
    """Questions that programs make and check, with their answers. Not part of a published subset."""

    tasks: dict[str, Task] = Field(
        _TASKS,
        min_length=1,
        validate_default=True,
        description="tasks of reasoning-gym that are used, by name (default: tasks with short questions and answers)",
    )
    train_items: int = Field(
        40, ge=1, le=1_000_000, description="items of each task and difficulty that are trained on (default)"
    )
    test_items: int = Field(
        20, ge=1, le=1_000_000, description="items of each task and difficulty that are only scored (default)"
    )
    train_seed: int = Field(
        1_000_000_000,
        ge=0,
        le=3_000_000_000,
        description="first seed of the items that are trained on; each task and difficulty has its own after it "
        "(default)",
    )
    test_seed: int = Field(
        2_000_000_000,
        ge=0,
        le=3_000_000_000,
        description="first seed of the items that are only scored; each task and difficulty has its own after it "
        "(default)",
    )
    tries: int = Field(
        4,
        ge=1,
        le=1_000,
        description="an item whose question was there before is made again with the next index, at most so many times "
        "the number of items; a task with few different questions gets fewer items (default)",
    )
    checked_items: int = Field(
        2,
        ge=1,
        description="items of each task, difficulty and split that the check makes and scores again in a new process "
        "(default)",
    )

    @model_validator(mode="after")
    def _seeds_apart(self) -> Procedural:
        """reasoning-gym makes item i of seed s from the number s + i, so seeds that are close share items."""
        if abs(self.train_seed - self.test_seed) < SEEDS * MOST_ITEMS:
            raise ValueError(
                f"train_seed {self.train_seed} and test_seed {self.test_seed} must be at least {SEEDS * MOST_ITEMS:,} "
                "apart: otherwise items of one split may be items of the other, too"
            )
        return self

    @model_validator(mode="after")
    def _indices_suffice(self) -> Procedural:
        if (most := max(self.train_items, self.test_items) * self.tries) > MOST_ITEMS:
            raise ValueError(f"items * tries is {most:,}, but a seed has at most {MOST_ITEMS:,} items: lower tries")
        return self
