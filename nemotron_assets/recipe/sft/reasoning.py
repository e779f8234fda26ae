"""Fundamental reasoning: questions with options, chains of thought, majority vote (Nemotron Nano 2 §2.3.2)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.sft.inputs import generators
from nemotron_assets.recipe.sft.sampling import Sampled, Vote

#: Kinds of questions, as LSAT has them. Reading is about a given passage.
Kind = Literal["logical", "reading", "analytical"]


class ReasoningKind(Section):
    """Questions of one kind."""

    examples: str = Field(description="set of sft.seeds whose questions the model is shown (published: LSAT, LogiQA, "
                          "AQuA-RAT)")  # fmt: skip
    passages: str | None = Field(
        None,
        description="set of sft.seeds with the passages that questions are about; null: the model writes the facts",
    )
    items: int = Field(ge=0, description="questions asked for, by every generator (default)")


class Reasoning(Section):
    """Fundamental reasoning: questions with options, chains of thought, majority vote."""

    generators: tuple[str, ...] = generators()
    kinds: dict[Kind, ReasoningKind] = Field(description="what is written of each kind: logical, reading, analytical")
    shots: int = Field(2, ge=1, le=16, description="examples shown with every request for a question (default)")
    options: int = Field(4, ge=3, le=10, description="options of a question (default; published seeds have 4 or 5)")
    max_passage_characters: int = Field(
        6_000, ge=100, description="longest passage that a question is asked about, in characters (default)"
    )
    writing: Sampled
    solving: Sampled
    vote: Vote
    batch_questions: int = Field(
        512, ge=1, le=65_536, description="questions that are worked on together; more need more memory (default)"
    )
