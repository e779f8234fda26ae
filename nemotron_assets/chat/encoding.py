"""What a training learns from a conversation: rows of tokens, and which of them the assistant wrote.

The template takes the thought, even an empty one, out of every earlier answer. So the prompt of the second answer does
not begin with the row of the first answer, and one row for all of them would show the model texts that it never sees
when it answers. Each answer therefore has a row of its own: its prompt, exactly as inference has it, and the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemotron_assets.chat.conversation import Message, problems
from nemotron_assets.chat.template import Tools, answered, encode, free_sign

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TrainingRow:
    """Tokens of one sequence, and for each whether its prediction counts in the loss."""

    ids: list[int]
    trained: list[bool]


def training_rows(
    tokenizer: Tokenizer | PreTrainedTokenizerBase,
    messages: Sequence[Message],
    tools: Tools = (),
    thinking: bool = True,
    last: int | None = None,
) -> list[TrainingRow]:
    """One row for each answer of the conversation, or for its `last` answers. A row ends with the end-of-turn token.

    Trained are the tokens that the assistant writes: its thought, "</think>", its text and calls, and the end of turn.
    The opening of the thought is in the prompt, so it is not trained. Prompt and answer are split into tokens apart,
    because the model starts to write after the tokens of the prompt. `thinking` is as in `template.render`.

    Raises ValueError for a conversation that has `problems`, or a thought where thinking is off.
    """
    if found := problems(messages):
        raise ValueError(f"the conversation cannot be trained on: {'; '.join(found)}")
    sign = free_sign(messages, tools)
    turns = [number for number, message in enumerate(messages) if message.role == "assistant"]
    rows = []
    for turn in turns[-last:] if last else turns:
        texts = answered(messages[: turn + 1], tools, thinking, sign)
        prompt, answer = (encode(tokenizer, text, sign) for text in texts)
        rows.append(TrainingRow(prompt + answer, [False] * len(prompt) + [True] * len(answer)))
    return rows
