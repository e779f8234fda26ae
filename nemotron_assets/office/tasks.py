"""Requests to the office with their reference calls, made from templates and a seed.

single_turn: one request, one call. multi_step: one request whose calls build on each other's results. multi_turn:
several requests, and a question back where a request leaves something out. no_tool: no tool can do what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Literal, get_args

from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.office.state import (
    FOLDERS,
    STATUSES,
    SUBJECTS,
    Office,
    Person,
    day,
    hour,
    new_office,
    person,
)
from nemotron_assets.office.tools import TOOLS, called

Kind = Literal["single_turn", "multi_step", "multi_turn", "no_tool"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Step:
    """A call, and the thought before it."""

    call: ToolCall
    thought: str


@dataclass(frozen=True)
class Turn:
    """A request, the steps that fulfil it, and what the assistant says at the end. With `missing` the request leaves
    something out: the assistant asks for it, and `missing` is (its question, the user's reply)."""

    request: str
    steps: tuple[Step, ...]
    answer: str
    missing: tuple[str, str] | None = None


@dataclass(frozen=True)
class Task:
    """What somebody wants from the office that `seed` makes. `tools` are the names of the tools that are offered."""

    seed: int
    kind: Kind
    person: Person
    today: str
    turns: tuple[Turn, ...]
    tools: tuple[str, ...]

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The reference calls of all turns."""
        return tuple(step.call for turn in self.turns for step in turn.steps)


def _step(thought: str, tool: str, /, **arguments: Any) -> Step:
    return Step(ToolCall(tool, arguments), thought)


def _any(office: Office, table: str, column: str, random: Random) -> tuple[str, dict[str, Any]]:
    """(id, row) of a row whose value in a column no other row has, so that a request can name it."""
    values = [row.get(column) for row in office[table].values()]
    named = [item for item in sorted(office[table].items()) if values.count(item[1].get(column)) == 1]
    return random.choice(named)


# -- one call ----------------------------------------------------------------------------------------------------------


def _create_event(office: Office, random: Random) -> Turn:
    title, date, time = random.choice(SUBJECTS), day(random), hour(random)
    minutes = random.choice((15, 30, 45, 60, 90))
    step = _step("A new event.", "create_event", title=title, day=date, time=time, minutes=minutes)
    how_long = (f"How long will the {title} take?", f"{minutes} minutes.") if random.random() < 0.3 else None
    length = "" if how_long else f" for {minutes} minutes"
    return Turn(
        f'Put "{title}" in my calendar on {date} at {time}{length}.',
        (step,),
        f"{title} is on {date} at {time}.",
        how_long,
    )


def _send_mail(office: Office, random: Random) -> Turn:
    other, subject = person(random), random.choice(SUBJECTS)
    text = f"Please look at the {subject}."
    step = _step("A new mail.", "send_mail", to=other.mail, subject=subject, text=text)
    asks = (f"What should the mail to {other.name} say?", f'"{text}"') if random.random() < 0.3 else None
    saying = "" if asks else f' and the text "{text}"'
    return Turn(
        f'Send {other.mail} a mail with the subject "{subject}"{saying}.', (step,), f"{other.name} has your mail.", asks
    )


def _write_file(office: Office, random: Random) -> Turn:
    path = f"{random.choice(FOLDERS)}/{random.choice(SUBJECTS).replace(' ', '-')}-{random.randint(2, 9)}.txt"
    text = f"Version {random.randint(1, 99)}."
    return Turn(
        f'Write "{text}" to the file {path}.',
        (_step("A file.", "write_file", path=path, text=text),),
        f"{path} is written.",
    )


def _delete_file(office: Office, random: Random) -> Turn:
    path = _any(office, "files", "path", random)[1]["path"]
    return Turn(f"Delete the file {path}.", (_step("I delete it.", "delete_file", path=path),), f"{path} is deleted.")


def _add_customer(office: Office, random: Random) -> Turn:
    other = person(random)
    step = _step("A new customer.", "add_customer", name=other.name, mail=other.mail)
    return Turn(
        f"{other.name} ({other.mail}) is a new customer.", (step,), f"{other.name} is in the list of customers."
    )


# -- several calls -----------------------------------------------------------------------------------------------------


def _delete_event(office: Office, random: Random) -> Turn:
    key, event = _any(office, "events", "title", random)
    title = event["title"]
    steps = (
        _step(f"I need the id of {title}.", "find_events", title=title),
        _step(f"It is {key}.", "delete_event", id=key),
    )
    return Turn(f'Cancel my event "{title}".', steps, f"{title} is cancelled.")


def _move_event(office: Office, random: Random) -> Turn:
    key, event = _any(office, "events", "title", random)
    title, date, time = event["title"], day(random), hour(random)
    steps = (
        _step(f"I need the id of {title}.", "find_events", title=title),
        _step(f"It is {key}.", "move_event", id=key, day=date, time=time),
    )
    return Turn(f'Move my event "{title}" to {date} at {time}.', steps, f"{title} is now on {date} at {time}.")


def _delete_mail(office: Office, random: Random) -> Turn:
    received = {"mails": {key: mail for key, mail in office["mails"].items() if "sender" in mail}}
    key, mail = _any(received, "mails", "subject", random)
    steps = (
        _step("I look for the mail.", "find_mails", subject=mail["subject"]),
        _step(f"It is {key}.", "delete_mail", id=key),
    )
    return Turn(f'Delete the mail about the "{mail["subject"]}".', steps, "The mail is deleted.")


def _set_status(office: Office, random: Random) -> Turn:
    key, customer = _any(office, "customers", "name", random)
    name, status = customer["name"], random.choice([one for one in STATUSES if one != customer["status"]])
    steps = (
        _step(f"I need the id of {name}.", "find_customers", name=name),
        _step(f"It is {key}.", "set_status", id=key, status=status),
    )
    return Turn(f'Set the status of the customer {name} to "{status}".', steps, f"{name} is now {status}.")


def _mail_file(office: Office, random: Random) -> Turn:
    file, other = _any(office, "files", "path", random)[1], person(random)
    subject = random.choice(SUBJECTS)
    steps = (
        _step("I read the file first.", "read_file", path=file["path"]),
        _step("Now I send its text.", "send_mail", to=other.mail, subject=subject, text=file["text"]),
    )
    request = f'Mail the text of the file {file["path"]} to {other.mail}, with the subject "{subject}".'
    return Turn(request, steps, f"{other.name} has the text of {file['path']}.")


_IMPOSSIBLE = (
    ("Order lunch for six people.", "I cannot order food: I have tools for the office only."),
    ("What will the weather be tomorrow?", "I cannot see the weather with the tools that I have."),
    ("Call the bank for me.", "I cannot make calls."),
    ("Print the last report twice.", "I have no printer."),
    ("Book a train to Lyon.", "I cannot book trips with these tools."),
    ("Turn off the lights in the office.", "I cannot switch lights."),
)


def _impossible(office: Office, random: Random) -> Turn:
    request, answer = random.choice(_IMPOSSIBLE)
    return Turn(request, (), answer)


_Make = Callable[[Office, Random], Turn]
_SINGLE: tuple[_Make, ...] = (_create_event, _send_mail, _write_file, _delete_file, _add_customer)
_SEVERAL: tuple[_Make, ...] = (_delete_event, _move_event, _delete_mail, _set_status, _mail_file)


def task(seed: int, kind: Kind, more_tools: int = 1) -> Task:
    """The task of a seed and a kind. It offers the tools that its reference calls need, and `more_tools` others."""
    random, office = Random(f"task {seed} {kind}"), new_office(seed)
    who = person(random)
    templates = {
        "single_turn": [random.choice(_SINGLE)],
        "multi_step": [random.choice(_SEVERAL)],
        "multi_turn": [random.choice(_SINGLE), *random.sample((*_SINGLE, *_SEVERAL), random.randint(1, 2))],
        "no_tool": [_impossible],
    }[kind]
    turns = []
    for template in templates:
        turn = template(office, random)
        called(office, [step.call for step in turn.steps])  # a later request is about the office as it is then
        turns.append(turn if kind == "multi_turn" else _complete(turn))
    needed = sorted({step.call.name for turn in turns for step in turn.steps})
    others = random.sample(
        sorted(set(TOOLS) - set(needed)), min(more_tools + (kind == "no_tool"), len(TOOLS) - len(needed))
    )
    return Task(seed, kind, who, day(random), tuple(turns), tuple(sorted((*needed, *others))))


def _complete(turn: Turn) -> Turn:
    """A turn whose request leaves nothing out: what is missing stands behind it."""
    if turn.missing is None:
        return turn
    return Turn(f"{turn.request} {turn.missing[1]}", turn.steps, turn.answer)
