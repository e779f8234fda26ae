"""Estimates of the reinforcement learning: rollouts, two policies, and the reward model."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import parameters
from nemotron_assets.recipe.align.reinforcement import Grpo

_POLICIES = ("ifeval_rl", "rlhf")


def _rollouts(plan: Plan, name: str) -> Value:
    """Rollouts of a training, with those of the held-out prompts before and after it, and those that choose prompts."""
    own: Grpo = getattr(plan.recipe.align.reinforcement, name)
    section = f"align.reinforcement.{name}"
    of_step = plan.value(f"rollouts of a step of {name}", own.rollouts_per_step)
    chosen = own.pass_rates.prompts * own.pass_rates.samples if own.pass_rates else 0
    others = 2 * own.held_out_prompts * own.held_out_samples + chosen
    return plan.value(f"{section}.steps") * of_step + plan.value(f"other rollouts of {name}", others)


def _tokens(plan: Plan, name: str) -> tuple[Value, Value]:
    """Tokens of the prompts and of the answers of a training's rollouts."""
    section, rollouts = f"align.reinforcement.{name}", _rollouts(plan, name)
    read = plan.value(f"{section}.max_prompt_tokens") * plan.size("align.rollouts.prompt_share", "sample")
    written = plan.value(f"{section}.max_tokens") * plan.size("align.rollouts.answer_share", "sample")
    return rollouts * read, rollouts * written


def _policy(name: str) -> None:
    """Register the estimator of a policy. A token of a rollout is sampled (2 operations per parameter), scored by the
    trainer and by the model at the start (2 each), and trained on (6)."""

    @estimates(f"models.{name}")
    def estimate(plan: Plan) -> Estimate:
        read, written = _tokens(plan, name)
        flops = 12 * parameters(plan) * (read + written)
        return _trained(plan, name, read + written, flops, llm_in=read, llm_out=written)


for _name in _POLICIES:
    _policy(_name)


@estimates("models.reward_model")
def reward_model(plan: Plan) -> Estimate:
    """Each pair is two rows of tokens, which are read in every epoch."""
    section = "align.reinforcement.reward_model"
    pairs = plan.of("align.preferences").rows * plan.value(f"{section}.epochs")
    tokens = 2 * pairs * plan.value(f"{section}.max_tokens") * plan.size("align.rollouts.prompt_share", "sample")
    return _trained(plan, "reward_model", tokens, 6 * parameters(plan) * tokens)


def _trained(plan: Plan, name: str, tokens: Value, flops: Value, **more: Value) -> Estimate:
    asset = f"models.{name}"
    stored = plan.stored(asset, ONE) + parameters(plan) * plan.size("models.weights_bytes", "sample")
    made = {"rows": ONE, "tokens": tokens, "bytes": stored, "flops": flops, **more}
    if plan.recipe.section(f"align.reinforcement.{name}").precision == "fp32":  # only a CPU trains with this precision
        return Estimate(**made, core_seconds=plan.taking(asset) + flops / plan.rate("cpu.training_flops"))
    seconds = flops / (plan.rate("gpu.flops") * plan.rate("gpu.training_share"))
    return Estimate(**made, core_seconds=plan.taking(asset), gpu_seconds=seconds)


@estimates("align.rollouts")
def rollouts(plan: Plan) -> Estimate:
    """A row per rollout of both trainings. The trainings count their time."""
    rows = _rollouts(plan, "ifeval_rl") + _rollouts(plan, "rlhf")
    tokens = _tokens(plan, "ifeval_rl")[1] + _tokens(plan, "rlhf")[1]
    stored = plan.stored("align.rollouts", rows) + tokens * plan.size("align.rollouts.token_bytes", "sample")
    return Estimate(rows=rows, tokens=tokens, bytes=stored)


def rows_of_metrics(plan: Plan) -> list[Value]:
    """Rows of metrics of the two policies. The reward model has few."""
    return [plan.value(f"align.reinforcement.{name}.steps") for name in _POLICIES]
