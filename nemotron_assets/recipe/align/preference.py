"""Numbers of the preference pairs and of DPO: samples per prompt, rounds, the loss, batches, learning rate."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section


class PairSampling(Section):
    """Which prompts a policy answers, and how often, so that its answers can be paired. The section align.rollouts says
    how it is sampled."""

    prompt_kinds: tuple[Literal["verifiable", "instructions", "tools", "preference"], ...] = Field(
        min_length=1, description="kinds of prompts in align.prompts that are asked"
    )
    prompts: int = Field(ge=0, description="most prompts of each kind and of the split train, in a round")
    held_out_prompts: int = Field(
        ge=0, description="most prompts of each kind and of the split held_out, in a round; their pairs are only scored"
    )
    samples: int = Field(ge=2, description="answers that the policy samples per prompt")
    max_output_tokens: int = Field(ge=1, description="most tokens of an answer")
    min_margin: float = Field(
        gt=0, le=1, description="a pair's better answer must have a score at least this much higher (default)"
    )
    reference_positives: bool = Field(
        description="whether the reference answer of a prompt may stand in as the better one where no sample is right; "
        "such a pair says so. A small model is seldom right; the published pairs are samples alone"
    )


class DpoTraining(Section):
    """One round of DPO with TRL's DPOTrainer. Nano 2 publishes no numbers; those of nano2.yaml are of Llama-Nemotron's
    offline preference optimisation, which is the nearest published training."""

    #: Keys that change how a training is computed or stored, but not which model it makes.
    DO_NOT_DECIDE: ClassVar[frozenset[str]] = frozenset(
        {"micro_batch_pairs", "recompute", "log_every", "checkpoint_every", "checkpoints_kept"}
    )

    loss: Literal["sigmoid", "ipo", "sigmoid_norm"] = Field(
        "sigmoid", description="loss of TRL's DPOTrainer: sigmoid is DPO, ipo is IPO, sigmoid_norm counts per token"
    )
    beta: float = Field(gt=0, description="strength of the tie to the policy that the round starts from")
    epochs: float = Field(gt=0, description="how often the pairs of a round are read")
    batch_pairs: int = Field(ge=1, description="pairs per optimizer step, over all devices")
    micro_batch_pairs: int = Field(ge=1, description="pairs per forward pass of one device")
    max_tokens: int = Field(
        ge=16, description="most tokens of a prompt with an answer; a pair with a longer one is left out"
    )
    peak_lr: float = Field(gt=0, lt=1, description="highest learning rate, after the warm-up")
    min_lr_ratio: float = Field(ge=0, le=1, description="learning rate of the last step, as a share of peak_lr")
    warmup_share: float = Field(ge=0, lt=1, description="share of the steps during which the learning rate rises")
    weight_decay: float = Field(ge=0, lt=1, description="AdamW's weight decay")
    beta1: float = Field(ge=0, lt=1, description="AdamW's beta 1")
    beta2: float = Field(ge=0, lt=1, description="AdamW's beta 2")
    adam_eps: float = Field(1e-8, gt=0, lt=1e-2, description="AdamW's epsilon (default)")
    grad_clip: float = Field(gt=0, description="largest norm of the gradient")
    precision: Literal["fp32", "bf16"] = Field(
        description="precision of the forward and backward pass, and of the stored weights"
    )
    recompute: bool = Field(description="whether activations are computed again in the backward pass")
    log_every: int = Field(ge=1, description="steps between two rows of models.training_metrics")
    checkpoint_every: int = Field(ge=1, description="steps between two checkpoints")
    checkpoints_kept: int = Field(2, ge=1, description="newest checkpoints that are kept while training (default)")
    seed: int = Field(ge=0, description="seed of the order of the pairs")

    def steps(self, pairs: int) -> int:
        """The optimizer steps of a round with so many pairs to train on, at least one."""
        return max(1, math.ceil(pairs * self.epochs / self.batch_pairs))

    def deciding(self) -> dict[str, Any]:
        """The values that decide the weights, by name."""
        return self.model_dump(exclude=set(self.DO_NOT_DECIDE))

    @model_validator(mode="after")
    def _micro_batches_fit(self) -> DpoTraining:
        if self.batch_pairs % self.micro_batch_pairs:
            raise ValueError(
                f"micro_batch_pairs {self.micro_batch_pairs} does not divide batch_pairs {self.batch_pairs}"
            )
        return self


class Preference(Section):
    """On-policy preference pairs, and DPO on tool tasks in rounds (Nemotron Nano 2 §3.2): the pairs of a round are
    answers of the policy that the round before has made."""

    rounds: int = Field(ge=1, description="rounds of sampling and training (published: iterative, without a number)")
    tools: PairSampling = Field(description="pairs of tool tasks; the final state of the simulated tools decides")
    preference: PairSampling = Field(
        description="pairs for the reward model (published: contexts of HelpSteer3, judged by people); the policy of "
        "the last round answers, and verifiers decide"
    )
    dpo: DpoTraining = Field(description="training of a round")
