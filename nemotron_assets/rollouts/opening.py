"""Makes the policy that the recipe names, for the weights of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.template import END_OF_TURN_ID
from nemotron_assets.recipe.align.rollouts import Rollouts
from nemotron_assets.rollouts.policy import Policy
from nemotron_assets.text.tokenizer import EOS

if TYPE_CHECKING:
    from resources.generations import Ledger
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
        return with_ends(own.engine(folder, name, sha256))
    from transformers import AutoTokenizer

    from nemotron_assets.chat.budget.tags import Tags
    from nemotron_assets.rollouts.transformers_engine import TransformersEngine, load

    model = load(folder, gpu.devices()[0].label, settings.dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return TransformersEngine(model, tokenizer, name, sha256, ENDS, settings.batch, Tags.of(tokenizer))


def with_ends(engine: Any, ends: Iterable[int] = ENDS) -> Any:
    """A vLLM engine that ends rollouts at these tokens."""
    engine.ends = tuple(ends)
    return engine
