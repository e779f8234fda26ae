"""A conversation or a prompt of the post-training, and the row that it becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS
from nemotron_assets.held_out import hash_is_held_out
from nemotron_assets.table.ids import content_hash, row_id

#: In the text of a user or of the system: the assistant answers without a thought. The chat template removes it.
NO_THINK = "/no_think"

#: A message as it is stored: role, content, and an assistant's reasoning and tool_calls.
Message = dict[str, Any]


def user(content: str) -> Message:
    return {"role": "user", "content": content}


def assistant(content: str, reasoning: str | None = None, tool_calls: Sequence[Message] = ()) -> Message:
    message: Message = {"role": "assistant", "content": content}
    if reasoning:
        message["reasoning"] = reasoning
    if tool_calls:
        message["tool_calls"] = list(tool_calls)
    return message


def without_thinking(question: str) -> str:
    """The text of a user who asks for an answer without a thought."""
    return f"{question} {NO_THINK}"


def chosen(share: float, *key: object) -> bool:
    """Whether a row is among the `share` of rows that something is done with. The key decides, and nothing else."""
    return hash_is_held_out(content_hash("\x1f".join(map(str, key))), share)


@dataclass(frozen=True)
class Conversation:
    """A conversation before it is a row. `key` is its natural key beside the part and the variant."""

    part: str
    key: tuple[object, ...]
    domain: str
    data_set: str
    messages: tuple[Message, ...]
    origin_hash: str
    parents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    language: str = "en"
    tools: tuple[Message, ...] = ()
    variant: str = "full"
    copy_of: str | None = None
    budget: int | None = None
    status: str = "verified"
    verified_by: str | None = None

    @property
    def id(self) -> str:
        return row_id(CONVERSATIONS.full_name, self.part, self.variant, *self.key)

    @property
    def thinks(self) -> bool:
        """Whether the assistant thinks before one of its messages."""
        return any(message.get("reasoning") for message in self.messages)

    def row(self) -> dict[str, Any]:
        """The row of align.conversations."""
        messages, tools = _json(self.messages), _json(self.tools) if self.tools else None
        return {
            "id": self.id,
            "parents": list(self.parents),
            "sources": list(self.sources),
            "part": self.part,
            "domain": self.domain,
            "data_set": self.data_set,
            "language": self.language,
            "messages": messages,
            "tools": tools,
            "reasoning": "on" if self.thinks else "off",
            "variant": self.variant,
            "copy_of": self.copy_of,
            "budget": self.budget,
            "status": self.status,
            "verified_by": self.verified_by,
            "origin_hash": self.origin_hash,
            "content_hash": content_hash(f"{messages}\x1f{tools or ''}"),
        }


@dataclass(frozen=True)
class Prompt:
    """A prompt before it is a row. `verifiers` are {name: arguments}; `key` is its natural key beside the part."""

    part: str
    key: tuple[object, ...]
    kind: str
    domain: str
    split: str
    messages: tuple[Message, ...]
    origin_hash: str
    verifiers: dict[str, dict[str, Any]] = field(default_factory=dict)
    reference: str | None = None
    parents: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    tools: tuple[Message, ...] = ()

    def row(self) -> dict[str, Any]:
        """The row of align.prompts."""
        return {
            "id": row_id(PROMPTS.full_name, self.part, self.kind, *self.key),
            "parents": list(self.parents),
            "sources": list(self.sources),
            "part": self.part,
            "kind": self.kind,
            "domain": self.domain,
            "split": self.split,
            "messages": _json(self.messages),
            "tools": _json(self.tools) if self.tools else None,
            "verifiers": _json([{"name": name, "arguments": given} for name, given in self.verifiers.items()]),
            "reference": self.reference,
            "origin_hash": self.origin_hash,
        }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
