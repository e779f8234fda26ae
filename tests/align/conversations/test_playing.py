"""Tasks that a language model plays: those that it solves are taken, with the generations that they are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass

from nemotron_assets.align.conversations.from_tools import tasks
from nemotron_assets.align.conversations.playing import played
from nemotron_assets.office.trajectories import faults
from nemotron_assets.recipe.align.conversations import Playing, Tools

TOOLS = Tools(tasks={"single_turn": 6, "multi_step": 6, "multi_turn": 6, "no_tool": 2}, playing=Playing(max_steps=9))


@dataclass
class Said:
    id: str
    text: str


class Player:
    """A model that knows the reference calls of the tasks. `mistake` changes what it says as the assistant."""

    name = "player"

    def __init__(self, mistake=lambda text: text) -> None:
        self.mistake, self.asked, self._done = mistake, 0, {}
        self.turns = {turn.request: (made, turn) for made, *_ in tasks(TOOLS) for turn in made.turns}

    def ask(self, requests):
        for request in requests:
            self.asked += 1
            text = self._as_user(request) if request.prompt == "tools_user" else self._as_assistant(request)
            yield Said(f"g{self.asked}", text)

    def _as_user(self, request) -> str:
        return f"Please: {request.messages[0][1].rpartition(chr(10))[2]}"

    def _as_assistant(self, request) -> str:
        said = [content for role, content in request.messages if role == "user" and content.startswith("Please: ")]
        turn = next(
            turn for asked, (_, turn) in self.turns.items() if said[-1].removeprefix("Please: ").startswith(asked)
        )
        since = max(place for place, (_, content) in enumerate(request.messages) if content == said[-1])
        done = sum(content.startswith("<TOOL_RESPONSE>") for _, content in request.messages[since:])
        if done == len(turn.steps):
            return turn.answer
        one = turn.steps[done].call
        return self.mistake(f"<TOOLCALL>[{json.dumps({'name': one.name, 'arguments': one.arguments})}]</TOOLCALL>")


def test_solved_tasks_become_conversations():
    rejected: list = []
    found = list(played(TOOLS, 0.0, Player(), rejected.append))
    made = {(task.kind, task.seed): task for task, *_ in tasks(TOOLS)}
    assert len(found) == len(made) > 15 and not rejected
    for one in found:
        assert not faults(made[one.key], one.messages)
        assert one.messages[1].content.startswith("Please: ") and one.messages[1].content.endswith("/no_think")
        assert len(one.generation_ids) == sum(message.role in ("user", "assistant") for message in one.messages)
        assert one.part == "office-played" and one.status == "verified"
    ids = [generation for one in found for generation in one.generation_ids]
    assert len(ids) == len(set(ids))


def test_lost_tasks_are_rejected_with_their_reasons():
    for mistake, reason in (
        (lambda text: text.replace('"name"', '"nome"'), "TOOLCALL"),
        (lambda text: text.replace("</TOOLCALL>", ""), "TOOLCALL"),
        (lambda text: "It is done.", "another state"),
        (lambda text: "", "is empty"),
        (lambda text: '<TOOLCALL>[{"name": "find_events", "arguments": {}}]</TOOLCALL>', "another state"),
    ):
        rejected: list = []
        found = list(played(TOOLS, 0.0, Player(mistake), rejected.append))
        assert {one.data_set for one in found} == {"office-played/no_tool"}
        assert rejected and all(one.cause == "unsolved_task" for one in rejected)
        assert any(reason in one.detail for one in rejected), (reason, rejected[0])


def test_no_model_plays_without_being_asked_to():
    assert not list(played(Tools(), 0.0, Player(), lambda _: None))
