"""Has a model answer prompts in batches and through the generation ledger.

The answers are the same in every run: the likeliest tokens, or draws that follow from the request. What a killed run
has asked for is in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.generations import Completion, Ledger, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.chat.conversation import Message
    from nemotron_assets.chat.template import Tools
    from nemotron_assets.recipe.align.rollouts import Rollouts
    from resources.gpu import Gpu


@dataclass(frozen=True)
class Wanted:
    """One answer that is wanted: a prompt as tokens and text, the most tokens of the answer, and the budget of its
    thought (tokens, grace, room for the answer; None: it has none). `sample` tells several answers to one prompt apart;
    the likeliest token is taken at temperature 0."""

    prompt_ids: tuple[int, ...]
    text: str
    max_tokens: int
    item: str
    budget: tuple[int, int, int] | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    sample: int = 0


class Answering:
    """A model that answers through the ledger. `engine` is one of `nemotron_assets.rollouts`, `purpose` is what the
    ledger stores as the name of the prompts."""

    def __init__(self, engine: Any, ledger: Ledger, purpose: str) -> None:
        self._engine, self._ledger, self._purpose = engine, ledger, purpose

    @classmethod
    def of(
        cls, model: Mapping[str, Any], folder: Path, settings: Rollouts, gpu: Gpu, ledger: Ledger, purpose: str
    ) -> Answering:
        """The model of a row in a table of models, with its weights in `folder`."""
        from nemotron_assets.rollouts.opening import open_policy

        policy = open_policy(settings, folder, model["name"], model["sha256"], gpu, ledger, 1)
        policy.engine.nucleus = True  # the answers train no model
        return cls(policy.engine, ledger, purpose)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers that the model was trained with."""
        return self._engine.tokenizer

    def prompt(
        self, question: str | Sequence[Message], thinking: bool, tools: Tools = ()
    ) -> tuple[tuple[int, ...], str]:
        """A question or a conversation as the model reads it, with the tools that it may call, as tokens and as
        text."""
        from nemotron_assets.chat.conversation import Message
        from nemotron_assets.chat.template import prompt_ids, render

        asked = [Message("user", question)] if isinstance(question, str) else question
        return tuple(prompt_ids(self.tokenizer, asked, tools, thinking)), render(asked, tools, thinking)

    def encode(self, text: str) -> list[int]:
        """The tokens of what the model wrote, special tokens included."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def answers(self, wanted: Iterable[Wanted]) -> Iterator[Completion]:
        """The answers, in order."""

        def request(one: Wanted) -> Request:
            sampling = Sampling(
                one.temperature, one.top_p, one.max_tokens, sampler=self._engine.kind, budget=one.budget
            )
            said, ids = (("rendered", one.text),), one.prompt_ids
            return Request(self._purpose, said, sampling, sample=one.sample, parents=(one.item,), prompt_ids=ids)

        yield from self._ledger.generate(self._engine, map(request, wanted))
