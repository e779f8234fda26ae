"""Numbers of the evaluation of chat models: the suite of procedural tasks, and the control of thinking budgets."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section

_MOST_ITEMS = "most held-out items of each task, the first ones; null for all"


class SuiteAnswers(Section):
    """The answers of all stages of the post-training to the held-out items of the suite."""

    max_items: int | None = Field(ge=1, description=_MOST_ITEMS)
    max_output_tokens: int = Field(
        ge=1, le=4_096, description="longest answer that a model may give, in tokens; a longer one is cut, and wrong"
    )


class BudgetControl(Section):
    """Accuracy, form and length of answers against the thinking budget (Nemotron Nano 2, figure 5)."""

    tokens: tuple[Annotated[int, Field(ge=0, le=1_048_576)], ...] = Field(
        min_length=2,
        description="budgets, in tokens of thought, the smallest first; the largest leaves room for a whole thought, "
        "the others count as small",
    )
    grace: int = Field(
        ge=0, description="tokens after the budget in which the thought may end with a line (published: 500)"
    )
    answer_tokens: int = Field(ge=1, le=65_536, description="tokens that are left for the answer after the thought")
    max_items: int | None = Field(ge=1, description=_MOST_ITEMS)

    @field_validator("tokens")
    @classmethod
    def _ascending(cls, tokens: tuple[int, ...]) -> tuple[int, ...]:
        if list(tokens) != sorted(set(tokens)):
            raise ValueError(f"{', '.join(map(str, tokens))}: give every budget once, the smallest first")
        return tokens
