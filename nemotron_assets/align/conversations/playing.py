"""Tool conversations whose roles a language model plays (Nano 2 §3.1): the user, and the assistant.

The user asks for what a task wants, in the words of a person. The assistant calls tools or answers; the results are
those of the office's API. Only conversations are kept that keep the rules and end in the state that the task wants
(see nemotron_assets/office/trajectories.py). All tasks are played side by side, one message of each at a time, so
that the engine's batches are full, and everything goes through the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from nemotron_assets.align.conversations.from_tools import PART, RULES, tasks, tools_of
from nemotron_assets.align.conversations.rows import Conversation, is_asked_only, with_switches
from nemotron_assets.chat.conversation import Message, to_dict
from nemotron_assets.chat.parsing import parse
from nemotron_assets.generation.asking import answered
from nemotron_assets.office.state import Office, new_office
from nemotron_assets.office.tasks import Task
from nemotron_assets.office.tools import call
from nemotron_assets.office.trajectories import faults, system_text
from nemotron_assets.recipe.align.conversations import Playing, Tools
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Reject
from resources.generations import Completion, Request, Sampling

if TYPE_CHECKING:
    from nemotron_assets.align.conversations.from_records import Rejecting
    from nemotron_assets.generation.writing import Writer

_USER = """\
You are {name}, {role}, and write to your assistant. Say the following in your own words, in one or two sentences. \
Keep every name, address, date, time, path and quoted text exactly as it is. Write the message alone.

{request}"""
_ASSISTANT = """\
{system}

You have tools, given as JSON with their arguments:
{tools}

To call tools, write nothing but one line: <TOOLCALL>[{{"name": "...", "arguments": {{...}}}}]</TOOLCALL>. Their \
results come as <TOOL_RESPONSE>. If something is missing, ask for it. When all is done, or no tool fits, answer in one \
sentence."""
_TOGETHER = 256


@dataclass
class _Game:
    """A task while it is played. `left` are the requests to come."""

    task: Task
    asked: str
    left: list[str]
    messages: list[Message]
    office: Office
    steps: int = 0
    generations: list[str] = field(default_factory=list)

    def hears(self, text: str) -> None:
        self.messages.append(Message("user", text))


def played(recipe: Tools, held_out_share: float, writer: Writer, reject: Rejecting) -> Iterator[Conversation]:
    """The conversations of all tasks that the model solves. A task that it does not solve is rejected with its
    reasons."""
    if recipe.playing is None:
        return
    waiting = ((made, asked) for made, _, asked in tasks(recipe) if not is_asked_only(held_out_share, asked))
    while batch := list(islice(waiting, _TOGETHER)):
        for game in _play(batch, recipe.playing, writer):
            found = faults(game.task, game.messages)
            one = _conversation(game)
            if found:
                reject(
                    Reject(
                        row_id("played", one.id),
                        "unsolved_task",
                        f"{one.data_set} {game.task.seed}: {'; '.join(found):.400}",
                    )
                )
            else:
                yield one


def _play(batch: Iterable[tuple[Task, str]], recipe: Playing, writer: Writer) -> list[_Game]:
    games = [_game(made, asked) for made, asked in batch]
    asked = ((game, [_as_user(game.task, text, recipe) for text in game.left]) for game in games)
    for game, completions in answered(asked, writer.ask):
        game.left = [said.text.strip() for said in completions]
        game.generations += [said.id for said in completions]
        game.hears(game.left.pop(0))
    playing = games
    while playing:
        turns = ((game, [_as_assistant(game, recipe)]) for game in playing)
        playing = [game for game, (said,) in list(answered(turns, writer.ask)) if _goes_on(game, said, recipe)]
    return games


def _game(made: Task, asked: str) -> _Game:
    requests = []
    for turn in made.turns:
        requests.append(f"{turn.request} {turn.missing[1]}" if turn.missing else turn.request)
    return _Game(made, asked, requests, [Message("system", system_text(made, thinking=True))], new_office(made.seed))


def _as_user(made: Task, request: str, recipe: Playing) -> Request:
    said = _USER.format(name=made.person.name, role=made.person.role, request=request)
    return _request("tools_user", (("user", said),), recipe)


def _as_assistant(game: _Game, recipe: Playing) -> Request:
    """The conversation so far, for a model that may not know our template: calls and results stand in the text."""
    tools = json.dumps(tools_of(game.task), ensure_ascii=False)
    told = [("system", _ASSISTANT.format(system=game.messages[0].content, tools=tools))]
    for message in game.messages[1:]:
        if message.role == "tool":
            told.append(("user", f"<TOOL_RESPONSE>{message.content}</TOOL_RESPONSE>"))
        elif message.tool_calls:
            calls = json.dumps(to_dict(message)["tool_calls"], ensure_ascii=False)
            told.append(("assistant", f"<TOOLCALL>{calls}</TOOLCALL>"))
        else:
            told.append((message.role, message.content))
    return _request("tools_assistant", tuple(told), recipe)


def _request(name: str, messages: tuple[tuple[str, str], ...], recipe: Playing) -> Request:
    return Request(name, messages, Sampling(recipe.temperature, recipe.top_p, recipe.max_output_tokens))


def _goes_on(game: _Game, said: Completion, recipe: Playing) -> bool:
    """Take what the assistant said, call its tools, and let the user go on. False at the end of the task, or when the
    assistant has spoken too often."""
    game.generations.append(said.id)
    game.steps += 1
    parsed = parse(said.text, thinking=False)
    game.messages.append(Message("assistant", parsed.content, None, parsed.tool_calls))
    for one in parsed.tool_calls:
        game.messages.append(Message("tool", call(game.office, one)))
    if parsed.tool_calls:
        return game.steps < recipe.max_steps
    if not game.left:
        return False
    game.hears(game.left.pop(0))
    return game.steps < recipe.max_steps


def _conversation(game: _Game) -> Conversation:
    made = game.task
    return Conversation(
        part=f"{PART}-played",
        key=(made.kind, made.seed),
        domain="tools",
        data_set=f"{PART}-played/{made.kind}",
        messages=with_switches(game.messages),
        tools=tools_of(made),
        origin_hash=game.asked,
        verified_by=RULES,
        generation_ids=tuple(game.generations),
    )
