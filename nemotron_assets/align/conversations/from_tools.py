"""Conversations and prompts in which tools are called: tasks in the office, with scripted reference conversations.

Each conversation is checked before it is taken: the calls are replayed in a new office, and must end in the wanted
state (see nemotron_assets/office/trajectories.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nemotron_assets.align.conversations.rows import Conversation, Prompt, chosen, is_asked_only
from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.chat.parsing import CALLS, END_OF_CALLS
from nemotron_assets.office.tasks import Task, task
from nemotron_assets.office.tools import TOOLS
from nemotron_assets.office.trajectories import choices, faults, reference
from nemotron_assets.office.verifying import arguments_of
from nemotron_assets.recipe.align.conversations import Tools
from nemotron_assets.table.ids import content_hash

PART = "office"
RULES = "replayed in a new office"


def tasks(recipe: Tools) -> Iterator[tuple[Task, bool, str]]:
    """(task, whether it has thoughts, hash of what it asks for) for all tasks, without two that ask for the same."""
    seen: set[str] = set()
    for kind, number in recipe.tasks.items():
        for place in range(number):
            made = task(recipe.seed + place, kind, recipe.more_tools)
            asked = content_hash("\x1f".join(turn.request for turn in made.turns))
            if asked not in seen:
                seen.add(asked)
                yield made, chosen(recipe.thinking_share, "thinks", kind, made.seed), asked


def _called(one: ToolCall) -> str:
    """A call as the model writes it."""
    return f"{CALLS}{json.dumps([{'name': one.name, 'arguments': one.arguments}], ensure_ascii=False)}{END_OF_CALLS}"


def tools_of(made: Task) -> tuple[dict[str, Any], ...]:
    return tuple(TOOLS[name].as_dict() for name in made.tools)


def conversations(recipe: Tools, held_out_share: float) -> Iterator[Conversation]:
    """The reference conversations of all tasks, without those whose requests would be a held-out prompt. Raises
    ValueError for a task whose reference does not solve it."""
    for made, thinking, asked in tasks(recipe):
        if is_asked_only(held_out_share, asked):
            continue
        messages = reference(made, thinking)
        if found := faults(made, messages):
            raise ValueError(f"the reference of the task {made.kind} {made.seed} is broken: {'; '.join(found)}")
        yield Conversation(
            part=PART,
            key=(made.kind, made.seed, thinking),
            domain="tools",
            data_set=f"{PART}/{made.kind}",
            messages=messages,
            tools=tools_of(made),
            origin_hash=asked,
            verified_by=RULES,
        )


def prompts(recipe: Tools, held_out_share: float) -> Iterator[Prompt]:
    """A prompt for every place at which the assistant must change the office. A task's prompts are in one split."""
    for made, thinking, asked in tasks(recipe):
        split = "held_out" if is_asked_only(held_out_share, asked) else "train"
        for number, choice in enumerate(choices(made, thinking)):
            yield Prompt(
                part=PART,
                key=(made.kind, made.seed, thinking, number),
                kind="tools",
                domain="tools",
                split=split,
                messages=choice.messages,
                tools=tools_of(made),
                verifiers={"tools": arguments_of(made.seed, choice.done, (choice.wanted,))},
                reference=_called(choice.wanted),
                origin_hash=asked,
            )
