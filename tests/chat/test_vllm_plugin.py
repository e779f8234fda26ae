"""vLLM's own parser object with our two parsers: canned token streams, whole and token by token, give one message."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from nemotron_assets.chat.conversation import Message
from nemotron_assets.chat.template import prompt_ids

pytestmark = pytest.mark.slow  # importing vLLM takes seconds

CALL = '<TOOLCALL>[{"name": "add", "arguments": {"a": 1, "s": "é"}}, {"name": "f", "arguments": {}}]</TOOLCALL>'
CALLED = [("add", {"a": 1, "s": "é"}), ("f", {})]
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def parser():
    """The class that vLLM's server makes for its two flags, from our plugin."""
    from vllm.parser import ParserManager
    from vllm.reasoning import ReasoningParserManager
    from vllm.tool_parsers import ToolParserManager

    ToolParserManager.import_tool_parser("nemotron_assets.chat.vllm_plugin")
    ReasoningParserManager.import_reasoning_parser("nemotron_assets.chat.vllm_plugin")
    return ParserManager.get_parser("nemotron", "nemotron", enable_auto_tools=True)


def request(user: str, **fields):
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    return ChatCompletionRequest(model="m", messages=[{"role": "user", "content": user}], **fields)


def streamed(parser, auto, asked, user: str, ids: list[int], step: int):
    """(reasoning, content, calls) of a stream that brings `step` tokens at a time."""
    made = parser(auto, asked.tools, chat_template_kwargs={})
    prompt, found = prompt_ids(auto, [Message("user", user)]), []
    before = ""
    for at in range(0, len(ids), step):
        text = auto.decode(ids[: at + step], skip_special_tokens=True)
        if text.endswith("\ufffd"):
            text = before
        delta = made.parse_delta(
            text[len(before) :], ids[at : at + step], asked, prompt, finished=at + step >= len(ids)
        )
        before = text
        if delta is not None:
            found.append(delta)
    calls = [call for delta in found for call in delta.tool_calls]
    assert [call.index for call in calls] == list(range(len(calls)))
    assert len({call.id for call in calls}) == len(calls)
    return (
        "".join(delta.reasoning or "" for delta in found),
        "".join(delta.content or "" for delta in found),
        [(call.function.name, json.loads(call.function.arguments)) for call in calls],
    )


@pytest.mark.parametrize("step", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("user", "text", "reasoning", "content", "calls"),
    [
        ("q", "hm, é\n</think>\n\nA < b.\n<SPECIAL_12>", "hm, é", "A < b.", []),
        ("q", f"hm\n</think>\n\nI add.\n{CALL}\n<SPECIAL_12>", "hm", "I add.", CALLED),
        ("q", f"</think>{CALL}", "", "", CALLED),
        ("q /no_think", f"A.\n{CALL}\n<SPECIAL_12>", "", "A.", CALLED),
        ("q /no_think", "A.\n<SPECIAL_12>", "", "A.", []),
        ("q", "hm, cut </th", "hm, cut </th", "", []),
        ("q", "hm</think>A <TOOLCALL>[{]</TOOLCALL>", "hm", "A <TOOLCALL>[{]</TOOLCALL>", []),
        ("q", 'hm</think>A <TOOLCALL>[{"name":', "hm", 'A <TOOLCALL>[{"name":', []),
        ("q", f"a {CALL}\n</think>\nA </think> <think> b", f"a {CALL}", "A </think> <think> b", []),
    ],
)  # fmt: skip
def test_a_stream_gives_the_message_of_the_whole(parser, auto, user, text, reasoning, content, calls, step):
    asked = request(user, tools=TOOLS)
    ids = auto(text)["input_ids"]
    assert streamed(parser, auto, asked, user, ids, step) == (reasoning, content, calls)
    whole = parser(auto, asked.tools, chat_template_kwargs={})
    said, answer, called = whole.parse(auto.decode(ids, skip_special_tokens=True), asked, enable_auto_tools=True)
    assert ((said or ""), (answer or "").strip()) == (reasoning, content)
    assert [(call.name, json.loads(call.arguments)) for call in called or ()] == calls


def test_without_tools_in_the_request_a_list_of_calls_is_text(parser, auto):
    asked, text = request("q"), f"hm\n</think>\n\nA {CALL}"
    assert asked.tool_choice == "none"
    assert streamed(parser, auto, asked, "q", auto(text)["input_ids"], 1) == ("hm", f"A {CALL}", [])
    assert parser(auto, None).parse(text, asked, enable_auto_tools=True) == ("hm", f"A {CALL}", [])


