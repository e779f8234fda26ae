"""Numbers of the vocabulary."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Tokenizer(Section):
    """The vocabulary (Nemotron Nano 2: a byte-level BPE of exactly 2^17 entries, 1000 of them special tokens)."""

    kind: Literal["bpe", "tekken"] = Field(description="train a byte-level BPE, or take the tekken vocabulary")
    vocabulary: int = Field(ge=1_024, le=1_048_576, description="entries including special tokens")
    special_tokens: int = Field(ge=13, le=1_000, description="reserved first ids; the chat template uses up to 12")
    min_frequency: int = Field(ge=1, le=1_000, description="a pair of pieces must occur this often to be merged")
    max_training_mb: int = Field(ge=1, description="text used for training, in MB of UTF-8; more is sampled by hash")

    @model_validator(mode="after")
    def _room(self) -> Tokenizer:
        if self.vocabulary < self.special_tokens + 256:
            raise ValueError(f"vocabulary {self.vocabulary} has no room for {self.special_tokens} specials + 256 bytes")
        return self
