"""From a conversation to the text and the tokens that a model reads, through `chat_template.jinja`.

The template is rendered by transformers, as vLLM and TRL render it. Only the template's own marks become special
tokens: "<SPECIAL_12>" in a user's text stays text, so that nobody can end a turn from inside of it. To tell the two
apart, the template is rendered with a character before each of its own marks that does not occur in the conversation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.conversation import Message, to_dict

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

#: Closes an assistant's turn. A server and a rollout stop at this token, not at the "</s>" between base documents.
END_OF_TURN, END_OF_TURN_ID = "<SPECIAL_12>", 12
TURN_ID = 11  # opens a turn of a user or an assistant
#: How an answer begins in the prompt, with thinking on and off.
THINKING, NOT_THINKING = "<think>\n", "<think></think>"
_MARK = "<SPECIAL_"

Tools = Sequence[dict[str, Any]]


@cache
def source() -> str:
    """The text of the chat template."""
    return Path(__file__).with_name("chat_template.jinja").read_text("utf-8")


def render(messages: Sequence[Message], tools: Tools = (), thinking: bool = True) -> str:
    """The text of a prompt up to where the answer begins, which includes the opening of its thought.

    `thinking` counts where no system or user text has /think or /no_think. Raises ValueError for a conversation that
    the template refuses.
    """
    return _rendered([to_dict(message) for message in messages], tools, enable_thinking=thinking)


def asks_for_thought(prompt: str) -> bool:
    """Whether a rendered prompt leaves the answer to begin with a thought."""
    return not prompt.endswith(NOT_THINKING)


def prompt_ids(
    tokenizer: Tokenizer | PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Tools = (),
    thinking: bool = True,
) -> list[int]:
    """The tokens of a prompt up to where the answer begins. `render` explains `thinking` and the errors."""
    return prompt_from_client(tokenizer, [to_dict(message) for message in messages], tools, enable_thinking=thinking)


def prompt_from_client(
    tokenizer: Tokenizer | PreTrainedTokenizerBase,
    messages: Sequence[dict[str, Any]],
    tools: Tools = (),
    **options: Any,
) -> list[int]:
    """The tokens of a prompt from messages and tools as a client of OpenAI's protocol sends them.

    `options` are those of `apply_chat_template`: enable_thinking, add_generation_prompt, continue_final_message.
    """
    sign = free_sign(messages, tools)
    return encode(tokenizer, _rendered(messages, tools, sign, **options), sign)


def answered(messages: Sequence[Message], tools: Tools, thinking: bool, sign: str) -> tuple[str, str]:
    """(the text of the prompt, the text that a model writes after it) of a conversation that ends with an answer.

    `sign` is put before each mark of the template. Raises ValueError as `render` does.
    """
    said = [to_dict(message) for message in messages]
    options = {"enable_thinking": thinking, "return_assistant_tokens_mask": True}
    (text,), (((start, end),),) = _jinja(said, tools, sign, options)
    return text[:start], text[start:end]


def thinks(messages: Sequence[dict[str, Any]], default: bool = True) -> bool:
    """Whether the answer to a client's messages begins with an open thought."""
    texts = [message.get("content") for message in messages if message.get("role") in ("system", "developer", "user")]
    said = [{"role": "user", "content": _joined(text)} for text in texts]
    return _rendered(said, (), enable_thinking=default).endswith(THINKING)


def free_sign(messages: Sequence[Message | dict[str, Any]], tools: Tools) -> str:
    """A character of a private-use area that does not occur in the conversation."""
    said = [to_dict(message) if isinstance(message, Message) else message for message in messages]
    text = json.dumps([said, list(tools)], ensure_ascii=False)
    return next(sign for number in range(0xE000, 0x110000) if (sign := chr(number)) not in text)


def _rendered(messages: Sequence[dict[str, Any]], tools: Tools, sign: str = "", **options: Any) -> str:
    return _jinja(messages, tools, sign, {"add_generation_prompt": True} | options)[0][0]


def _jinja(messages: Sequence[dict[str, Any]], tools: Tools, sign: str, options: dict[str, Any]) -> Any:
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    template = source().replace(_MARK, sign + _MARK)
    try:
        return render_jinja_template([list(messages)], tools=list(tools) or None, chat_template=template, **options)
    except TemplateError as error:
        raise ValueError(f"the chat template refuses the conversation: {error}") from error


def _joined(content: Any) -> str:
    """The text of a client's message, which may come in parts."""
    parts = content if isinstance(content, list) else [content]
    return "\n".join(part.get("text") or "" if isinstance(part, dict) else part or "" for part in parts)


def encode(tokenizer: Tokenizer | PreTrainedTokenizerBase, text: str, sign: str) -> list[int]:
    """The tokens of a rendered text: marks after `sign` as special tokens, everything else as text.

    Raises ValueError for text that UTF-8 does not have (half of a surrogate pair).
    """
    from tokenizers import Tokenizer

    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the conversation has half of a surrogate pair at {error.start}: take it out") from error
    plain = isinstance(tokenizer, Tokenizer)
    if plain and not tokenizer.encode_special_tokens:
        raise ValueError("load the tokenizer with nemotron_assets.text.tokenizer.load: this one makes marks of text")
    ids: list[int] = []
    for number, piece in enumerate(re.split(f"{sign}({_MARK}[0-9]+>)", text)):
        if number % 2:
            ids.append(tokenizer.token_to_id(piece) if plain else tokenizer.convert_tokens_to_ids(piece))
        elif piece and plain:
            ids += tokenizer.encode(piece, add_special_tokens=False).ids
        elif piece:
            ids += tokenizer(piece, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids
