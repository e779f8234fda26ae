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
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.conversation import Message, to_dict
from nemotron_assets.text.tokenizer import CHAT_TEMPLATE

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

#: Closes an assistant's turn. A server and a rollout stop at this token, not at the "</s>" between base documents.
END_OF_TURN, END_OF_TURN_ID = "<SPECIAL_12>", 12
#: How an answer begins in the prompt, with thinking on and off.
THINKING, NOT_THINKING = "<think>\n", "<think></think>"
_MARK = "<SPECIAL_"

Tools = Sequence[dict[str, Any]]


@cache
def source() -> str:
    """The text of the chat template."""
    return CHAT_TEMPLATE.read_text("utf-8")


def render(messages: Sequence[Message], tools: Tools = (), thinking: bool = True) -> str:
    """The text of a prompt up to where the answer begins, which includes the opening of its thought.

    `thinking` counts where no system or user text has /think or /no_think. Raises ValueError for a conversation that
    the template refuses.
    """
    return rendered(messages, tools, thinking, prompt=True)[0]


def prompt_ids(
    tokenizer: Tokenizer | PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Tools = (),
    thinking: bool = True,
) -> list[int]:
    """The tokens of a prompt up to where the answer begins. `render` explains `thinking` and the errors."""
    sign = free_sign(messages, tools)
    return encode(tokenizer, rendered(messages, tools, thinking, prompt=True, sign=sign)[0], sign)


def rendered(
    messages: Sequence[Message], tools: Tools, thinking: bool, *, prompt: bool, sign: str = ""
) -> tuple[str, list[tuple[int, int]]]:
    """(the text, the offsets in characters between which the model writes its last answer).

    With `prompt` the text ends with the opening of the next answer, and there are no offsets. `sign` is put before each
    mark of the template.
    """
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    try:
        texts, written = render_jinja_template(
            [[to_dict(message) for message in messages]],
            tools=list(tools) or None,
            chat_template=source().replace(_MARK, sign + _MARK),
            return_assistant_tokens_mask=not prompt,
            add_generation_prompt=prompt,
            enable_thinking=thinking,
        )
    except TemplateError as error:
        raise ValueError(f"the chat template refuses the conversation: {error}") from error
    return texts[0], [] if prompt else written[0]


def free_sign(messages: Sequence[Message], tools: Tools) -> str:
    """A character of a private-use area that does not occur in the conversation."""
    said = json.dumps([[to_dict(message) for message in messages], list(tools)], ensure_ascii=False)
    return next(sign for number in range(0xE000, 0x110000) if (sign := chr(number)) not in said)


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
