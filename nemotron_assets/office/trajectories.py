"""From a task to its conversation, and the rules that a conversation must keep to be learned from.

The reference conversation is scripted. Whoever played the roles, `faults` replays the calls in a new office: every call
must succeed, every result must be what the API answers, and the office must end in the wanted state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nemotron_assets.chat.conversation import Message, ToolCall, problems
from nemotron_assets.office.state import digest, new_office
from nemotron_assets.office.tasks import Task, Turn
from nemotron_assets.office.tools import call, called

NO_THINK = "/no_think"


def system_text(task: Task, thinking: bool) -> str:
    """What the assistant is told about its user."""
    said = f"You work for {task.person.name}, {task.person.role}. Today is {task.today}."
    return said if thinking else f"{said} {NO_THINK}"


def reference(task: Task, thinking: bool) -> tuple[Message, ...]:
    """The scripted conversation of a task, with or without thoughts."""
    office = new_office(task.seed)
    messages = [Message("system", system_text(task, thinking))]
    for turn in task.turns:
        messages += _asked(turn, thinking)
        for step in turn.steps:
            messages.append(Message("assistant", "", step.thought if thinking else None, (step.call,)))
            messages.append(Message("tool", call(office, step.call)))
        thought = ("That is done." if turn.steps else "No tool does this.") if thinking else None
        messages.append(Message("assistant", turn.answer, thought))
    return tuple(messages)


def _asked(turn: Turn, thinking: bool) -> Iterator[Message]:
    yield Message("user", turn.request)
    if turn.missing:
        yield Message("assistant", turn.missing[0], "Something is missing." if thinking else None)
        yield Message("user", turn.missing[1])


def faults(task: Task, messages: Sequence[Message]) -> list[str]:
    """Why a conversation is no solution of the task, one sentence for each reason; empty if it is."""
    found, office, wanted = list(problems(messages)), new_office(task.seed), new_office(task.seed)
    called(wanted, task.calls)
    waiting: list[ToolCall] = []
    for number, message in enumerate(messages):
        if message.role == "tool":
            if not waiting:
                found.append(f"message {number} is the result of no call")
                continue
            said = call(office, waiting.pop(0))
            if said != message.content:
                found.append(f"message {number} is not what the API answers: {said:.80}")
            if said.startswith('{"error"'):
                found.append(f"the call before message {number} fails: {said:.120}")
            continue
        if waiting:
            found.append(f"message {number} comes before the results of all calls")
        waiting = list(message.tool_calls)
    if not messages or messages[-1].role != "assistant" or messages[-1].tool_calls:
        found.append("the last message is not an assistant's text")
    if digest(office) != digest(wanted):
        found.append("the office ends in another state than the task wants")
    return found


@dataclass(frozen=True)
class Choice:
    """A place in a conversation where the assistant must change the office: what it has read, the calls made before,
    and the call that the reference makes."""

    messages: tuple[Message, ...]
    done: tuple[ToolCall, ...]
    wanted: ToolCall


def choices(task: Task, thinking: bool) -> Iterator[Choice]:
    """The places in the reference conversation at which a call changes the office. A policy is asked there."""
    office, messages, done = new_office(task.seed), reference(task, thinking), []
    for number, message in enumerate(messages):
        for one in message.tool_calls:
            before = digest(office)
            call(office, one)
            if digest(office) != before:
                yield Choice(messages[:number], tuple(done), one)
            done.append(one)
