"""What asking a language model takes: tokens in and out, and the time of cores or GPUs, or the fees of an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nemotron_assets.planning import sources
from nemotron_assets.planning.figures import Unknown, Value, total
from nemotron_assets.planning.plan import ONE, Estimate, Plan
from nemotron_assets.planning.sources import rate, rates


@dataclass(frozen=True)
class Asked:
    """Requests to a language model.

    `asked` and `answered` are the tokens of one request and of one answer on average, `longest` those of the longest
    answer of a batch. `rounds` is how many batches follow one another in a step because each needs the one before.
    `model` is the language model, if it is another one than that of `llm`.
    """

    requests: Value
    asked: Value
    answered: Value
    longest: Value | None = None
    rounds: Value = ONE
    model: str | None = None


def together(batches: list[Asked]) -> Asked:
    """Requests of several kinds that are asked in the same batches."""
    requests = total(batch.requests for batch in batches)
    asked = total(batch.requests * batch.asked for batch in batches) / requests
    answered = total(batch.requests * batch.answered for batch in batches) / requests
    longest = answered
    for batch in batches:
        longest = longest.at_least(batch.answered if batch.longest is None else batch.longest)
    return Asked(requests, asked, answered, longest)


def writing(plan: Plan, asset: str, asked: list[Asked], **more: Any) -> Estimate:
    """The estimate of an asset that asks language models, from its requests and what else is known of it (`rows`,
    `tokens`, `by_part`, and `core_seconds` of its other work)."""
    llm_in = total(batch.requests * batch.asked for batch in asked)
    llm_out = total(batch.requests * batch.answered for batch in asked)
    core = more.pop("core_seconds", None)
    core = plan.taking(asset) if core is None else core
    if plan.recipe.llm.engine == "openai":
        return Estimate(llm_in=llm_in, llm_out=llm_out, core_seconds=core, fees=_fees(plan, llm_in, llm_out), **more)
    cores, gpus = [], []
    for batch in asked:
        model = model_of(plan, batch.model)
        if model == "embedded":
            cores.append(_on_cores(plan, asset, batch))
        else:
            gpus.append(on_gpus(model, batch.requests * batch.asked, batch.requests * batch.answered))
    some = total(batch.requests for batch in asked).up_to(1.0)  # without requests no engine starts
    core = total([core, *cores, rate("engine.start") * some if cores else None])
    seconds = total(gpus) if gpus else None
    return Estimate(llm_in=llm_in, llm_out=llm_out, core_seconds=core, gpu_seconds=seconds, **more)


def model_of(plan: Plan, name: str | None) -> str:
    """A language model by the name that the recipe gives it: "generator" and None are the model of `llm`."""
    return plan.recipe.llm.model if name in (None, "generator") else name


def _fees(plan: Plan, llm_in: Value, llm_out: Value) -> Value:
    llm = plan.recipe.llm
    if llm.prompt_price is None or llm.output_price is None:
        return Unknown("fees of the endpoint: the recipe has no llm.prompt_price and llm.output_price")
    prices = plan.value("llm.prompt_price"), plan.value("llm.output_price")
    return llm_in * (prices[0] / 1e6) + llm_out * (prices[1] / 1e6)


def _on_cores(plan: Plan, asset: str, batch: Asked) -> Value:
    """Seconds of the embedded model on one core. The engine decodes all sequences of a batch step by step; a step takes
    a fixed time and a time per sequence."""
    steps = plan.steps(asset) * batch.rounds
    each, most = batch.requests / steps, plan.value("llm.max_num_seqs")
    longest = batch.answered if batch.longest is None else batch.longest
    tokens = (each * batch.answered / most).at_least(longest)  # a sequence that ends makes room for the next one
    step = rate("embedded.decode_step") + each.up_to(most) * rate("embedded.decode_sequence")
    batches = steps * each.up_to(1.0)  # a step without requests decodes nothing
    return batches * tokens * step + batch.requests * batch.asked / rate("embedded.read")


def on_gpus(model: str, llm_in: Value, llm_out: Value) -> Value:
    """Seconds of one GPU, from the model's active parameters and the share of the GPU's peak that inference reaches."""
    known_models = rates()["models"]
    if model not in known_models:
        return Unknown(f"GPU time of {model}: benchmarks/rates.yaml has no entry for it under models")
    active = sources.size_of_model(model)
    peak = rate("gpu.flops")
    reading = 2 * active * llm_in / (peak * rate("gpu.reading_share"))
    return reading + 2 * active * llm_out / (peak * rate("gpu.writing_share"))
