"""Numbers of the blend: which categories of text the model is trained on, in which shares, and how texts are packed."""

from __future__ import annotations

import difflib
import math
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.categories import CATEGORIES, CATEGORY_OF, LONG_DOCUMENT_QA
from nemotron_assets.recipe.section import Section

Weight = Annotated[float, Field(ge=0, le=1e6)]


def _known(weights: dict[str, Any]) -> dict[str, Any]:
    for name in weights:
        if name not in CATEGORIES:
            near = difflib.get_close_matches(name, CATEGORIES, 3, 0.5) or list(CATEGORIES)
            raise ValueError(f"{name!r} is not a category of the blend; categories are, for example: {', '.join(near)}")
    return weights


class Phase(Section):
    """A stretch of the pretraining with its own shares of the categories (Nemotron Nano 2 §2.3)."""

    share: float = Field(gt=0, le=1, description="share of all tokens of the training; the phases add up to 1")
    weights: dict[str, Weight] = Field(
        description="tokens of each category, relative to each other: percentages, if they add up to 100. A category "
        "that is not named is not used"
    )
    basis: str = Field(
        description="where the weights are from, for example published, or Nemotron 3 analogue: a published value of "
        "the successor, because the report shows the weights of Nano 2 only as a chart"
    )

    @field_validator("weights")
    @classmethod
    def _categories(cls, weights: dict[str, float]) -> dict[str, float]:
        if not any(_known(weights).values()):
            raise ValueError("the weights of a phase are all 0: give at least one category a weight")
        return weights


class LongContext(Section):
    """The extension to long context: which texts, and how long the sequences are (Nemotron Nano 2 §2.6)."""

    sequence_length: int = Field(
        ge=64,
        le=1_048_576,
        description="tokens in one packed sequence (published: 524,288, 64 times the pretraining's)",
    )
    last_phase_share: float = Field(
        ge=0, lt=1, description="share of the tokens that the categories of the last phase give (published: 0.8)"
    )
    basis: str = Field("published", description="where the shares are from (default)")

    @model_validator(mode="before")
    @classmethod
    def _moved_keys(cls, values: Any) -> Any:
        for name in ("tokens", "batch_sequences"):
            if isinstance(values, dict) and name in values:
                raise ValueError(
                    f"blend.long_context.{name} was moved to train.long_context.{name}, to the other numbers of that "
                    f"training: remove it here, and set `train: {{long_context: {{{name}: {values[name]}}}}}`"
                )
        return values

    def weights(self, last: Phase) -> dict[str, float]:
        """The weights of the categories, from those of the last phase. They add up to 1."""
        total = math.fsum(last.weights.values())
        scaled = {name: weight / total * self.last_phase_share for name, weight in last.weights.items()}
        return scaled | {LONG_DOCUMENT_QA: 1 - self.last_phase_share}


class Blend(Section):
    """What the model is trained on, in which shares, and how it is packed."""

    sequence_length: int = Field(ge=64, le=1_048_576, description="tokens in one packed sequence of the pretraining")
    tokens_per_shard: int = Field(
        ge=1,
        description="tokens in one shard, roughly; documents are packed shard by shard, so that larger shards leave "
        "less padding and need more memory",
    )
    held_out_share: float = Field(
        gt=0,
        lt=0.5,
        description="share of the texts that are never trained on, but kept to measure bits per byte; chosen by a hash "
        "of the page's address, or of the content of files and problems, so that copies stay together",
    )
    phases: dict[str, Phase] = Field(
        min_length=1, description="the phases of the pretraining by name, in their order in time"
    )
    long_context: LongContext
    further_lengths: tuple[Annotated[int, Field(ge=64, le=1_048_576)], ...] = Field(
        (),
        description="further lengths of sequences that texts are packed into, for distillations in stages (published "
        "lengths of these: 8,192, 49,152, 262,144 and 524,288 tokens)",
    )
    max_epochs: float = Field(
        4.0,
        gt=0,
        le=1_000,
        description="passes over the texts of a category, at most, in the whole pretraining. A category that would be "
        "passed over more often gets smaller weights, and the others share what is left (default; not published)",
    )
    max_epochs_of: dict[str, Annotated[float, Field(gt=0, le=1_000)]] = Field(
        {}, description="the same for single categories, in place of max_epochs (default: for no category)"
    )
    left_out: tuple[str, ...] = Field(
        (),
        description="data sets that are not trained on although the lake has them, as "
        "web.nemotron_cc_v2/Translated-Diverse-QA; the others of their category take their place (default: every data "
        "set is trained on)",
    )
    encoder: Literal["gigatoken", "tokenizers"] = Field(
        "gigatoken", description="library that turns text into token ids; both give the same ids (default)"
    )
    sort_memory_mb: int = Field(
        512,
        ge=128,
        description="memory for sorting the documents, in MiB; what does not fit goes to temporary files (default)",
    )
    seed: int = Field(ge=0, description="seed of the order of documents, and of the sequences in a shard")

    @model_validator(mode="before")
    @classmethod
    def _old_keys(cls, values: Any) -> Any:
        if isinstance(values, dict) and "weights" in values:
            raise ValueError(
                "blend.weights, the passes over each table, were replaced by blend.phases, the shares of categories in "
                "each phase of the training: remove blend.weights, and change the weights of categories instead, as "
                "`blend: {phases: {phase-1: {weights: {math: 10}}}}`. blend.max_epochs limits the passes"
            )
        if isinstance(values, dict) and "sequences_per_shard" in values:
            raise ValueError(
                "blend.sequences_per_shard was replaced by blend.tokens_per_shard: multiply it by blend.sequence_length"
            )
        return values

    @field_validator("left_out")
    @classmethod
    def _data_sets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(names) - set(CATEGORY_OF)):
            raise ValueError(f"{unknown[0]} is not a data set of the blend, which are: {', '.join(CATEGORY_OF)}")
        return names

    @field_validator("max_epochs_of")
    @classmethod
    def _limited_categories(cls, limits: dict[str, float]) -> dict[str, float]:
        return _known(limits)

    @model_validator(mode="after")
    def _whole_horizon(self) -> Blend:
        total = math.fsum(phase.share for phase in self.phases.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the phases {', '.join(self.phases)} add up to {total:g} instead of 1")
        return self

    def most_epochs(self, category: str) -> float:
        """The passes over the texts of a category, at most."""
        return self.max_epochs_of.get(category, self.max_epochs)
