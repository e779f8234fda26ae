"""A conversation: messages of a system, a user, an assistant and tools, and how a table stores it as JSON.

The stored form is a list of {"role", "content"}, where an assistant's message may have "reasoning" (its thought) and
"tool_calls" (a list of {"name", "arguments"}). Tools are a list of {"name", "description", "parameters"}, where
`parameters` is a JSON schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Role = Literal["system", "user", "assistant", "tool"]
ROLES = get_args(Role)

#: Signs that the template puts around the parts of an assistant's turn. In a text they cannot be told from the signs.
MARKUP = ("<think>", "</think>", "<TOOLCALL>", "</TOOLCALL>")
_MARKUP = re.compile("|".join(MARKUP))


@dataclass(frozen=True)
class ToolCall:
    """A call of the tool `name` with its arguments by name."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """One message. `reasoning` is the thought of an assistant's message; None and "" both mean an empty thought."""

    role: Role
    content: str
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()


def to_dict(message: Message) -> dict[str, Any]:
    """The stored form of a message, which is also what the chat template reads."""
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning:
        found["reasoning"] = message.reasoning
    if message.tool_calls:
        found["tool_calls"] = [{"name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    return found


def to_json(messages: Sequence[Message]) -> str:
    """The stored form of a conversation. `from_json` is the inverse, up to an empty thought, which becomes None."""
    return json.dumps([to_dict(message) for message in messages], ensure_ascii=False)


def from_json(text: str) -> tuple[Message, ...]:
    """The conversation in its stored form. Raises ValueError that says what is wrong with which message."""
    stored = json.loads(text)
    if not isinstance(stored, list):
        raise ValueError(f"a conversation is a list of messages, not {stored!r:.80}")
    return tuple(_message(number, entry) for number, entry in enumerate(stored))


def _message(number: int, entry: Any) -> Message:
    try:
        calls = tuple(ToolCall(call["name"], call["arguments"]) for call in entry.get("tool_calls") or ())
        message = Message(entry["role"], entry["content"], entry.get("reasoning"), calls)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"message {number} is {entry!r:.80}, not an object with role and content ({error})") from error
    texts = (message.content, message.reasoning or "", *(call.name for call in calls))
    if message.role not in ROLES:
        raise ValueError(f"message {number} has the role {message.role!r:.40}: use one of {', '.join(ROLES)}")
    if not all(isinstance(value, str) for value in texts) or not all(isinstance(c.arguments, dict) for c in calls):
        raise ValueError(f"message {number} is {entry!r:.80}: texts must be strings, and arguments an object")
    return message


def tools_from_json(text: str | None) -> list[dict[str, Any]]:
    """The tools in their stored form; None gives an empty list. Raises ValueError for anything but a list of tools."""
    tools = json.loads(text) if text else []
    if not isinstance(tools, list) or not all(isinstance(t, dict) and isinstance(t.get("name"), str) for t in tools):
        raise ValueError(f"tools are {text!r:.80}, not a list of objects with a name, a description and parameters")
    return tools


def problems(messages: Sequence[Message]) -> list[str]:
    """Why a model must not learn from a conversation, one sentence for each reason; empty if it may.

    An assistant's text with "</think>" in it would teach a second close, and a call as text, outside of `tool_calls`,
    would be read back as a call.
    """
    found = []
    for number, message in enumerate(messages):
        if message.role == "system" and number:
            found.append(f"message {number} is a system message: only the first message may be")
        if message.role != "assistant" and (message.reasoning or message.tool_calls):
            found.append(f"message {number} has a thought or calls, but its role is {message.role}, not assistant")
        if message.role == "assistant":
            if sign := _MARKUP.search(json.dumps(to_dict(message), ensure_ascii=False)):
                found.append(f"message {number} has {sign[0]} in its text, its thought or a call")
            if not all(call.name for call in message.tool_calls):
                found.append(f"message {number} calls a tool without a name")
            if not (message.content.strip() or message.tool_calls):
                found.append(f"message {number} is empty: an answer needs a text or a call")
    if not any(message.role == "assistant" for message in messages):
        found.append("there is no message of an assistant")
    return found
