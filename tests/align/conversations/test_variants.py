"""Copies of conversations: empty thoughts, cut thoughts, long conversations, and the switches in them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.align.conversations.rows import Conversation, user, with_switches
from nemotron_assets.align.conversations.variants import joined, no_think, truncated, with_copies
from nemotron_assets.chat.conversation import Message, problems
from nemotron_assets.chat.encoding import training_rows
from nemotron_assets.chat.template import render
from nemotron_assets.held_out import hash_is_held_out
from nemotron_assets.recipe.align.conversations import Copies
from nemotron_assets.text import tokenizer as text_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    text_tokenizer.save(text_tokenizer.train([["one two three four five"] * 3], 300, 32, 2), folder, 512)
    return text_tokenizer.load(folder)


def conversation(number: int, thought: str | None = "one two three", **own) -> Conversation:
    messages = with_switches([user(f"question {number}"), Message("assistant", f"answer {number}", thought)])
    given = {"part": "p", "key": (number,), "domain": "chat", "data_set": "d", "messages": messages,
             "origin_hash": str(number), "parents": (f"row-{number}",), "sources": ("sft.math_sft",)}  # fmt: skip
    return Conversation(**(given | own))


def test_a_copy_without_a_thought_renders_as_inference_asks_for_it():
    one = conversation(1)
    copy = no_think(one)
    assert copy.messages == (user("question 1 /no_think"), Message("assistant", "answer 1"))
    assert (copy.variant, copy.copy_of, copy.thinks) == ("no_think", one.id, False) and copy.id != one.id
    assert render(copy.messages[:1]).endswith("<think></think>") and render(one.messages[:1]).endswith("<think>\n")
    assert "no_think" not in render(copy.messages[:1])


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="abc öß😀\n", min_size=1, max_size=60), st.integers(1, 5), st.integers(0, 20))
def test_a_cut_thought_keeps_its_beginning_and_the_whole_answer(tokenizer, thought, least, more):
    one = conversation(1, thought.strip() or "a")
    whole = one.messages[1].reasoning
    tokens = text_tokenizer.encode(tokenizer, whole)
    copies = list(truncated(one, (least, least + more), tokenizer))
    assert len(copies) <= 1 and (len(tokens) > least or not copies)
    for copy in copies:
        kept = copy.messages[1].reasoning
        assert whole.startswith(kept) and len(kept) < len(whole)
        assert least <= copy.budget <= least + more
        assert len(text_tokenizer.encode(tokenizer, kept)) <= copy.budget
        assert copy.messages[1].content == "answer 1" and copy.copy_of == one.id and copy.variant == "truncated"


def test_shares_of_copies_are_those_asked_for(tokenizer):
    recipe = Copies(no_think_share=0.1, truncated_share=0.2, truncated_tokens=(1, 2), long_share=0.0)
    found = list(with_copies((conversation(number) for number in range(2_000)), recipe, tokenizer))
    counts = {name: sum(one.variant == name for one in found) for name in ("full", "no_think", "truncated")}
    assert counts["full"] == 2_000 and 150 < counts["no_think"] < 250 and 330 < counts["truncated"] < 470
    assert [one.id for one in found] == [
        one.id for one in with_copies((conversation(number) for number in range(2_000)), recipe, tokenizer)
    ]
    off = list(with_copies((conversation(number, None) for number in range(200)), recipe, tokenizer))
    assert len(off) == 200, "without a thought there is nothing to take away"


def test_long_conversations_refer_back_to_their_first_turns(tokenizer):
    recipe = Copies(no_think_share=0, truncated_share=0, long_share=1.0, long_tokens=(60, 90), questions_back=2)
    parts = [conversation(number, "one two" if number % 3 else None) for number in range(40)]
    long = [one for one in with_copies(parts, recipe, tokenizer) if one.variant == "concatenated"]
    assert len(long) > 2
    assert sorted(parent for one in long for parent in one.parents) == sorted(f"row-{number}" for number in range(40))
    for one in long:
        assert not problems(one.messages) and len(one.sources) == len(one.parents)
        if len(one.parents) < 3:  # the rest at the end: one question back
            continue
        *_, asked, quoted, again, repeated = [message.content for message in one.messages]
        first, second = one.messages[0].content.split(" /")[0], one.messages[3].content
        assert asked.startswith("What was the first thing") and quoted == f'You asked me: "{first}"'
        assert again.split(" /")[0].endswith("What did you answer?") and repeated == second
        assert len(text_tokenizer.encode(tokenizer, one.text)) >= 60 or one is long[-1]
        for row in training_rows(tokenizer, one.messages):
            assert any(row.trained)
    with_tools = [dataclasses.replace(one, tools=({"name": "t"},)) for one in parts]
    assert all(one.variant == "full" for one in with_copies(with_tools, recipe, tokenizer))


def test_a_joined_conversation_is_as_certain_as_its_least_certain_part():
    group = [conversation(1), conversation(2, status="judged"), conversation(3, status="majority")]
    assert joined(group, 1).status == "judged" and joined(group[:1] + group[2:], 1).status == "majority"


@given(st.lists(st.tuples(st.sampled_from(["q", "q /think", "/no_think q"]), st.booleans()), min_size=1, max_size=6))
def test_switches_stand_where_the_thinking_changes(turns):
    messages = [m for said, thinks in turns for m in (user(said), Message("assistant", "a", "t" if thinks else None))]
    found = with_switches(messages)
    assert with_switches(found) == found
    for number, (_, thinks) in enumerate(turns):
        assert render(found[: 2 * number + 1]).endswith("<think>\n" if thinks else "<think></think>")
    switches = sum("think" in message.content for message in found if message.role == "user")
    changes = sum(
        one != other for one, other in zip([True, *(t for _, t in turns)], [t for _, t in turns], strict=False)
    )
    assert switches == changes


def test_the_place_of_an_earlier_question_counts_all_that_the_user_said():
    def turns(number: int, count: int) -> Conversation:
        said = [m for k in range(count) for m in (user(f"q{number}.{k}"), Message("assistant", f"a{number}.{k}"))]
        return conversation(number, messages=with_switches(said))

    long = joined([turns(0, 2), turns(1, 6), turns(2, 3), turns(3, 1)], 3)
    asked = [message.content.split(" /")[0] for message in long.messages if message.role == "user"]
    questions = long.messages[-6:]
    assert [message.content for message in questions[1::2]] == [
        'You asked me: "q0.0"', "a1.0", 'You asked me: "q2.0"'
    ]  # fmt: skip
    assert "the first thing" in questions[0].content and asked[0] == "q0.0"
    assert "thing number 9 that" in questions[4].content and asked[8] == "q2.0"
    third = joined([turns(0, 1), turns(1, 1), turns(2, 1), turns(3, 1)], 3).messages[-2:]
    assert "the third thing" in third[0].content and "q2.0" in third[1].content


@given(st.floats(0, 0.9))
def test_a_long_conversation_is_held_out_if_a_part_of_it_is(share):
    parts = [conversation(number) for number in range(4)]
    held_out = any(hash_is_held_out(one.id, share) for one in parts)
    assert hash_is_held_out(joined(parts, 1).copy_of, share) == held_out


def test_held_out_conversations_are_not_joined(tokenizer):
    recipe = Copies(no_think_share=0, truncated_share=0, long_share=1.0, long_tokens=(60, 90), questions_back=1)
    parts = [conversation(number) for number in range(40)]
    made = with_copies(parts, recipe, tokenizer, held_out_share=0.4)
    learned = {parent for one in made if one.variant == "concatenated" for parent in one.parents}
    assert learned == {one.parents[0] for one in parts if not hash_is_held_out(one.id, 0.4)} != set()
