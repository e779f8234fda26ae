"""Numbers of the merge: the shares of the second model that are tried, and the rule that picks one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section


class Merging(Section):
    """The linear merge of the reasoning model and the chat model: (1 - alpha) of the one, alpha of the other (Nemotron
    Nano 2 §3.2: 0.1 to 0.9 in steps of 0.1 were tried, and values near 0.5 were best)."""

    alphas: tuple[float, ...] = Field(min_length=1, description="shares of the chat model that are tried")
    kinds: tuple[Literal["verifiable", "instructions", "tools"], ...] = Field(
        ("verifiable", "instructions", "tools"),
        min_length=1,
        description="kinds of held-out prompts that merges are scored on; kind and domain are a suite (default: all "
        "kinds that a program can score)",
    )
    max_items: int | None = Field(
        None,
        ge=2,
        description="most prompts of a suite: one half chooses the share, and the other half judges it; null: all "
        "(default)",
    )
    max_output_tokens: int = Field(ge=1, description="most tokens of an answer")
    rule: Literal["best_mean", "best_worst"] = Field(
        "best_mean",
        description="which share is used, by the half of the prompts that chooses: best_mean has the highest mean of "
        "the suites' scores; best_worst the highest score on its worst suite. Of equal ones the nearest to 0.5, as "
        "published",
    )

    @field_validator("alphas")
    @classmethod
    def _are_shares_in_order(cls, alphas: tuple[float, ...]) -> tuple[float, ...]:
        if list(alphas) != sorted(set(alphas)) or not all(0 < alpha < 1 for alpha in alphas):
            raise ValueError(f"alphas {list(alphas)} must be different numbers between 0 and 1, in rising order")
        return alphas
