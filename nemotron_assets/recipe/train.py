"""Numbers of every training: horizon, batch, learning rate, precision."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Training(Section):
    """One training run (Nemotron Nano 2 §2.3-2.5 for the values of the base model)."""

    tokens: int = Field(ge=64, description="horizon, in tokens of packed sequences, padding included")
    batch_sequences: int = Field(ge=1, description="sequences per optimizer step")
    micro_batch_sequences: int = Field(ge=1, description="sequences per forward pass; divides batch_sequences")
    peak_lr: float = Field(gt=0, lt=1, description="learning rate of the stable part")
    min_lr_ratio: float = Field(ge=0, le=1, description="final learning rate as a share of the peak")
    warmup_share: float = Field(ge=0, lt=1, description="share of the tokens spent warming up")
    decay_share: float = Field(ge=0, lt=1, description="share of the tokens spent decaying")
    decay_shape: Literal["linear", "cosine", "minus_sqrt"] = Field(description="curve of the decay (not published)")
    weight_decay: float = Field(ge=0, lt=1, description="AdamW weight decay")
    beta1: float = Field(ge=0, lt=1, description="AdamW beta 1")
    beta2: float = Field(ge=0, lt=1, description="AdamW beta 2")
    adam_eps: float = Field(gt=0, lt=1e-2, description="AdamW epsilon (default; not published)")
    grad_clip: float = Field(gt=0, description="largest gradient norm")
    precision: Literal["fp32", "bf16"] = Field(description="precision of the forward and backward pass")
    recompute: bool = Field(description="compute activations again in the backward pass instead of keeping them")
    log_every: int = Field(ge=1, description="steps between two rows of training metrics")
    checkpoint_every: int = Field(ge=1, description="steps between two checkpoints")
    mixed_shards: int = Field(16, ge=1, le=1_024, description="token shards in memory, shuffled together (default)")
    seed: int = Field(ge=0, description="seed of initial weights and data order")

    @model_validator(mode="after")
    def _shares(self) -> Training:
        if self.warmup_share + self.decay_share > 1:
            raise ValueError("warmup_share and decay_share add up to more than 1")
        if self.batch_sequences % self.micro_batch_sequences:
            raise ValueError("micro_batch_sequences does not divide batch_sequences")
        return self


class Train(Section):
    """The trainings, one section per model."""

    base: Training = Field(description="pretraining of the base model")
