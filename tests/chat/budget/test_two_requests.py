"""The client of two requests, against an endpoint that writes canned streams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.chat.budget.automaton import Budget
from nemotron_assets.chat.budget.tags import Tags, well_formed
from nemotron_assets.chat.budget.two_requests import Ask, Completion, ask
from tests.chat.budget.streams import CASES, END, PROMPT


def ids(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids


class Endpoint:
    """Writes a stream on, whatever the client appends, and forgets what the client throws away."""

    def __init__(self, stream: str, tokenizer) -> None:
        self.stream, self.tokenizer, self.asked = stream, tokenizer, []

    def __call__(self, request: Ask) -> Completion:
        self.asked.append(request)
        written = request.written
        place = next(n for n in range(len(written), -1, -1) if written.startswith(self.stream[:n]))
        rest, reason = self.stream[place:].partition(END)[0], "stop" if END in self.stream[place:] else "length"
        tokens = ids(self.tokenizer, rest)
        if len(tokens) > request.max_tokens:
            rest, reason = self.tokenizer.decode(tokens[: int(request.max_tokens)], skip_special_tokens=False), "length"
        ends = [rest.index(stop) for stop in request.stops if stop in rest]
        return Completion(rest[: min(ends)], "stop") if ends else Completion(rest, reason)


def run(case, tokenizer, **options):
    endpoint = Endpoint(case.text, tokenizer)
    encode = lambda text: ids(tokenizer, text)  # noqa: E731
    return ask(endpoint, Tags.of(tokenizer), encode, encode(case.prompt), case.budget, case.total, **options), endpoint


#: Where the client differs from the processors: it ends a line with a full stop, for which it keeps a token free, and
#: cannot ban tokens.
CLIENT = {
    "forced close": "abcdefg.\n</think>\n\nabcde",
    "reopened tag": "ab</think>c",
    "second open in the thought": "a.\n</think>\n\n",
    "end inside the thought": "ab.\n</think>\n\n",
    "close inside a tool call": "<TOOLCALL>[</think</TOOLCALL>\n</think>\n\n>]</TOOLCALL>\na",
    "tool call after the budget": "abcd<TOOLCALL.\n</think>\n\n>e\nf",
    "budget beyond the context": "abcdefghijk.\n</think>\n\nlmnopa",
    "tool call open at the end of the context": "a<TOOLCALL>bbbbbbbbbb</TOOLCALL>\n</think>\n\nbbbbbbb",
    "no thought": "abc",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_canned_streams(letters, case):
    answer, endpoint = run(case, letters)
    assert answer.text == CLIENT.get(case.name, case.expected.replace(END, ""))
    assert well_formed(case.prompt.rpartition("Assistant")[2] + answer.text)
    assert len(endpoint.asked) == answer.requests <= 3


def test_the_published_client(letters):
    """Without a grace: B tokens, then a full stop, the close, and a second request for the rest."""
    endpoint = Endpoint("abcdefgabc" + END, letters)
    encode = lambda text: ids(letters, text)  # noqa: E731
    answer = ask(endpoint, Tags.of(letters), encode, encode(PROMPT), Budget(4, 0), 50)
    first, second = endpoint.asked
    assert (first.written, first.max_tokens) == ("", 4)
    assert second.written == "abcd.\n</think>\n\n"
    assert second.max_tokens == 50 - len(ids(letters, "abcd.\n</think>\n\n"))
    assert (answer.text, answer.closed_by) == ("abcd.\n</think>\n\nefgabc", "budget")


def test_a_model_that_opens_a_second_thought_is_shown_as_it_is(letters):
    """What a model does by itself: nothing is cut, so `well_formed` finds the second pair."""
    reopened = next(case for case in CASES if case.name == "reopened tag")
    answer, _ = run(reopened, letters, keep_one_pair=False)
    assert answer.text == "ab</think>c<think>d</think>e"
    assert not well_formed("<think>\n" + answer.text)


def test_a_letter_is_not_cut_in_two(bpe):
    """The budget may end between two bytes of a letter: the letter is left out."""
    endpoint = Endpoint("\U0001f600" * 9, bpe)
    encode = lambda text: ids(bpe, text)  # noqa: E731
    assert len(ids(bpe, "\U0001f600")) == 4, "four bytes, four tokens"
    answer = ask(endpoint, Tags.of(bpe), encode, encode(PROMPT), Budget(6, 0), 40)
    assert answer.text.startswith("\U0001f600.\n</think>\n\n")


_WORDS = ["<think>", "</think>", "<TOOLCALL>", "</TOOLCALL>", "<", "</", "think", "\n", "a b", END, ".", "\u00e9"]


@settings(deadline=None, max_examples=200)
@given(
    wanted=st.lists(st.sampled_from(_WORDS), max_size=50),
    budget=st.builds(Budget, st.integers(0, 40), st.integers(0, 10), st.integers(0, 20)),
    total=st.integers(60, 120),
)
def test_random_streams_keep_one_pair_and_the_room(bpe, wanted, budget, total):
    endpoint = Endpoint("".join(wanted), bpe)
    answer = ask(endpoint, Tags.of(bpe), lambda text: ids(bpe, text), ids(bpe, PROMPT), budget, total)
    assert well_formed("<think>\n" + answer.text), answer
    assert len(endpoint.asked) <= 3
    thought = answer.text.partition("</think>")[0]
    calls = sum(len(ids(bpe, call)) for call in thought.split("<TOOLCALL>")[1:])
    assert len(ids(bpe, thought)) <= budget.tokens + budget.grace + calls + 8
    assert all(asked.max_tokens > 0 for asked in endpoint.asked)
    assert len(ids(bpe, answer.text)) <= total
