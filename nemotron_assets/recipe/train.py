"""Numbers of the trainings: how many tokens, batches, learning rate, precision, checkpoints."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class Fp8(Section):
    """Matrix products in FP8, when the precision of a training is fp8 (Nemotron Nano 2 §2.4)."""

    scaling: Literal["tensorwise", "rowwise", "blockwise"] = Field(
        "blockwise",
        description="what shares one scale: a tensor; a row or column of a matrix; or, as published, 128 x 128 weights "
        "and 1 x 128 activations. On a GPU, blockwise needs compute capability 9.0",
    )
    bf16_ends: int = Field(
        4,
        ge=0,
        description="the first so many and the last so many matrix products of the layers stay in BF16 (published: 4, "
        "which are two layers at each end); query, key and value are one product",
    )


class Guard(Section):
    """What happens to a batch that would harm the model: its loss or gradient is not a finite number, or is far above
    the losses or gradients of earlier steps. The rule and its numbers come from OLMo's optimizer that skips steps
    (default; Nemotron Nano 2 does not publish such a rule). In one point the rule differs from OLMo's: later batches
    are not compared with a batch that was left out. So if the loss stays high, batch after batch is left out, until
    most_per_1000_steps stops the training."""

    action: Literal["skip", "roll_back"] = Field(
        "skip",
        description="skip: the weights stay as they are, and the next batch is read; roll_back: also, the weights and "
        "the optimizer go back to the last checkpoint. No batch is read twice",
    )
    window: int = Field(128, ge=2, description="number of earlier steps that a loss and a gradient are compared with")
    sigmas: float = Field(
        6.0,
        gt=0,
        description="a loss or a gradient norm is a spike if it is more standard deviations than this above the mean "
        "of the window",
    )
    least_rise: float = Field(
        1.5, ge=1, description="and if it is at least this many times the mean of the window, which may hardly vary"
    )
    most_per_1000_steps: int = Field(
        10, ge=0, description="batches that may be left out within 1,000 steps; one more stops the training"
    )


class TrainingRun(Section):
    """One training: tokens, batches, AdamW, learning rate (Nemotron Nano 2 §2.3-2.5 for the base model)."""

    #: Keys that change how a training is computed, watched or stored, but not which model it makes. A training that was
    #: interrupted may go on with other values of them.
    DO_NOT_DECIDE: ClassVar[frozenset[str]] = frozenset(
        {"micro_batch_sequences", "recompute", "compile", "context_parallel", "log_every"}
        | {"checkpoint_every", "checkpoints_kept", "shard_cache_gb"}
    )

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
    precision: Literal["fp32", "bf16", "fp8"] = Field(
        description="precision of the forward and backward pass, and of the stored weights; while training, weights "
        "and optimizer are in fp32. fp8: bf16, with most matrix products in FP8 (see fp8)"
    )
    fp8: Fp8 = Fp8()
    guard: Guard = Guard()
    recompute: bool = Field(
        description="whether activations are computed again in the backward pass: saves memory, costs time"
    )
    compile: Literal["auto", "always", "never"] = Field(
        "auto", description="whether torch.compile compiles the layers; auto: on GPUs (default)"
    )
    context_parallel: int = Field(
        1,
        ge=1,
        description="devices that share one sequence, each with a slice of it, for sequences that need more memory "
        "than a device has (published for the long context: 16). Must divide the number of devices",
    )
    log_every: int = Field(ge=1, description="steps between two rows of models.training_metrics")
    checkpoint_every: int = Field(
        ge=1, description="steps between two checkpoints; an interrupted training goes on from the last one"
    )
    checkpoints_kept: int = Field(2, ge=1, description="newest checkpoints that are kept while training (default)")
    shard_cache_gb: float = Field(
        64.0,
        gt=0,
        description="most disk space for copies of token shards on this machine, in GB; beyond it, the copy that was "
        "not read for longest is deleted. It should hold mixed_shards shards of every data set, or shards are copied "
        "again and again (default)",
    )
    mixed_shards: int = Field(
        16,
        ge=1,
        le=1_024,
        description="token shards of a data set that are read and shuffled together; more mix texts better and need "
        "more memory (default)",
    )
    seed: int = Field(ge=0, description="seed of the initial weights and of the order of the data")

    def deciding(self) -> dict[str, Any]:
        """The values that decide the weights, by name."""
        return self.model_dump(exclude=set(self.DO_NOT_DECIDE))

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
    long_context: TrainingRun = Field(
        description="models.long_context, which continues models.base with sequences of "
        "blend.long_context.sequence_length tokens (published: 12 sequences per step, 18.9B tokens, and a constant "
        "learning rate, the lowest of the pretraining)"
    )
