"""Numbers of the reinforcement learning: IFEval-RL, the reward model, and RLHF.

Nano 2 publishes none of them (recipe of the report, section 3.2, names the stages only). Values of nano2.yaml are those
of the nearest published trainings: Megatron-LM's GRPO configuration for this model, and Llama-Nemotron.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from nemotron_assets.recipe.section import Section

Kind = Literal["verifiable", "instructions", "tools", "preference"]


class Updates(Section):
    """The optimizer steps of a training with TRL: AdamW, learning rate, precision, checkpoints."""

    #: Keys that change how a training is computed or stored, but not which model it makes.
    DO_NOT_DECIDE: ClassVar[frozenset[str]] = frozenset({"recompute", "log_every", "checkpoint_every"})

    peak_lr: float = Field(gt=0, lt=1, description="highest learning rate, after the warm-up")
    min_lr_ratio: float = Field(0.1, ge=0, le=1, description="learning rate of the last step, as a share of peak_lr")
    warmup_share: float = Field(
        0.0, ge=0, lt=1, description="share of the steps during which the learning rate rises (default)"
    )
    weight_decay: float = Field(0.0, ge=0, lt=1, description="AdamW's weight decay (default)")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's beta 1")
    beta2: float = Field(0.98, ge=0, lt=1, description="AdamW's beta 2")
    adam_eps: float = Field(1e-8, gt=0, lt=1e-2, description="AdamW's epsilon (default)")
    grad_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    precision: Literal["fp32", "bf16"] = Field(
        description="precision of the forward and backward pass, and of the stored weights"
    )
    recompute: bool = Field(description="whether activations are computed again in the backward pass")
    log_every: int = Field(1, ge=1, description="steps between two rows of models.training_metrics")
    checkpoint_every: int = Field(ge=1, description="steps between two checkpoints")
    checkpoints_kept: int = Field(2, ge=1, description="newest checkpoints that are kept while training (default)")
    seed: int = Field(0, ge=0, description="seed of the order of the data")

    def deciding(self) -> dict[str, Any]:
        """The values that decide the weights, by name."""
        return self.model_dump(exclude=set(self.DO_NOT_DECIDE))


class ThinkingBudget(Section):
    """How long a rollout may think (Nemotron Nano 2 §3.4). Forced tokens are not trained on."""

    tokens: int | None = Field(ge=0, description="tokens of thought; null: only the room for the answer is kept")
    grace: int = Field(500, ge=0, description="tokens more to find a newline")
    answer_room: int = Field(ge=0, description="tokens of the answer's length that are kept for what follows it")


class PassRates(Section):
    """Which prompts are trained on, by how often the model at the start is right. Prompts that it always or never
    answers rightly give a group of equal rewards, from which nothing is learned."""

    prompts: int = Field(ge=1, description="prompts that are asked before the first step")
    samples: int = Field(ge=2, description="answers to each")
    above: float = Field(
        0.0, ge=0, lt=1, description="a prompt is left out unless more than this share is right (default)"
    )
    below: float = Field(
        0.75,
        gt=0,
        le=1,
        description="and unless less than this share is right (analogue: prompts with a pass rate of 0.75 or more were "
        "dropped for Llama-Nemotron Ultra)",
    )


class Grpo(Updates):
    """Group relative policy optimisation (DeepSeekMath, arXiv:2402.03300) on rollouts of the current weights."""

    DO_NOT_DECIDE: ClassVar[frozenset[str]] = Updates.DO_NOT_DECIDE | {"micro_batch"}

    steps: int = Field(ge=1, description="optimizer steps; each has rollouts of its own")
    prompts_per_step: int = Field(ge=1, description="prompts of a step")
    group: int = Field(ge=2, description="rollouts of a prompt, whose rewards are compared with each other")
    micro_batch: int = Field(ge=1, description="rollouts in a forward and backward pass of a device")
    prompts: dict[str, float] = Field(
        min_length=1,
        description="prompts of align.prompts by their kind, or by kind and domain (verifiable/suite), and their "
        "shares of the prompts, as weights. A domain that is named does not count for its kind",
    )
    pass_rates: PassRates | None = Field(
        None, description="prompts are chosen by how often the model at the start is right; null: all are trained on"
    )
    max_prompt_tokens: int = Field(ge=1, description="a longer prompt is left out")
    max_tokens: int = Field(
        ge=1, description="most tokens of a rollout; a longer one is cut, and verifiers find a cut answer wrong"
    )
    both_ways: bool = Field(
        False,
        description="whether half of the prompts are asked without thinking (published for RLHF: responses with and "
        "without thinking); otherwise the prompt's text decides",
    )
    budget: ThinkingBudget | None = Field(None, description="thinking budget of the rollouts; null: none")
    clip_low: float = Field(0.2, gt=0, lt=1, description="the ratio of probabilities is clipped below 1 minus this")
    clip_high: float = Field(0.28, gt=0, description="and above 1 plus this")
    kl: float = Field(0.0, ge=0, description="weight of the KL divergence from the weights at the start, in the loss")
    loss: Literal["grpo", "dapo", "dr_grpo"] = Field(
        "grpo",
        description="what the loss is averaged over: grpo: tokens of a rollout, then rollouts; dapo: all tokens of a "
        "step; dr_grpo: a constant length (default)",
    )
    scale: Literal["group", "batch", "none"] = Field(
        "group", description="whose standard deviation divides the advantages (default: the group's, as in the paper)"
    )
    held_out_prompts: int = Field(
        ge=0,
        description="most held-out prompts, in the same shares, that are answered before and after the training, to "
        "measure it",
    )
    held_out_samples: int = Field(
        1, ge=1, description="answers to each of them; their mean reward is compared (default)"
    )
    most_errors: float = Field(
        0.05, ge=0, le=1, description="share of a step's rollouts whose grading may fail; above it the training stops"
    )
    most_disagreement: float = Field(
        gt=0,
        description="mean difference of a token's log-probability (nats) between the engine that sampled it and the "
        "trainer, above which a check fails",
    )

    @property
    def rollouts_per_step(self) -> int:
        """The rollouts of a step."""
        return self.prompts_per_step * self.group

    @model_validator(mode="after")
    def _fits(self) -> Grpo:
        if self.rollouts_per_step % self.micro_batch:
            raise ValueError(
                f"micro_batch {self.micro_batch} does not divide the {self.rollouts_per_step} rollouts of a step "
                "(prompts_per_step x group)"
            )
        if self.budget and self.budget.answer_room >= self.max_tokens:
            raise ValueError(
                f"budget.answer_room {self.budget.answer_room} keeps all of the {self.max_tokens} tokens of a rollout "
                "(max_tokens), so no rollout could think: lower it, or raise max_tokens"
            )
        if unknown := [name for name in self.prompts if name.partition("/")[0] not in get_args(Kind)]:
            raise ValueError(f"{unknown[0]!r} is no kind of prompts: use {', '.join(get_args(Kind))}, or kind/domain")
        if min(self.prompts.values()) < 0 or not sum(self.prompts.values()):
            raise ValueError(f"the shares of prompts are {self.prompts}: give weights of 0 or more, not all 0")
        return self


class RewardTraining(Updates):
    """The reward model: a scalar head on the model, trained on pairs of answers (Bradley-Terry)."""

    DO_NOT_DECIDE: ClassVar[frozenset[str]] = Updates.DO_NOT_DECIDE | {"micro_batch"}

    epochs: float = Field(gt=0, description="how often the pairs are read")
    batch_pairs: int = Field(ge=1, description="pairs of a step")
    micro_batch: int = Field(ge=1, description="pairs in a forward and backward pass of a device")
    max_tokens: int = Field(ge=16, description="most tokens of a prompt with its answer; a longer pair is left out")

    @model_validator(mode="after")
    def _fits(self) -> RewardTraining:
        if self.batch_pairs % self.micro_batch:
            raise ValueError(f"micro_batch {self.micro_batch} does not divide batch_pairs {self.batch_pairs}")
        return self


class Reinforcement(Section):
    """Reinforcement learning from verifiers and from a reward model (Nemotron Nano 2 §3.2)."""

    ifeval_rl: Grpo = Field(
        description="models.ifeval_rl: instructions with rule verifiers (published: 16,000 prompts), and prompts whose "
        "answer a program can check"
    )
    reward_model: RewardTraining = Field(description="models.reward_model, from preference pairs")
    rlhf: Grpo = Field(
        description="models.rlhf: against the reward model (published: English contexts of HelpSteer3, GRPO, responses "
        "with and without thinking)"
    )
