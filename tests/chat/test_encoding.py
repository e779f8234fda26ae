"""What is trained: the assistant's own tokens and nothing else, after exactly the prompt that inference has."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nemotron_assets.chat.conversation import Message, ToolCall
from nemotron_assets.chat.encoding import training_rows
from nemotron_assets.chat.template import prompt_ids, render
from nemotron_assets.text import tokenizer as bpe
from tests.chat.conversations import conversations

ADD = {"name": "add", "description": "Adds.", "parameters": {"type": "object"}}
CALL = Message("assistant", "I add.", reasoning="Sum?", tool_calls=(ToolCall("add", {"a": 1}),))


def trained_text(vocabulary, row) -> str:
    """The trained tokens as text; they must be the tail of the row."""
    first = row.trained.index(True)
    assert all(row.trained[first:])
    return bpe.decode(vocabulary, row.ids[first:])


@pytest.mark.parametrize(
    ("user", "answer", "prompt_end", "trained"),
    [
        ("q", Message("assistant", "A.", "hm"), "<think>\n", "hm\n</think>\n\nA.\n<SPECIAL_12>"),
        ("q", Message("assistant", " A.\n", "\nhm "), "<think>\n", "hm\n</think>\n\nA.\n<SPECIAL_12>"),
        ("q /no_think", Message("assistant", "A."), "<think></think>", "A.\n<SPECIAL_12>"),
        ("q /no_think", Message("assistant", "A.", ""), "<think></think>", "A.\n<SPECIAL_12>"),
        ("q", Message("assistant", "A."), "<think>\n", "</think>\n\nA.\n<SPECIAL_12>"),
        ("q", CALL, "<think>\n", "Sum?\n</think>\n\nI add.\n"
         '<TOOLCALL>[{"name": "add", "arguments": {"a": 1}}]</TOOLCALL>\n<SPECIAL_12>'),
        ("q /no_think", Message("assistant", "", tool_calls=(ToolCall("f"),)), "<think></think>",
         '<TOOLCALL>[{"name": "f", "arguments": {}}]</TOOLCALL>\n<SPECIAL_12>'),
    ],
)  # fmt: skip
def test_one_answer(vocabulary, user, answer, prompt_end, trained):
    (row,) = training_rows(vocabulary, [Message("user", user), answer], [ADD])
    assert trained_text(vocabulary, row) == trained
    assert row.ids[-1] == 12 and row.trained[-1]
    prompt = row.ids[: row.trained.index(True)]
    assert bpe.decode(vocabulary, prompt).endswith("<SPECIAL_11>Assistant\n" + prompt_end)


def test_each_answer_has_a_row_that_inference_sees(vocabulary):
    """The earlier answer appears without its thought, and only the last answer of a row is trained."""
    messages = [Message("user", "q"), CALL, Message("tool", "2"), Message("assistant", "Two.", "Got 2.")]
    first, second = training_rows(vocabulary, messages, [ADD])
    assert bpe.decode(vocabulary, second.ids).count("Sum?") == 0
    assert trained_text(vocabulary, second) == "Got 2.\n</think>\n\nTwo.\n<SPECIAL_12>"
    assert second.ids.count(12) == 2 and sum(second.trained) < len(second.ids)
    assert second.ids[: len(first.ids)] != first.ids  # why there are two rows
    assert training_rows(vocabulary, messages, [ADD], last=1) == [second]


@given(messages=conversations(), thinking=st.booleans())
def test_rows_of_any_conversation(vocabulary, messages, thinking):
    """A row is the prompt of inference, then what this prompt leads to; only the latter is trained."""
    try:
        rows = training_rows(vocabulary, messages, [ADD], thinking)
    except ValueError as error:
        assert "thinking is off" in str(error)
        return
    turns = [number for number, message in enumerate(messages) if message.role == "assistant"]
    assert len(rows) == len(turns)
    for turn, row in zip(turns, rows, strict=True):
        answer, prompt = messages[turn], prompt_ids(vocabulary, messages[:turn], [ADD], thinking)
        assert row.ids[: len(prompt)] == prompt
        assert row.trained == [False] * len(prompt) + [True] * (len(row.ids) - len(prompt))
        written = trained_text(vocabulary, row)
        assert written.endswith("\n<SPECIAL_12>") and row.ids[-1] == 12
        assert [k for k in row.ids[len(prompt) :] if k < 32] == [12]  # no other special token, and this one once
        on = bpe.decode(vocabulary, prompt).endswith("<think>\n")
        assert written.count("</think>") == on
        thought, _, said = written.partition("</think>\n\n") if on else ("", "", written)
        assert thought.strip() == (answer.reasoning or "").strip()
        assert said.startswith(answer.content.strip())
        assert ("<TOOLCALL>[" in said) == bool(answer.tool_calls)


_plain = st.text("abc Z.,01\n-é", max_size=20)
_starts = st.sampled_from(("Well", "so", "Zé"))


@given(
    users=st.lists(_plain, min_size=1, max_size=3),
    answers=st.lists(st.tuples(_starts, _plain, _starts, _plain), min_size=3, max_size=3),
    tools=st.booleans(),
)
def test_equal_to_the_mask_of_transformers(vocabulary, auto, users, answers, tools):
    """Ids and mask are those of `apply_chat_template`, where a token ends at the opening of the thought.

    Here each thought begins with a letter, so this is always the case. transformers also renders the newline after
    the end of turn, which no model writes.
    """
    messages: list[Message] = []
    for user, (a, b, c, d) in zip(users, answers, strict=False):
        calls = (ToolCall("add", {d: 1}),) if tools else ()
        messages += [Message("user", user), Message("assistant", c + d, reasoning=a + b, tool_calls=calls)]
    theirs = auto.apply_chat_template(
        [
            {"role": m.role, "content": m.content, "reasoning": m.reasoning,
             "tool_calls": [{"function": {"name": c.name, "arguments": c.arguments}} for c in m.tool_calls]}
            for m in messages
        ],
        tools=[{"type": "function", "function": ADD}] if tools else None,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )  # fmt: skip
    row = training_rows(vocabulary, messages, [ADD] if tools else [])[-1]
    assert theirs["input_ids"] == row.ids + bpe.encode(vocabulary, "\n")
    assert theirs["assistant_masks"] == [*map(int, row.trained), 0]


@given(messages=conversations(thoughts=False))
def test_trained_tokens_continue_the_prompt_of_the_next_turn(vocabulary, messages):
    """The next prompt has the text of the trained answer, without the thought: what a model said, it reads again."""
    next_turn = [*messages, Message("user", "next")]
    row = training_rows(vocabulary, messages)[-1]
    written = trained_text(vocabulary, row).removeprefix("</think>\n\n")
    history = render(messages[:-1]).removesuffix("<think>\n").removesuffix("<think></think>") + written + "\n"
    assume(row.ids)
    assert render(next_turn).startswith(history)
    assert bpe.decode(vocabulary, prompt_ids(vocabulary, next_turn)).startswith(history)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([Message("user", "q")], "no message of an assistant"),
        ([Message("user", "q"), Message("assistant", "a </think> b")], "message 1 has </think>"),
        ([Message("user", "q"), Message("assistant", "b", "a <think>")], "message 1 has <think>"),
        ([Message("user", "q"), Message("assistant", "<TOOLCALL>[]")], "message 1 has <TOOLCALL>"),
        ([Message("user", "q"), Message("assistant", " \n")], "message 1 is empty"),
        ([Message("user", "q"), Message("assistant", "", None, (ToolCall(""),))], "a tool without a name"),
        ([Message("user", "q"), Message("assistant", "", None, (ToolCall("f", {"</think>": 1}),))], "1 has </think>"),
        ([Message("user", "q", "hm"), Message("assistant", "a")], "message 0 has a thought or calls"),
        ([Message("user", "q"), Message("system", "s"), Message("assistant", "a")], "only the first message"),
        ([Message("user", "q /no_think"), Message("assistant", "a", "hm")], "thinking is off"),
    ],
)
def test_what_cannot_be_trained_on_is_an_error(vocabulary, messages, words):
    with pytest.raises(ValueError, match=words):
        training_rows(vocabulary, messages)
