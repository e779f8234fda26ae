"""Further copies of conversations: without a thought, with a cut thought, and joined into long ones.

All are rows of their own beside the whole conversation, as published (Nano 2 §3.2): an EXTRA copy of about 10% of the
prompts has an empty thought, and in stage 3 about 5% have a thought that is cut while the answer stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from nemotron_assets.align.conversations.rows import Conversation, between, chosen, user, with_switches
from nemotron_assets.chat.conversation import Message
from nemotron_assets.held_out import hash_is_held_out, held_out_first
from nemotron_assets.recipe.align.conversations import Copies
from nemotron_assets.table.ids import content_hash
from nemotron_assets.text.tokenizer import encode

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: From the least to the most certain: a joined conversation is as certain as its least certain part.
_CERTAINTY = ("unverified", "judged", "majority", "verified")
_PLACES = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", 6: "sixth"}
_QUOTED = 200  # characters of an earlier turn that a later one quotes


def with_copies(
    conversations: Iterable[Conversation], recipe: Copies, tokenizer: Tokenizer, held_out_share: float = 0.0
) -> Iterator[Conversation]:
    """The conversations, each followed by its copies, and at the end of a group the long conversation made of it.
    Conversations that the tuning holds out (`held_out_share` of them) are in no long conversation, which it learns."""
    joining = _Joining(recipe, tokenizer)
    for one in conversations:
        yield one
        if one.thinks and chosen(recipe.no_think_share, "no_think", one.id):
            yield no_think(one)
        if one.thinks and chosen(recipe.truncated_share, "truncated", one.id):
            yield from truncated(one, recipe.truncated_tokens, tokenizer)
        if chosen(recipe.long_share, "long", one.id) and not hash_is_held_out(one.id, held_out_share):
            yield from joining.add(one)
    yield from joining.end()


def no_think(one: Conversation) -> Conversation:
    """The conversation with an empty thought everywhere, and /no_think."""
    bare = [dataclasses.replace(message, reasoning=None) for message in one.messages]
    return dataclasses.replace(one, messages=with_switches(bare), variant="no_think", copy_of=one.id)


def truncated(one: Conversation, tokens: tuple[int, int], tokenizer: Tokenizer) -> Iterator[Conversation]:
    """The conversation with the last thought cut to a random number of tokens, at any place, and the answer whole.
    Nothing if the thought has no more tokens than the fewest that a cut one has."""
    places = [number for number, message in enumerate(one.messages) if message.reasoning]
    thought = one.messages[places[-1]].reasoning or ""
    ids, (least, most) = encode(tokenizer, thought), tokens
    if len(ids) <= least:
        return
    budget = between(least, min(most, len(ids) - 1), "budget", one.id)
    cut = tokenizer.decode(ids[:budget], skip_special_tokens=False).rstrip("\ufffd").strip()
    if not cut:
        return
    messages = list(one.messages)
    messages[places[-1]] = dataclasses.replace(messages[places[-1]], reasoning=cut)
    yield dataclasses.replace(one, messages=tuple(messages), variant="truncated", copy_of=one.id, budget=budget)


class _Joining:
    """Collects conversations until they are as long as the next long conversation must be."""

    def __init__(self, recipe: Copies, tokenizer: Tokenizer) -> None:
        self._recipe, self._tokenizer = recipe, tokenizer
        self._waiting: list[Conversation] = []
        self._tokens, self._made = 0, 0

    def add(self, one: Conversation) -> Iterator[Conversation]:
        """The long conversation, if this one completes it. Conversations with tools or a system text are not joined:
        another system text cannot follow, and the tools of the conversations differ."""
        if one.tools or one.messages[0].role == "system":
            return
        self._waiting.append(one)
        self._tokens += len(encode(self._tokenizer, one.text))
        if self._tokens >= between(*self._recipe.long_tokens, "length", one.part, self._made):
            yield from self.end()

    def end(self) -> Iterator[Conversation]:
        """What is waiting as one conversation, if it is more than one."""
        group, self._waiting, self._tokens = self._waiting, [], 0
        self._made += 1
        if len(group) > 1:
            yield joined(group, self._recipe.questions_back)


def joined(group: Sequence[Conversation], questions_back: int) -> Conversation:
    """Conversations one after the other, and turns that refer back to the earliest of them, as far away as they can be.

    The answers quote what was said, so they are right by construction.
    """
    first = group[0]
    messages = [message for one in group for message in one.messages]
    for number in range(min(questions_back, len(group) - 1)):
        messages += _back(group, number)
    parents = tuple(dict.fromkeys(parent for one in group for parent in one.parents))
    sources = {parent: source for one in group for parent, source in zip(one.parents, one.sources, strict=True)}
    statuses = [one.status for one in group]
    return dataclasses.replace(
        first,
        key=("joined", *(one.id for one in group)),
        data_set=f"{first.part}/concatenated",
        messages=with_switches(messages),
        parents=parents,
        sources=tuple(sources[parent] for parent in parents),
        variant="concatenated",
        copy_of=held_out_first(one.id for one in group),  # so it is held out if one of its parts is
        generation_ids=tuple(generation for one in group for generation in one.generation_ids),
        status=min(statuses, key=_CERTAINTY.index),
        verified_by=None,
        origin_hash=content_hash("\x1f".join(one.origin_hash for one in group)),
    )


def _back(group: Sequence[Conversation], number: int) -> tuple[Message, Message]:
    """A question about the first turn of an earlier conversation, and its answer, which quotes it."""
    earlier = group[number]
    asked = next(message.content for message in with_switches(_plain(earlier)) if message.role == "user")
    answer = next(message.content for message in earlier.messages if message.role == "assistant" and message.content)
    if number % 2:
        return (
            user(f'Earlier I asked you: "{asked[:_QUOTED]}" What did you answer?'),
            Message("assistant", answer),
        )
    place = 1 + sum(message.role == "user" for one in group[:number] for message in one.messages)
    which = f"What was the {_PLACES[place]} thing" if place in _PLACES else f"What was thing number {place}"
    return user(f"{which} that I asked you in this conversation?"), Message(
        "assistant", f'You asked me: "{asked[:_QUOTED]}"'
    )


def _plain(one: Conversation) -> list[Message]:
    """The messages with a thought in every answer: so that no switch stands in the texts."""
    return [dataclasses.replace(m, reasoning="x") if m.role == "assistant" else m for m in one.messages]
