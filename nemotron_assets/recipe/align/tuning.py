"""Numbers of the supervised stages: what each reads of the conversations, in which sequences, and its training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.train import TrainingRun

#: Kinds of conversations, as in the column `variant` of align.conversations.
VARIANTS = ("full", "no_think", "truncated", "concatenated")


class Chosen(Section):
    """Which conversations a stage reads, and how often."""

    variants: dict[str, float] = Field(
        description="share of the conversations of each variant, 0 to 1; their ids decide which. A variant that is not "
        "named is not read"
    )
    domains: dict[str, float] = Field(
        {},
        description="share of a domain instead, for the variants that are named (published for stage 2: all of tools, "
        "and a representative part of the other domains)",
    )
    weights: dict[str, float] = Field(
        {},
        description="shares of the sequences of a step by domain, relative to each other; empty: every sequence is "
        "read equally often (default; the sampling across domains is not published)",
    )

    @field_validator("variants", "domains")
    @classmethod
    def _shares(cls, shares: dict[str, float]) -> dict[str, float]:
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} has the share {share}: a share is between 0 and 1")
        return shares

    @field_validator("variants")
    @classmethod
    def _known(cls, variants: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(variants) - set(VARIANTS)):
            raise ValueError(f"{unknown[0]!r} is not a variant of conversations, which are: {', '.join(VARIANTS)}")
        return variants


class Stage(Section):
    """One supervised stage (Nemotron Nano 2 §3.2).

    `training.tokens` counts every sequence with its full length, as the published scripts do. Sequences are padded to
    the longest one of a forward pass, so most stages compute fewer tokens.
    """

    sequence_length: int = Field(ge=64, description="most tokens of a sequence; a longer conversation is left out")
    packed: bool = Field(
        description="whether conversations are packed into sequences (stages 1 and 3), none of which sees another, or "
        "each is a sequence of its own (stage 2)"
    )
    chosen: Chosen
    training: TrainingRun


class Replay(Section):
    """Texts of the pretraining that the stages may read beside the conversations, as the domain replay."""

    share: float = Field(gt=0, le=1, description="share of the documents of blend.token_shards; their ids decide which")
    tokens: int = Field(
        ge=16, description="tokens of a document that are read, from a random place; a stage leaves out longer rows"
    )


class Tuning(Section):
    """The supervised stages: models.sft_1, models.sft_2 and models.sft_3, each of which continues the one before."""

    sft_1: Stage = Field(description="all conversations, with the copies without a thought")
    sft_2: Stage = Field(description="all conversations with tools, and a part of the others")
    sft_3: Stage = Field(description="long conversations, and conversations whose thought is cut")
    without_truncated: bool = Field(
        description="whether stage 3 is also trained with the whole thoughts in the place of the cut ones, for the "
        "comparison of thinking budgets"
    )
    distilled_lengths: dict[Literal["sft_1", "sft_2", "sft_3"], tuple[Annotated[int, Field(ge=64)], ...]] = Field(
        {},
        description="further sequences for distillations: the conversations of a stage, packed to these lengths "
        "(published: 8,192, 49,152 and 262,144 tokens)",
    )
    replay: Replay | None = Field(
        None,
        description="texts of the pretraining, so that a stage forgets less of them; chosen.weights says how many a "
        "stage reads. null: no texts (default; published: no text beside the conversations is named)",
    )
    tokens_per_shard: int = Field(
        ge=1_000, description="tokens of conversations that are tokenised and packed together (default)"
    )
    concatenated_answers: int = Field(
        1,
        ge=1,
        description="last answers of a concatenated conversation that are trained; the earlier ones are trained in "
        "their own conversations (default)",
    )
    sort_memory_mb: int = Field(256, ge=1, description="memory to put conversations in the order of a hash (default)")
    seed: int = Field(42, ge=0, description="seed of the choice and the packing of conversations (default)")
    least_end_of_turn: float = Field(
        ge=0,
        le=1,
        description="mean probability that a tuned model must give the end-of-turn token at the ends of answers that "
        "it was not trained on; a lower mean fails a check (default)",
    )
    held_out_share: float = Field(
        0.02,
        ge=0,
        lt=1,
        description="share of the conversations that no stage reads: the end of turns is measured on them (default)",
    )

    def stages(self) -> dict[str, Stage]:
        """The stages by name, in their order."""
        return {"sft_1": self.sft_1, "sft_2": self.sft_2, "sft_3": self.sft_3}
