"""Tasks and their conversations: every reference solves its task, and the rules find a broken one."""

from __future__ import annotations

import dataclasses

import pytest

from nemotron_assets.chat.conversation import Message, ToolCall
from nemotron_assets.chat.template import render
from nemotron_assets.office.state import digest, new_office
from nemotron_assets.office.tasks import KINDS, task
from nemotron_assets.office.tools import TOOLS
from nemotron_assets.office.trajectories import choices, faults, reference
from nemotron_assets.office.verifying import arguments_of, judge


@pytest.mark.parametrize("kind", KINDS)
def test_references_solve_their_tasks(kind):
    for seed in range(60):
        one = task(seed, kind)
        assert one == task(seed, kind)
        for thinking in (True, False):
            messages = reference(one, thinking)
            assert not faults(one, messages)
            assert {call.name for call in one.calls} < set(one.tools)
            assert any(message.reasoning for message in messages) == thinking
            shown = render(messages[:-1], [TOOLS[name].as_dict() for name in one.tools])
            assert shown.endswith("<think>\n" if thinking else "<think></think>")
        steps = [len(turn.steps) for turn in one.turns]
        assert (kind, steps) in ((kind, [1]), ("multi_step", [2]), ("no_tool", [0])) or kind == "multi_turn"
        assert len(steps) == 1 or kind == "multi_turn"


def test_kinds_give_different_requests():
    for kind in KINDS[:3]:
        requests = {task(seed, kind).turns[0].request for seed in range(100)}
        assert len(requests) > 60
    asked_back = [turn for seed in range(50) for turn in task(seed, "multi_turn").turns if turn.missing]
    assert asked_back


def test_broken_conversations_are_found():
    one = task(1, "multi_step")
    system, user, first, result, second, done, answer = reference(one, True)
    broken = {
        "not what the API answers": (system, user, first, Message("tool", "[]"), second, done, answer),
        "ends in another state": (system, user, first, result, answer),
        "is the result of no call": (system, user, first, result, result, second, done, answer),
        "before the results of all calls": (system, user, first, second, done, answer),
        "not an assistant's text": (system, user, first, result, second, done),
        "fails": (
            system,
            user,
            dataclasses.replace(first, tool_calls=(ToolCall("x", {}),)),
            result,
            second,
            done,
            answer,
        ),
        "has </think> in its text": (system, user, first, result, second, done, Message("assistant", "a</think>b")),
    }
    for reason, messages in broken.items():
        assert any(reason in fault for fault in faults(one, messages)), (reason, faults(one, messages))
    assert faults(one, ())


def test_a_policy_is_asked_where_the_office_changes():
    number = 0
    for seed in range(40):
        for kind in KINDS:
            one = task(seed, kind)
            found = list(choices(one, thinking=False))
            number += len(found)
            assert (kind == "no_tool") == (not found)
            for choice in found:
                assert choice.messages[-1].role in ("user", "tool")
                arguments = arguments_of(one.seed, choice.done, (choice.wanted,))
                assert arguments["wanted"] != digest(new_office(one.seed)) or choice.done
                assert judge(arguments, (choice.wanted,)) == ("right", None)
                assert judge(arguments, ())[0] == "wrong"
    assert number > 120
