"""A conversation survives its stored form, and a stored form that is none says what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from nemotron_assets.chat.conversation import Message, ToolCall, from_json, problems, to_json, tools_from_json
from tests.chat.conversations import conversations


@given(conversations())
def test_stored_and_read_again(messages):
    read = from_json(to_json(messages))
    assert list(read) == [replace(message, reasoning=message.reasoning or None) for message in messages]
    assert not problems(messages)


def test_the_stored_form():
    call = Message("assistant", "", "hm", (ToolCall("add", {"a": 1}),))
    assert to_json([Message("user", "é"), call]) == (
        '[{"role": "user", "content": "é"}, {"role": "assistant", "content": "", "reasoning": "hm", '
        '"tool_calls": [{"name": "add", "arguments": {"a": 1}}]}]'
    )


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        ("{}", "a list of messages"),
        ("[1]", "message 0 is 1"),
        ('[{"role": "user", "content": "q"}, {"role": "user"}]', "message 1 is"),
        ('[{"role": "root", "content": "q"}]', "role 'root': use one of system, user"),
        ('[{"role": "user", "content": null}]', "texts must be strings"),
        ('[{"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]}]', "message 0 is"),
        ('[{"role": "assistant", "content": "", "tool_calls": [{"name": "f", "arguments": "{}"}]}]', "an object"),
        ('[{"role": "assistant", "content": "", "tool_calls": 7}]', "message 0 is"),
    ],
)
def test_anything_else_is_refused(stored, words):
    with pytest.raises(ValueError, match=words):
        from_json(stored)


def test_tools():
    assert tools_from_json(None) == []
    assert tools_from_json('[{"name": "f", "parameters": {}}]') == [{"name": "f", "parameters": {}}]
    for stored in ("{}", "[1]", '[{"name": 1}]'):
        with pytest.raises(ValueError, match="tools are"):
            tools_from_json(stored)
