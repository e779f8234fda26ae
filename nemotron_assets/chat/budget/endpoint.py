"""The client of two requests against an OpenAI-compatible endpoint (`vllm serve`, SGLang, NIM) without our processor.

    from openai import OpenAI
    client = OpenAI(base_url="http://127.0.0.1:8000/v1", api_key="none")
    answer(client, "nano", tokenizer, [Message("user", "1 + 1?")], Budget(256, 500, 1024), 4096)

The endpoint completes tokens (`/v1/completions`), because only a completion can go on inside a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.budget.automaton import Budget
from nemotron_assets.chat.budget.tags import Tags
from nemotron_assets.chat.budget.two_requests import Answer, Ask, Completion, ask
from nemotron_assets.chat.conversation import Message
from nemotron_assets.chat.template import Tools, prompt_ids

if TYPE_CHECKING:
    from openai import OpenAI


def answer(
    client: OpenAI,
    model: str,
    tokenizer: Any,
    messages: Sequence[Message],
    budget: Budget,
    total: int,
    *,
    tools: Tools = (),
    keep_one_pair: bool = True,
    **sampling: Any,
) -> Answer:
    """The answer of the endpoint's `model` to a conversation, with at most `total` tokens of thought and answer.

    `tokenizer` is the model's, from transformers; `sampling` goes to the endpoint (temperature, top_p, ...). Raises the
    errors of the client (`openai.APIError`), and ValueError for a conversation that the template refuses.
    """
    prompt = prompt_ids(tokenizer, messages, tools)

    def encode(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def complete(request: Ask) -> Completion:
        made = client.completions.create(
            model=model,
            prompt=[*prompt, *encode(request.written)],
            max_tokens=int(request.max_tokens),
            stop=list(request.stops) or None,
            **sampling,
        ).choices[0]
        return Completion(made.text, "length" if made.finish_reason == "length" else "stop")

    return ask(complete, Tags.of(tokenizer), encode, prompt, budget, total, keep_one_pair=keep_one_pair)
