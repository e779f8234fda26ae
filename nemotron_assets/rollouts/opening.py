"""Makes the policy that the recipe names, for the weights of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.budget import PROCESSOR
from nemotron_assets.chat.budget.automaton import Budget, forced_tokens
from nemotron_assets.chat.budget.tags import Tags
from nemotron_assets.chat.template import END_OF_TURN_ID
from nemotron_assets.recipe.align.rollouts import Rollouts
from nemotron_assets.rollouts.policy import Policy
from nemotron_assets.text.tokenizer import EOS
from resources.endpoint import EngineError

if TYPE_CHECKING:
    from resources.engines import VllmEngine
    from resources.generations import Ledger, Request
    from resources.gpu import Gpu

#: Ids of the tokens that end an answer: the end of a turn, and the end of a text.
ENDS = (END_OF_TURN_ID, EOS)


def open_policy(
    settings: Rollouts, folder: Path, name: str, sha256: str, gpu: Gpu, ledger: Ledger, max_tokens: int
) -> Policy:
    """The policy with the weights in `folder`, a Hugging Face folder whose hash is `sha256` (the columns uri and sha256
    of a table of models). An answer has at most `max_tokens` tokens. Hold `gpu.lock()` while it samples."""
    engine = _engine(settings, folder, name, sha256, gpu)
    return Policy(engine, ledger.generate, max_tokens=max_tokens, temperature=settings.temperature)


def _engine(settings: Rollouts, folder: Path, name: str, sha256: str, gpu: Gpu) -> Any:
    if settings.engine == "vllm":
        own = gpu.model_copy(update={"dtype": settings.dtype, "backend": "vllm"})
        return prepared(own.engine(folder, name, sha256))
    from transformers import AutoTokenizer

    from nemotron_assets.rollouts.transformers_engine import TransformersEngine, load

    model = load(folder, gpu.devices()[0].label, settings.dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return TransformersEngine(model, tokenizer, name, sha256, ENDS, settings.batch, Tags.of(tokenizer, ENDS))


def prepared(engine: VllmEngine) -> VllmEngine:
    """A vLLM engine that ends rollouts at `ENDS` and keeps thinking budgets. Raises `EngineError` if it runs already
    without the processor for budgets."""
    if engine.processors != (PROCESSOR,):
        if engine.started:
            raise EngineError(f"vLLM runs with {engine.name} for other work: release it before rollouts (Gpu.release)")
        engine.processors = (PROCESSOR,)
    engine.ends, engine.forced_of = ENDS, _forced_of(engine)
    return engine


def _forced_of(engine: VllmEngine) -> Callable[[Request, list[int]], list[bool]]:
    """Which tokens of an answer its budget forced, worked out from the tokens."""
    tags: list[Tags] = []

    def forced(request: Request, tokens: list[int]) -> list[bool]:
        if request.sampling.budget is None:
            return [False] * len(tokens)
        if not tags:
            tags.append(Tags.of(engine.tokenizer, ENDS))
        budget = Budget(*request.sampling.budget)
        return forced_tokens(tags[0], budget, request.prompt_ids, tokens, request.sampling.max_tokens)

    return forced
