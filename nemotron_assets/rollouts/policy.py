"""Asks a model for rollouts through the generation ledger, and keeps the engine's name with each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from resources.generations import Answer, Completion, Request, Sampling

#: The finish reason of an answer that the model ended. Any other answer was cut.
STOP = "stop"

Generate = Callable[[Any, Iterable[Request]], Iterator[Completion]]


class RolloutEngine(Protocol):
    """An engine of the ledger that samples rollouts. `kind` is transformers or vllm. `sha256` tells its weights."""

    kind: str
    name: str
    sha256: str
    template_sha256: str

    def run(self, requests: Iterable[tuple[str, Request]]) -> Iterator[tuple[str, Answer]]:
        """Answer (key, request) pairs in any order."""


@dataclass(frozen=True)
class Ask:
    """One rollout that is wanted.

    - `prompt_ids`: the prompt as tokens (see `chat.template.prompt_ids`); `text`: the same as text, for the ledger.
    - `sample`: the number of the rollout, from 0, where one prompt gets several.
    - `purpose`: what the ledger stores as the name of the prompt, such as ifeval_rl.
    - `parents`: ids of the rows that the prompt comes from.
    - `budget`: the thinking budget: tokens of thought (None: no limit), grace, tokens kept for the answer. Without a
      budget nothing is forced and no tag is banned.
    - `equal_luck`: whether the random numbers follow from the prompt and the sample alone, so that the answers of two
      models differ only where the models do. vLLM draws by itself, and does not know it.
    """

    prompt_ids: tuple[int, ...]
    text: str
    sample: int = 0
    purpose: str = "rollout"
    parents: tuple[str, ...] = ()
    budget: tuple[int | None, int, int] | None = None
    equal_luck: bool = False


@dataclass(frozen=True)
class Rollout:
    """One answer of the policy.

    - `tokens`: with the token that ended it. `logprobs` (nats) and `forced` tell of each token; a forced token has 0.
    - `text`: without the token that ended it.
    - `finish_reason`: stop if the model ended its answer, length if it reached the most tokens.
    - `new`: whether this call generated it; otherwise the ledger had it.
    """

    ask: Ask
    tokens: list[int]
    logprobs: list[float]
    forced: list[bool]
    text: str
    finish_reason: str
    engine: str
    generation_id: str
    new: bool

    @property
    def finished(self) -> bool:
        """Whether the model ended its answer."""
        return self.finish_reason == STOP


class Policy:
    """A model that gives rollouts: an engine with one set of weights, and how it samples.

    `generate` is `Ledger.generate`. A rollout follows from the weights, the prompt, the settings and the number of the
    sample: asking again gives the same one, from the ledger.
    """

    def __init__(
        self,
        engine: RolloutEngine,
        generate: Generate,
        *,
        max_tokens: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
    ) -> None:
        self.engine, self._generate = engine, generate
        self._settings = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens}

    def rollouts(self, asks: Iterable[Ask]) -> Iterator[Rollout]:
        """Yield one rollout per ask, in order."""
        waiting: list[Ask] = []

        def requests() -> Iterator[Request]:
            for ask in asks:
                waiting.append(ask)
                yield self._request(ask)

        for number, found in enumerate(self._generate(self.engine, requests())):
            lists = found.tokens, found.logprobs, found.forced
            yield Rollout(
                waiting[number], *lists, found.text, found.finish_reason, self.engine.kind, found.id, found.new
            )

    def _request(self, ask: Ask) -> Request:
        draws = "prompt" if ask.equal_luck and self.engine.kind == "transformers" else None
        sampling = Sampling(**self._settings, sampler=self.engine.kind, budget=ask.budget, draws=draws)
        messages = (("rendered", ask.text),)
        return Request(
            ask.purpose, messages, sampling, sample=ask.sample, parents=ask.parents, prompt_ids=ask.prompt_ids
        )
