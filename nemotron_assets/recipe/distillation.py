"""Numbers of the distillations: which data, how many tokens, in which sequences, and what follows them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.align.preference import Preference
from nemotron_assets.recipe.align.reinforcement import Grpo
from nemotron_assets.recipe.section import Section
from nemotron_assets.recipe.train import TrainingRun


class DistillationStage(Section):
    """One distillation: forward KL at temperature 1 over the whole vocabulary, on the logits alone (Nemotron Nano 2
    §4.3). `training.tokens` counts every sequence with its full length; sequences are padded to the longest one of a
    forward pass, so fewer tokens are computed."""

    sequence_length: int = Field(
        ge=64,
        description="most tokens of a sequence: a length of blend.sequences (blend.sequence_length, "
        "blend.long_context.sequence_length or one of blend.further_lengths)",
    )
    sft_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the tokens that conversations give (published: 0.7 for the aligned model, 0 for the base "
        "model); the rest is from the pretraining",
    )
    sft: Literal["sft_1", "sft_2", "sft_3"] | None = Field(
        None, description="supervised stage whose sequences are read as conversations; null: none"
    )
    training: TrainingRun

    @model_validator(mode="after")
    def _names_the_conversations(self) -> DistillationStage:
        if (self.sft is None) != (self.sft_share == 0):
            raise ValueError(f"sft is {self.sft} and sft_share {self.sft_share}: give both, or neither")
        return self


class CompressedBase(Section):
    """models.compressed_base: the long-context model, pruned and distilled from itself on texts of the pretraining
    (published: 120B tokens after the depth, 360B after the width, 2.5B with long sequences)."""

    depth: DistillationStage = Field(description="after layers are taken out")
    width: dict[str, DistillationStage] = Field(
        min_length=1, description="after the widths are pruned, one after the other, by name"
    )
    teacher_cache_gb: float = Field(
        0.0,
        ge=0,
        description="most disk space for the teacher's hidden states in a distillation, which is worth it where "
        "sequences are read again; 0: the teacher always computes (default)",
    )


class Compressed(CompressedBase):
    """models.compressed: the aligned model, pruned and distilled from itself, then trained as the report says: DPO,
    GRPO, a short distillation to recover what they cost, RLHF, and the merge of the last two (published: 60B, 50B, 25B,
    1B and 0.4B tokens; the other numbers are not published)."""

    preference: Preference = Field(description="DPO on tool tasks; `preference.preference` is not used")
    grpo: Grpo = Field(description="GRPO against verifiers")
    recovery: DistillationStage = Field(description="the short distillation after DPO and GRPO")
    rlhf: Grpo = Field(description="GRPO against the reward model")
    alpha: float = Field(
        0.5, gt=0, lt=1, description="share of the model of RLHF in the merge with the one before it (published: 0.5)"
    )
