"""What the automaton of the thinking budget forces and bans, on canned and on random streams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.chat.budget.automaton import Budget, Phase, Thought, forced_tokens
from nemotron_assets.chat.budget.masking import mask
from nemotron_assets.chat.budget.tags import Tags, well_formed
from tests.chat.budget.streams import CASES, END, PROMPT, Model, write


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_canned_streams(letters, case):
    tags = Tags.of(letters)
    prompt = ids(letters, case.prompt)
    thought = Thought(tags, case.budget, prompt, case.total)

    def masking(made, logits):
        if made:
            thought.feed(made[-1])
        mask(logits, thought)
        return logits

    stream = [token for piece in case.pieces for token in ids(letters, piece)]
    end = letters.token_to_id(END)
    made = write(Model(stream, ids(letters, ".")[0], letters.get_vocab_size()), masking, case.total, end)
    text = "".join(tags.texts[token] for token in made)
    assert text == case.expected
    assert well_formed(case.prompt.rpartition("Assistant")[2] + text)


@pytest.mark.parametrize("which", ["letters", "whole_tags", "bpe"])
def test_random_streams_keep_one_pair_the_budget_and_the_room(which, request):
    """Whatever a model wants, a thought has one pair of tags and at most budget + grace tokens (and the rest of a tool
    call), and the answer has its room."""
    tokenizer = request.getfixturevalue(which)
    tags, vocabulary = Tags.of(tokenizer), tokenizer.get_vocab_size()
    prompt, filler = ids(tokenizer, PROMPT), ids(tokenizer, ".")[0]
    pieces = [
        "<think>",
        "</think>",
        "<TOOLCALL>",
        "</TOOLCALL>",
        "<",
        "</",
        "think",
        ">",
        "TOOL",
        "\n",
        "a b",
        END,
        ".",
    ]

    @settings(max_examples=150, deadline=None)
    @given(
        wanted=st.lists(st.sampled_from(pieces), max_size=60),
        budget=st.builds(Budget, st.none() | st.integers(0, 40), st.integers(0, 10), st.integers(0, 20)),
        total=st.integers(60, 120),
    )
    def holds(wanted, budget, total):
        thought = Thought(tags, budget, prompt, total)
        forced, in_call = [], 0  # `in_call`: tokens while a tool call was open

        def masking(made, logits):
            nonlocal in_call
            if made:
                thought.feed(made[-1])
            in_call += thought.in_call and thought.phase is Phase.THOUGHT
            forced.append(thought.forced is not None)
            mask(logits, thought)
            assert logits.isfinite().any()
            return logits

        stream = [token for piece in wanted for token in ids(tokenizer, piece)]
        made = write(Model(stream, filler, vocabulary), masking, total, tokenizer.token_to_id(END))
        text = "".join(tags.texts[token] for token in made)
        assert well_formed("<think>\n" + text), text
        thinking = text.partition("</think>")[0]
        if budget.tokens is not None:
            assert thought.tokens <= budget.tokens + budget.grace + in_call
        close = next(n for n in range(len(made) + 1) if "</think>" in "".join(tags.texts[t] for t in made[:n]))
        assert close + budget.answer_room <= total
        assert "<TOOLCALL>" not in thinking or thinking.rfind("</TOOLCALL>") > thinking.rfind("<TOOLCALL>")
        assert forced_tokens(tags, budget, prompt, made, total) == forced

    holds()


def test_a_thought_that_was_begun_in_the_prompt_counts(letters):
    tags = Tags.of(letters)
    assert Thought(tags, Budget(9, 9), ids(letters, PROMPT + "abc\nd")).tokens == 5
    assert Thought(tags, Budget(3, 9), ids(letters, PROMPT + "abcd\n")).forced == ids(letters, "<")[0]


def test_earlier_turns_are_not_read(letters):
    """Only the last turn of the prompt is the thought's: an open tag in a question, or in another turn, is not one."""
    tags = Tags.of(letters)
    earlier = (
        "<SPECIAL_11>Assistant\n<think>\nab</think>c<SPECIAL_12>\n<SPECIAL_11>User\n<think>\n<SPECIAL_11>Assistant\n"
    )
    assert Thought(tags, Budget(2, 2), ids(letters, earlier)).phase is Phase.BEFORE
    assert Thought(tags, Budget(2, 2), ids(letters, earlier + "<think></think>")).phase is Phase.ANSWER
    assert Thought(tags, Budget(2, 2), ids(letters, earlier + "<think>\n")).phase is Phase.THOUGHT


def test_a_stream_that_ignores_the_budget_is_followed(letters):
    """A completion from elsewhere may go on where the budget closes the thought."""
    tags, thought = Tags.of(letters), Thought(Tags.of(letters), Budget(2, 0), ids(letters, PROMPT), 100)
    stream = ids(letters, "abcdef</think>gh" + END)
    for token in stream:
        thought.feed(token)
    assert (thought.phase, thought.forced, thought.banned()) == (Phase.ENDED, None, ())
    flags = forced_tokens(tags, Budget(2, 0), ids(letters, PROMPT), stream, 100)
    assert not any(flags[:7])
    assert all(flags[7:14]), "a close that it began had to be completed"


@pytest.mark.parametrize(
    "wrong", [{"tokens": -1}, {"tokens": 1.5}, {"grace": None}, {"answer_room": -3}, {"tokens": True}]
)
def test_a_budget_is_whole_numbers(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} of a thinking budget is"):
        Budget(**{"tokens": 1, "grace": 1} | wrong)