def test_where_a_thought_ends_in_tokens(parser, auto):
    """The last turn of the prompt decides, not a "</think>" that a user wrote; then the newest tokens decide."""
    reasoner = parser(auto, None).reasoning_parser
    assert not reasoner.is_reasoning_end(prompt_ids(auto, [Message("user", "what is </think> ?")]))
    assert reasoner.is_reasoning_end(prompt_ids(auto, [Message("user", "q /no_think")]))
    prompt, answer = prompt_ids(auto, [Message("user", "q")]), auto("hm " * 50 + "\n</think>\n\nA b c")["input_ids"]
    ended = [reasoner.is_reasoning_end_streaming(prompt + answer[: k + 1], [token]) for k, token in enumerate(answer)]
    first = ended.index(True)
    assert auto.decode(answer[: first + 1]).rstrip().endswith("</think>")
    assert auto.decode(reasoner.extract_content_ids(answer)).strip() == "A b c"
    thought = reasoner.count_reasoning_tokens(answer)
    assert auto.decode(answer[:thought]) == auto.decode(answer).partition("</think>")[0], "the close is not counted"
    assert reasoner.count_reasoning_tokens(answer[:first]) == first


@pytest.mark.parametrize(
    ("choice", "names", "most"),
    [("required", ["add", "f"], 1), ({"type": "function", "function": {"name": "f"}}, ["f"], None)],
)
def test_a_forced_call_gets_a_grammar_of_our_form(parser, auto, choice, names, most):
    """xgrammar, which vLLM uses for it, accepts our form with the tools that may be called, and no other text."""
    from tests.chat.grammar import accepts

    tool = {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "$defs": {"X": {"enum": ["</", 1]}}}
    tools = [*TOOLS, {"type": "function", "function": {"name": "f", "parameters": tool}}]
    more = {"parallel_tool_calls": False} if most else {}
    asked = request("q", tools=tools, tool_choice=choice, **more)
    parser(auto, asked.tools).adjust_request(asked)
    tag = asked.structured_outputs.structural_tag
    call = {name: f'{{"name": "{name}", "arguments": {{}}}}' for name in ("add", "f")}
    for name in ("add", "f"):
        assert accepts(tag, f"<TOOLCALL>[{call[name]}]</TOOLCALL>") == (name in names)
    assert accepts(tag, f"<TOOLCALL>[{call['f']}, {call['f']}]</TOOLCALL>") == (most is None)
    assert accepts(tag, '\n\n<TOOLCALL>[{"name": "f", "arguments": {"x": 1}}]</TOOLCALL>')
    for text in ("word", "<TOOLCALL>[]</TOOLCALL>", '<TOOLCALL>[{"name": "f", "arguments": {"x": 2}}]</TOOLCALL>'):
        assert not accepts(tag, text)


def test_prompts_of_a_client(auto):
    """Parts, a developer's message and OpenAI's form of tools give the prompt that training had; marks stay text."""
    from vllm.exceptions import VLLMValidationError

    from nemotron_assets.chat.vllm_plugin import _prompt, _thinks

    tool = {"name": "add", "description": None, "parameters": {"type": "object"}, "strict": None}
    ids = _prompt(
        None,
        auto,
        [{"role": "developer", "content": "s /no_think"}, {"role": "user", "content": "q <SPECIAL_12>"}],
        tools=[{"type": "function", "function": tool}],
        chat_template="ignored",
        reasoning_effort=None,
    )
    known = [{"name": "add", "parameters": {"type": "object"}}]
    assert ids == prompt_ids(auto, [Message("system", "s /no_think"), Message("user", "q <SPECIAL_12>")], known)
    assert 12 not in ids
    with pytest.raises(VLLMValidationError, match="first message"):
        _prompt(None, auto, [{"role": "user", "content": "q"}, {"role": "system", "content": "s"}])
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "/no_think"}]}]
    for messages, default, expected in (
        (parts, True, False),
        ([{"role": "user", "content": "q"}], True, True),
        ([{"role": "user", "content": "q"}], False, False),
        ([{"role": "developer", "content": "/no_think"}, {"role": "user", "content": "q </think>"}], True, False),
    ):
        assert _thinks(SimpleNamespace(messages=messages, continue_final_message=False), default) == expected
