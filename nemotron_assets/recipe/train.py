"""Numbers of the trainings: how many tokens, batches, learning rate, precision, checkpoints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class TrainingRun(Section):
    """One training: tokens, batches, AdamW, learning rate (Nemotron Nano 2 §2.3-2.5 for the base model)."""

    tokens: int = Field(
        ge=64, description="tokens to train on in all, padding included; decides the number of steps and the schedule"
    )
    batch_sequences: int = Field(ge=1, description="packed sequences per optimizer step, over all devices")
    micro_batch_sequences: int = Field(
        ge=1,
        description="packed sequences per forward pass of one device; fewer need less memory and are slower. Must "
        "divide batch_sequences",
    )
    peak_lr: float = Field(gt=0, lt=1, description="highest learning rate: after the warm-up, until the decay")
    min_lr_ratio: float = Field(ge=0, le=1, description="learning rate of the last step, as a share of peak_lr")
    warmup_share: float = Field(
        ge=0, lt=1, description="share of the tokens during which the learning rate rises to peak_lr"
    )
    decay_share: float = Field(
        ge=0, lt=1, description="share of the tokens, at the end, during which the learning rate falls"
    )
    decay_shape: Literal["linear", "cosine", "minus_sqrt"] = Field(
        description="curve by which the learning rate falls; minus_sqrt falls fastest at first (default; not published)"
    )
    weight_decay: float = Field(ge=0, lt=1, description="AdamW's weight decay of matrices; vectors have none")
    beta1: float = Field(ge=0, lt=1, description="AdamW's beta 1")
    beta2: float = Field(ge=0, lt=1, description="AdamW's beta 2")
    adam_eps: float = Field(gt=0, lt=1e-2, description="AdamW's epsilon (default; not published)")
    grad_clip: float = Field(gt=0, description="largest norm of the gradient; a larger gradient is scaled down to it")
    precision: Literal["fp32", "bf16"] = Field(
        description="precision of the forward and backward pass, and of the stored weights; while training, weights "
        "and optimizer are in fp32"
    )
    recompute: bool = Field(
        description="whether activations are computed again in the backward pass: saves memory, costs time"
    )
    log_every: int = Field(ge=1, description="steps between two rows of models.training_metrics")
    checkpoint_every: int = Field(
        ge=1, description="steps between two checkpoints; an interrupted training goes on from the last one"
    )
    mixed_shards: int = Field(
        16,
        ge=1,
        le=1_024,
        description="token shards of a data set that are read and shuffled together; more mix texts better and need "
        "more memory (default)",
    )
    seed: int = Field(ge=0, description="seed of the initial weights and of the order of the data")

    @model_validator(mode="after")
    def _shares(self) -> TrainingRun:
        if self.warmup_share + self.decay_share > 1:
            raise ValueError(
                f"warmup_share {self.warmup_share} and decay_share {self.decay_share} add up to more than 1"
            )
        if self.batch_sequences % self.micro_batch_sequences:
            raise ValueError(
                f"micro_batch_sequences {self.micro_batch_sequences} does not divide batch_sequences "
                f"{self.batch_sequences}"
            )
        return self


class Train(Section):
    """The trainings, one section per model."""

    base: TrainingRun = Field(description="pretraining of models.base")
