"""The policy of the model that trains, by the engine that the recipe names, always with the current weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.recipe.align.rollouts import Rollouts
from nemotron_assets.rollouts.opening import ENDS, prepared
from nemotron_assets.rollouts.policy import Policy
from nemotron_assets.rollouts.transformers_engine import TransformersEngine, weights_sha256

if TYPE_CHECKING:
    from transformers import NemotronHForCausalLM, PreTrainedTokenizerBase

    from nemotron_assets.chat.budget.tags import Tags
    from resources.generations import Ledger
    from resources.gpu import Gpu


def of_transformers(
    settings: Rollouts, name: str, tokenizer: PreTrainedTokenizerBase, tags: Tags, ledger: Ledger, max_tokens: int
) -> Callable[[NemotronHForCausalLM], Policy]:
    """Samples with the weights that train themselves: no copy of them can be stale."""

    def policy(model: NemotronHForCausalLM) -> Policy:
        engine = TransformersEngine(model, tokenizer, name, weights_sha256(model), ENDS, settings.batch, tags)
        return Policy(engine, ledger.generate, max_tokens=max_tokens, temperature=settings.temperature)

    return policy


def of_vllm(
    settings: Rollouts, name: str, start: Path, folder: Path, gpu: Gpu, ledger: Ledger, max_tokens: int
) -> Callable[[NemotronHForCausalLM], Policy]:
    """Samples with vLLM in this process. The current weights are written into `folder`, and vLLM reads them from there;
    their hash is that of the files, so a rollout with other weights has another key. `start` has the tokenizer."""
    import torch

    from nemotron_assets.model import export

    engine: Any = None

    def policy(model: NemotronHForCausalLM) -> Policy:
        nonlocal engine
        weights = {key: value.detach().cpu() for key, value in model.named_parameters()}
        export.save(folder, model.config, weights, getattr(torch, settings.dtype))
        export.add_tokenizer(folder, start)
        if engine is None:
            own = gpu.model_copy(update={"dtype": settings.dtype, "backend": "vllm"})
            engine = prepared(own.engine(folder, name))
        else:
            engine.reload(folder)
        return Policy(engine, ledger.generate, max_tokens=max_tokens, temperature=settings.temperature)

    return policy
