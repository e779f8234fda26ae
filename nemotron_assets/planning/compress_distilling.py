"""Estimates of the compressed models: their distillations, and what DPO and reinforcement learning take."""

from __future__ import annotations

from collections.abc import Iterator

from nemotron_assets.planning.figures import Value, total
from nemotron_assets.planning.plan import ONE, Estimate, Plan, estimates
from nemotron_assets.planning.pretrain import parameters
from nemotron_assets.recipe.distillation import Compressed, CompressedBase, DistillationStage

_POLICIES = ("grpo", "rlhf")


def _stages(plan: Plan, which: str) -> Iterator[tuple[str, DistillationStage]]:
    """The distillations of a compressed model, with the section of the recipe of each."""
    own: CompressedBase = getattr(plan.recipe.compress, which)
    yield f"compress.{which}.depth", own.depth
    yield from ((f"compress.{which}.width.{name}", stage) for name, stage in own.width.items())
    if isinstance(own, Compressed):
        yield "compress.aligned.recovery", own.recovery


def _tokens(plan: Plan, section: str, stage: DistillationStage) -> Value:
    return plan.value(f"{section}.training.tokens", stage.training.tokens)


def _distilled(plan: Plan, which: str) -> tuple[Value, Value]:
    """Tokens and floating-point operations of all distillations: two per parameter and token of the teacher, and six of
    the student, which is at most as large."""
    tokens = total(_tokens(plan, *stage) for stage in _stages(plan, which))
    return tokens, (2 + 6 * plan.size("compress.student_share", "sample")) * parameters(plan) * tokens


def _spent(plan: Plan, asset: str, rows: Value, tokens: Value, flops: Value, **more: Value) -> Estimate:
    stored = plan.stored(asset, rows) + parameters(plan) * plan.size("models.weights_bytes", "sample")
    made = {"rows": rows, "tokens": tokens, "bytes": stored, "flops": flops, **more}
    if plan.recipe.compress.base.depth.training.precision == "fp32":  # only a CPU trains with this precision
        return Estimate(**made, core_seconds=plan.taking(asset) + flops / plan.rate("cpu.training_flops"))
    seconds = flops / (plan.rate("gpu.flops") * plan.rate("gpu.training_share"))
    return Estimate(**made, core_seconds=plan.taking(asset), gpu_seconds=seconds)


@estimates("models.compressed_base")
def compressed_base(plan: Plan) -> Estimate:
    """All distillations of the base model."""
    return _spent(plan, "models.compressed_base", ONE, *_distilled(plan, "base"))


@estimates("models.compressed")
def compressed(plan: Plan) -> Estimate:
    """All distillations of the aligned model, DPO, and GRPO twice. A token of a rollout is sampled, scored by trainer
    and by the model at the start, and trained on; a token of a pair is read by the reference and trained on."""
    tokens, flops = _distilled(plan, "aligned")
    read, written = _rollout_tokens(plan)
    pairs = _pairs(plan)
    answer = plan.value("compress.aligned.preference.tools.max_output_tokens") * plan.size(
        "align.answer_share", "sample"
    )
    of_pairs = 2 * pairs * (plan.size("align.prompt_tokens", "sample") + answer)
    own = parameters(plan) * plan.size("compress.student_share", "sample")
    flops = flops + own * (12 * (read + written) + 8 * of_pairs)
    return _spent(plan, "models.compressed", ONE, tokens, flops, llm_in=read, llm_out=written)


@estimates("models.compression_steps")
def compression_steps(plan: Plan) -> Estimate:
    """A model per step. The compressed models count their time."""
    steps = sum(1 for which in ("base", "aligned") for _ in _stages(plan, which)) - 1 + 1 + len(_POLICIES)
    rows = plan.value("steps of both compressed models", steps)
    weights = parameters(plan) * plan.size("models.weights_bytes", "sample")
    return Estimate(rows=rows, bytes=plan.stored("models.compression_steps", rows) + rows * weights)


@estimates("compress.preferences")
def preferences(plan: Plan) -> Estimate:
    """A pair for each prompt whose answers differ."""
    rows = _pairs(plan)
    return Estimate(rows=rows, bytes=plan.stored("compress.preferences", rows))


@estimates("compress.rollouts")
def rollouts(plan: Plan) -> Estimate:
    """A row per rollout of both trainings."""
    rows, written = _rollouts(plan), _rollout_tokens(plan)[1]
    stored = plan.stored("compress.rollouts", rows) + written * plan.size("align.rollouts.token_bytes", "sample")
    return Estimate(rows=rows, tokens=written, bytes=stored)


def _pairs(plan: Plan) -> Value:
    own = "compress.aligned.preference"
    kinds = plan.value(f"{own}.tools.prompt_kinds", len(plan.recipe.compress.aligned.preference.tools.prompt_kinds))
    asked = plan.value(f"{own}.tools.prompts") + plan.value(f"{own}.tools.held_out_prompts")
    return plan.value(f"{own}.rounds") * kinds * asked * plan.size("align.preferences.share", "sample")


def _of_policy(plan: Plan, name: str) -> Value:
    own, section = getattr(plan.recipe.compress.aligned, name), f"compress.aligned.{name}"
    sampled = plan.value(f"{section}.steps") * plan.value(f"rollouts of a step of {name}", own.rollouts_per_step)
    return sampled + 2 * plan.value(f"{section}.held_out_prompts")


def _rollouts(plan: Plan) -> Value:
    return total(_of_policy(plan, name) for name in _POLICIES)


def _rollout_tokens(plan: Plan) -> tuple[Value, Value]:
    """Tokens of the prompts and of the answers of all rollouts."""
    read, written = [], []
    for name in _POLICIES:
        section, rows = f"compress.aligned.{name}", _of_policy(plan, name)
        read.append(
            rows * plan.value(f"{section}.max_prompt_tokens") * plan.size("align.rollouts.prompt_share", "sample")
        )
        written.append(rows * plan.value(f"{section}.max_tokens") * plan.size("align.rollouts.answer_share", "sample"))
    return total(read), total(written)


def rows_of_metrics(plan: Plan) -> list[Value]:
    """Rows of metrics of all steps but DPO, which has few."""
    logged = []
    for section, stage in (stage for which in ("base", "aligned") for stage in _stages(plan, which)):
        per_row = stage.training.batch_sequences * stage.sequence_length * stage.training.log_every
        logged.append(_tokens(plan, section, stage) / plan.value(f"tokens of a row of metrics of {section}", per_row))
    return [*logged, *(plan.value(f"compress.aligned.{name}.steps") for name in _POLICIES)]
