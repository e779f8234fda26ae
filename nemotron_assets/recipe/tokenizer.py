"""Numbers of the tokenizer: where its vocabulary comes from and how large it is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Tokenizer(Section):
    """The vocabulary (Nemotron Nano 2: a byte-level BPE of exactly 2^17 entries, 1,000 of them special tokens)."""

    kind: Literal["bpe", "tekken"] = Field(
        description="bpe: train a byte-level BPE on the texts of the blend; tekken: take Mistral's tekken vocabulary"
    )
    vocabulary: int = Field(
        ge=1_024,
        le=1_048_576,
        description="number of entries, special tokens included; too little training text gives fewer",
    )
    special_tokens: int = Field(
        ge=13, le=1_000, description="first ids, reserved for special tokens; the chat template uses up to 12 of them"
    )
    min_frequency: int = Field(
        ge=1, le=1_000, description="a pair of pieces becomes a new entry only if it occurs at least so often (bpe)"
    )
    max_training_mb: int = Field(
        ge=1, description="most text to train on, in MB of UTF-8; of more text a sample is taken by hash (bpe)"
    )

    @model_validator(mode="after")
    def _room(self) -> Tokenizer:
        if self.vocabulary < self.special_tokens + 256:
            raise ValueError(
                f"vocabulary {self.vocabulary} is too small for {self.special_tokens} special tokens and 256 bytes: "
                f"it needs at least {self.special_tokens + 256}"
            )
        return self
