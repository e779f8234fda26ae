"""Reading what a model wrote: the form of the template and nothing else, any text, in pieces of any size."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.chat.conversation import ToolCall
from nemotron_assets.chat.parsing import MAX_CALLS, AnswerReader, Parsed, ThoughtReader, parse
from nemotron_assets.chat.template import answered
from tests.chat.conversations import conversations

CALL = '<TOOLCALL>[{"name": "add", "arguments": {"a": 1}}]</TOOLCALL>'
ADD = ToolCall("add", {"a": 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hm\n</think>\n\nA.\n<SPECIAL_12>", Parsed("hm", "A.")),
        ("</think>\n\nA.", Parsed("", "A.")),
        (f"Sum?\n</think>\n\nI add.\n{CALL}\n<SPECIAL_12>", Parsed("Sum?", "I add.", (ADD,))),
        (f"Sum?\n</think>\n\n{CALL}", Parsed("Sum?", "", (ADD,))),
        ('x</think><TOOLCALL>[{"name": "add", "arguments": {"a": 1}}, {"name": "f", "arguments": {}}]</TOOLCALL>',
         Parsed("x", "", (ADD, ToolCall("f", {})))),
        ("hm, cut", Parsed("hm, cut", "", (), ("the thought has no </think>",))),
        ("", Parsed("", "", (), ("the thought has no </think>",))),
        ("a <think> b\n</think>\nA.", Parsed("a <think> b", "A.", (), ("<think> stands inside the thought",))),
        ("a</think>A. </think> B.", Parsed("a", "A. </think> B.", (), ("</think> stands in the answer",))),
        ("a</think>A. <think> B.", Parsed("a", "A. <think> B.", (), ("<think> stands in the answer",))),
        ("a</th", Parsed("a</th", "", (), ("the thought has no </think>",))),
        ("a</think>A <TOOLC", Parsed("a", "A <TOOLC")),
        (f"a {CALL}\n</think>\n\nA.", Parsed(f"a {CALL}", "A.")),  # a call inside the thought is a thought
        (f"a</think>{CALL} more", Parsed("a", "more", (ADD,), ("there is text after the calls",))),
        (f"a</think>{CALL}{CALL}", Parsed("a", CALL, (ADD,), (
            "<TOOLCALL> stands in the answer", "there is text after the calls", "</TOOLCALL> stands in the answer"))),
        ("a</think>A. </TOOLCALL>", Parsed("a", "A. </TOOLCALL>", (), ("</TOOLCALL> stands in the answer",))),
        ('a</think>A. <TOOLCALL>[{"name": "f"',
         Parsed("a", 'A. <TOOLCALL>[{"name": "f"', (), ("the list of calls has no </TOOLCALL>",))),
    ],
)  # fmt: skip
def test_an_answer_after_a_thought(text, expected):
    assert parse(text) == expected


def test_an_answer_without_a_thought():
    assert parse(f"A.\n{CALL}\n<SPECIAL_12>", thinking=False) == Parsed(None, "A.", (ADD,))
    assert parse("A. </think>", thinking=False).problems == ("</think> stands in the answer",)


DEEP = "[" * 200_000


@pytest.mark.parametrize(
    ("calls", "words"),
    [
        ("", "Expecting value"),
        ("[]", "1 to 128 calls"),
        ("{}", "1 to 128 calls"),
        ("[1]", "not an object with name"),
        ('[{"name": "f"}]', "not an object with name"),
        ('[{"name": "f", "arguments": {}, "id": 1}]', "and nothing else"),
        ('[{"name": "", "arguments": {}}]', "not a text"),
        ('[{"name": 1, "arguments": {}}]', "not a text"),
        ('[{"name": "f", "arguments": "{}"}]', "not an object"),
        ('[{"name": "f", "arguments": {"a": NaN}}]', "NaN is not JSON"),
        ('[{"name": "f", "arguments": {"a": 1, "a": 2}}]', "a key twice"),
        ('[{"name": "f", "arguments": {"a": "\\ud800"}}]', "surrogates not allowed"),
        ('[{"name": "f", "arguments": {"a": ' + "9" * 5_000 + "}}]", "limit"),
        ("[" + ", ".join(['{"name": "f", "arguments": {}}'] * (MAX_CALLS + 1)) + "]", "1 to 128 calls"),
        (DEEP, "too deeply"),
        ("[{'name': 'f', 'arguments': {}}]", "Expecting"),
    ],
)
def test_other_lists_of_calls_stay_text(calls, words):
    parsed = parse(f"t</think>A.\n<TOOLCALL>{calls}</TOOLCALL>")
    assert parsed.tool_calls == () and parsed.content == f"A.\n<TOOLCALL>{calls}</TOOLCALL>"
    (problem,) = parsed.problems
    assert words in problem


_bits = st.sampled_from(
    ("<think>", "</think>", "<TOOLCALL>", "</TOOLCALL>", "<", "</", "<TOOL", "think>", "\n", " ", "[", "]", "{",
     '"', '{"name": "f", "arguments": {}}', '{"name": "f", "arguments": {"x": "</"}}', ",", "word",
     "é", CALL, "<SPECIAL_12>")
)  # fmt: skip
_texts = st.lists(st.one_of(_bits, _bits, st.text(max_size=5)), max_size=14).map("".join)


@given(text=_texts, sizes=st.lists(st.integers(1, 7), min_size=1, max_size=20), thinking=st.booleans())
def test_any_text_in_pieces_of_any_size(text, sizes, thinking):
    """Nothing raises, nothing is lost, and the pieces give what the whole gives."""
    whole = parse(text + "<SPECIAL_12>", thinking)
    first, answer = ThoughtReader(), AnswerReader()
    thought, content, calls, at, turn = "", "", [], 0, 0
    while at < len(text):
        piece: str | None = text[at : at + sizes[turn % len(sizes)]]
        at, turn = at + len(piece), turn + 1
        if thinking and not first.closed:
            more, piece = first.feed(piece)
            thought += more
        if piece is not None:
            read = answer.feed(piece)
            content, calls = content + read.content, calls + [*read.calls]
    thought += first.end() if thinking else ""
    last = answer.end()
    content, calls = content + last.content, calls + [*last.calls]
    assert (thought if thinking else None, content, tuple(calls)) == (
        whole.reasoning,
        whole.content,
        whole.tool_calls,
    )


@given(text=_texts, thinking=st.booleans())
def test_nothing_is_lost(text, thinking):
    """Every word is in the thought, in the answer or in a call."""
    parsed = parse(text + "<SPECIAL_12>", thinking)
    given_out = (parsed.reasoning or "") + parsed.content
    for word in ("word", "é", "[", '"'):
        if not parsed.tool_calls:
            assert text.count(word) == given_out.count(word)


@given(messages=conversations(), thinking=st.booleans())
def test_what_the_template_writes_is_read_back(messages, thinking):
    """parse is the inverse of the template: an answer that a model learned is read as the message it came from."""
    answer = messages[-1]
    try:
        prompt, written = answered(messages, (), thinking, sign="")
    except ValueError:
        return
    parsed = parse(written, thinking=prompt.endswith("<think>\n"))
    assert parsed.content == answer.content.strip()
    assert parsed.tool_calls == tuple(answer.tool_calls)
    assert (parsed.reasoning or "") == (answer.reasoning or "").strip() and not parsed.problems


@pytest.mark.parametrize("flood", ["<think>", "</think>", "<TOOLCALL>", " ", "<", CALL, "</TOOLCALL>", "[", '{"a":'])
def test_floods_take_time_in_proportion_to_their_length(flood):
    """A megabyte of one sign, whole and in small pieces, takes seconds at most and leaves few problems."""
    text = "x</think>" + flood * (1_000_000 // len(flood))
    started = time.process_time()
    parsed = parse(text)
    reader = AnswerReader()
    for at in range(0, 200_000, 3):
        reader.feed(text[at : at + 3])
    reader.end()
    assert time.process_time() - started < 10 and len(parsed.problems) < 5
