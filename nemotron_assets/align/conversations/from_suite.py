"""Conversations and prompts of the suite: train items are learned, and items of both splits are asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.align.conversations.rows import NO_THINK, Conversation, Prompt, chosen, user, with_switches
from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.chat.conversation import Message

if TYPE_CHECKING:
    from resources.lakehouse import Reader

_COLUMNS = ("id", "task", "split", "question", "answer", "reasoning", "content_hash")


def _items(reader: Reader) -> Iterator[dict[str, Any]]:
    for batch in reader.batches(_COLUMNS):
        yield from pl.from_arrow(batch).iter_rows(named=True)


def _thinks(item: dict[str, Any], share: float) -> bool:
    """Whether an item has its steps in the thought: it depends on the question alone."""
    return bool(item["reasoning"]) and chosen(share, "thinks", item["question"])


def conversations(reader: Reader, thinking_share: float) -> Iterator[Conversation]:
    """The train items as conversations: `thinking_share` of them with their steps as the thought, the others without a
    thought."""
    for item in _items(reader):
        if item["split"] == "train":
            thought = item["reasoning"] if _thinks(item, thinking_share) else None
            yield Conversation(
                part=SUITE_ITEMS.full_name,
                key=(item["id"],),
                domain="suite",
                data_set=f"{SUITE_ITEMS.full_name}/{item['task']}",
                messages=with_switches([user(item["question"]), Message("assistant", item["answer"], thought)]),
                origin_hash=item["content_hash"],
                parents=(item["id"],),
                sources=(SUITE_ITEMS.full_name,),
                verified_by=item["task"],
            )


def prompts(reader: Reader, thinking_share: float) -> Iterator[Prompt]:
    """All items as prompts with one right answer, in both splits, with and without thinking as in `conversations`."""
    for item in _items(reader):
        switch = "" if _thinks(item, thinking_share) else f" {NO_THINK}"
        yield Prompt(
            part=SUITE_ITEMS.full_name,
            key=(item["id"],),
            kind="verifiable",
            domain="suite",
            split=item["split"],
            messages=(user(f"{item['question']}{switch}"),),
            verifiers={"exact": {}},
            reference=item["answer"],
            origin_hash=item["content_hash"],
            parents=(item["id"],),
            sources=(SUITE_ITEMS.full_name,),
        )
