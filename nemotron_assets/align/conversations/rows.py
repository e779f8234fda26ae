"""A conversation or a prompt of the post-training, and the row that it becomes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS
from nemotron_assets.chat.conversation import Message, to_json
from nemotron_assets.held_out import hash_is_held_out
from nemotron_assets.table.ids import content_hash, row_id

#: Switches in the text of a user or of the system, which the chat template takes out.
THINK, NO_THINK = "/think", "/no_think"


def user(content: str) -> Message:
    return Message("user", content)


def chosen(share: float, *key: object) -> bool:
    """Whether a row is among the `share` of rows that something is done with. The key decides, and nothing else."""
    return hash_is_held_out(content_hash("\x1f".join(map(str, key))), share)


def is_asked_only(share: float, question: str) -> bool:
    """Whether a question is held out: it is asked, for scoring, and no conversation with it is learned from. White
    space and case do not matter."""
    return chosen(share, "held out", _words(question))


def question_hash(question: str) -> str:
    """A hash of a question's words. White space and case do not matter."""
    return content_hash(_words(question))


def _words(question: str) -> str:
    return " ".join(question.split()).casefold()


def between(least: int, most: int, *key: object) -> int:
    """A number from `least` to `most` that follows from the key."""
    return least + int(content_hash("\x1f".join(map(str, key)))[-8:], 16) % (most - least + 1)


def with_switches(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages with /no_think or /think in the user's text wherever the assistant stops or starts to think, and nowhere
    else. Without a switch it thinks."""
    found = [_bare(message) for message in messages]
    asked = [number for number, message in enumerate(found) if message.role == "user"]
    thinking = True
    for start, end in zip(asked, [*asked[1:], len(found)], strict=True):
        answers = [message for message in found[start:end] if message.role == "assistant"]
        if answers and any(message.reasoning for message in answers) != thinking:
            thinking = not thinking
            switch = THINK if thinking else NO_THINK
            found[start] = dataclasses.replace(found[start], content=f"{found[start].content} {switch}")
    return tuple(found)


def _bare(message: Message) -> Message:
    if message.role not in ("user", "system") or THINK not in message.content.replace(NO_THINK, THINK):
        return message
    return dataclasses.replace(message, content=message.content.replace(NO_THINK, "").replace(THINK, "").strip())


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
    tools: tuple[dict[str, Any], ...] = ()
    variant: str = "full"
    copy_of: str | None = None
    budget: int | None = None
    status: str = "verified"
    verified_by: str | None = None
    generation_ids: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return row_id(CONVERSATIONS.full_name, self.part, self.variant, *self.key)

    @property
    def thinks(self) -> bool:
        """Whether the assistant thinks before one of its messages."""
        return any(message.reasoning for message in self.messages)

    @property
    def text(self) -> str:
        """All that is said, one message per paragraph, with the thoughts."""
        return "\n\n".join(part for message in self.messages for part in (message.reasoning, message.content) if part)

    def row(self) -> dict[str, Any]:
        """The row of align.conversations."""
        messages, tools = to_json(self.messages), _json(self.tools) if self.tools else None
        own = {name: getattr(self, name) for name in _CARRIED}
        return {
            **own,
            "id": self.id,
            "parents": list(self.parents),
            "sources": list(self.sources),
            "messages": messages,
            "tools": tools,
            "generation_ids": list(self.generation_ids) or None,
            "reasoning": "on" if self.thinks else "off",
            "content_hash": content_hash(f"{messages}\x1f{tools or ''}"),
        }


_CARRIED = (
    "part", "domain", "data_set", "language", "variant", "copy_of", "budget", "status", "verified_by", "origin_hash",
)  # fmt: skip


@dataclass(frozen=True)
class Prompt:
    """A prompt before it is a row. `verifiers` are {name: arguments}; `key` is its natural key beside part and kind."""

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
    tools: tuple[dict[str, Any], ...] = ()

    @property
    def text(self) -> str:
        """All that the policy reads."""
        return "\n\n".join(message.content for message in self.messages)

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
            "messages": to_json(self.messages),
            "tools": _json(self.tools) if self.tools else None,
            "verifiers": _json([{"name": name, "arguments": given} for name, given in self.verifiers.items()]),
            "reference": self.reference,
            "origin_hash": self.origin_hash,
        }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
