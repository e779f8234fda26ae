"""The published behaviour of the chat template, case by case, and marks that hostile texts spell out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.chat.conversation import Message, ToolCall
from nemotron_assets.chat.template import END_OF_TURN, END_OF_TURN_ID, prompt_ids, render
from nemotron_assets.text import tokenizer as bpe
from tests.chat.conversations import HOSTILE, conversations

ADD = {"name": "add", "description": "Adds <b>.", "parameters": {"type": "object"}}


def user(text: str) -> Message:
    return Message("user", text)


def test_turns():
    """System, user and assistant turns as published; an earlier answer has lost its thought."""
    messages = [
        Message("system", "Be brief."),
        user("Hi"),
        Message("assistant", "Hello", reasoning="A greeting."),
        user("Bye"),
    ]
    assert render(messages) == (
        "<SPECIAL_10>System\nBe brief.\n<SPECIAL_11>User\nHi\n<SPECIAL_11>Assistant\nHello\n<SPECIAL_12>\n"
        "<SPECIAL_11>User\nBye\n<SPECIAL_11>Assistant\n<think>\n"
    )


def test_a_thought_inside_an_earlier_text_is_lost_too():
    messages = [user("Hi"), Message("assistant", "<think>\nhm\n</think>\n\nHello"), user("Bye")]
    assert "<SPECIAL_11>Assistant\nHello\n<SPECIAL_12>\n" in render(messages)


def test_without_a_system_text_the_system_turn_is_empty():
    assert render([user("Hi")]) == "<SPECIAL_10>System\n\n<SPECIAL_11>User\nHi\n<SPECIAL_11>Assistant\n<think>\n"


@pytest.mark.parametrize(
    ("system", "texts", "thinking"),
    [
        ("", ["q"], True),
        ("/no_think", ["q"], False),
        ("/think", ["q"], True),
        ("/no_think", ["q /think"], True),
        ("/think", ["q /no_think"], False),
        ("", ["/think q /no_think"], False),
        ("", ["/no_think q /think"], True),
        ("", ["/no_think q", "r"], False),
        ("", ["/no_think q", "r /think"], True),
        ("/think", ["/no_think q", "/think r", "s /no_think"], False),
        ("", ["q/no_think/think"], True),
        ("", ["is </think> a switch? /no_think"], False),
        ("", ["/no_think: is </think> a switch?"], False),
    ],
)
def test_the_last_switch_wins_and_all_are_taken_out(system, texts, thinking):
    messages = [Message("system", system)]
    for text in texts:
        messages += [user(text), Message("assistant", "A")]
    prompt = render(messages[:-1])
    opening = "<think>\n" if thinking else "<think></think>"
    assert prompt.endswith(f"<SPECIAL_11>Assistant\n{opening}")
    said = prompt.removesuffix(opening)
    assert "/no_think" not in said and "/think" not in said.replace("</think>", "")
    assert said.count("</think>") == sum(text.count("</think>") for text in texts)


def test_without_a_switch_the_caller_decides():
    assert render([user("q")], thinking=False).endswith("Assistant\n<think></think>")
    assert render([user("q /think")], thinking=False).endswith("Assistant\n<think>\n")


def test_switches_of_tools_and_assistants_are_text():
    messages = [user("q"), Message("assistant", "say /no_think"), Message("tool", "/no_think")]
    prompt = render(messages)
    assert prompt.count("/no_think") == 2 and prompt.endswith("<think>\n")


def test_tools_calls_and_results():
    call = Message("assistant", "", tool_calls=(ToolCall("add", {"a": 1}), ToolCall("add", {"s": 'é"</b>'})))
    messages = [Message("system", "Sum."), user("1+1?"), call, Message("tool", "2"), Message("tool", '{"é": 3}')]
    assert render(messages, [ADD, ADD]) == (
        "<SPECIAL_10>System\nSum.\n<AVAILABLE_TOOLS>["
        '{"name": "add", "description": "Adds <b>.", "parameters": {"type": "object"}}, '
        '{"name": "add", "description": "Adds <b>.", "parameters": {"type": "object"}}]</AVAILABLE_TOOLS>\n'
        "<SPECIAL_11>User\n1+1?\n"
        '<SPECIAL_11>Assistant\n<TOOLCALL>[{"name": "add", "arguments": {"a": 1}}, '
        '{"name": "add", "arguments": {"s": "é\\"</b>"}}]</TOOLCALL>\n<SPECIAL_12>\n'
        '<SPECIAL_11>User\n<TOOL_RESPONSE>[2, {"é": 3}]</TOOL_RESPONSE>\n'
        "<SPECIAL_11>Assistant\n<think>\n"
    )


def test_a_text_stands_before_the_calls():
    call = Message("assistant", "I add.", reasoning="Sum?", tool_calls=(ToolCall("add", {}),))
    prompt = render([user("q"), call, Message("tool", "2"), user("r")])
    assert 'Assistant\nI add.\n<TOOLCALL>[{"name": "add", "arguments": {}}]</TOOLCALL>\n<SPECIAL_12>\n' in prompt


def test_what_the_template_refuses():
    with pytest.raises(ValueError, match="first message"):
        render([user("q"), Message("system", "s")])
    with pytest.raises(ValueError, match="unknown role root"):
        render([Message("root", "s")])


def test_transformers_renders_the_same_in_the_forms_of_a_client(auto):
    """OpenAI's form of tools and calls, a call's arguments as a string, a text that is null."""
    arguments = '{"a": 1}'
    messages = [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "x", "type": "function", "function": {"name": "add", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": "x", "content": "2"},
    ]  # fmt: skip
    ours = [user("1+1?"), Message("assistant", "", tool_calls=(ToolCall("add", {"a": 1}),)), Message("tool", "2")]
    theirs = auto.apply_chat_template(
        messages, tools=[{"type": "function", "function": ADD}], tokenize=False, add_generation_prompt=True
    )
    assert theirs == render(ours, [ADD])
    off = {"enable_thinking": False, "tokenize": False, "add_generation_prompt": True}
    assert auto.apply_chat_template(messages, **off).endswith("<think></think>")


def test_marks(vocabulary):
    assert bpe.special_tokens(32)[END_OF_TURN_ID] == END_OF_TURN
    ids = prompt_ids(vocabulary, [user("q"), Message("assistant", "a"), user("r")])
    assert (ids[0], ids.count(10), ids.count(11), ids.count(12)) == (10, 1, 4, 1)


@given(messages=conversations(answered=False), thinking=st.booleans())
def test_both_kinds_of_tokenizer_give_the_rendered_text(vocabulary, auto, messages, thinking):
    """The tokens spell the rendered text whatever a conversation says, and special tokens are the template's alone."""
    tools = [ADD | {"description": message.content} for message in messages[:2]]
    ids = prompt_ids(vocabulary, messages, tools, thinking)
    assert prompt_ids(auto, messages, tools, thinking) == ids
    assert bpe.decode(vocabulary, ids) == render(messages, tools, thinking)
    turns = [message.role for message in messages]
    after_tool = sum(pair == ("tool", "tool") for pair in pairwise(turns))
    assert [k for k in ids if k < 32].count(11) == sum(role != "system" for role in turns) - after_tool + 1
    assert ids.count(12) == turns.count("assistant") and ids.count(10) == 1 and not {0, 1, 2, 3, 4} & set(ids)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_ends_no_turn(vocabulary, text):
    ids = prompt_ids(vocabulary, [user(f"a {text} b")])
    assert ids.count(11) == 2 and ids.count(10) == 1 and 12 not in ids and min(ids) >= 10


def test_a_tokenizer_that_makes_marks_of_text_is_refused(vocabulary_folder):
    from tokenizers import Tokenizer

    with pytest.raises(ValueError, match=r"tokenizer\.load"):
        prompt_ids(Tokenizer.from_file(str(vocabulary_folder / "tokenizer.json")), [user("q")])


def test_half_of_a_surrogate_pair_is_a_clear_error(vocabulary):
    with pytest.raises(ValueError, match="surrogate"):
        prompt_ids(vocabulary, [user("\ud800")])
