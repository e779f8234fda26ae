"""A talk with a canned server: what is shown where, what is kept, and what is asked."""

from __future__ import annotations

import io

import openai
import pytest

from nemotron_assets.chat.session import Display, Talk
from tests.chat.canned import Canned


@pytest.fixture
def canned():
    made = Canned()
    yield made
    made.server.shutdown()
    made.server.server_close()


def talk_with(canned, dim=False, **options) -> tuple[Talk, io.StringIO, io.StringIO]:
    out, aside = io.StringIO(), io.StringIO()
    client = openai.OpenAI(base_url=canned.url, api_key="k", max_retries=0)
    return Talk(client, "m", Display(out, aside, dim), **options), out, aside


THOUGHT = [
    {"reasoning": "so x"},
    {"reasoning": " = 3\nand"},
    {"reasoning": " so on"},
    {"content": "It "},
    {"content": "is 3."},
]


def test_the_answer_goes_to_one_place_and_the_thought_with_its_count_to_another(canned):
    canned.answers = [THOUGHT]
    talk, out, aside = talk_with(canned, budget=512, limits={"thinking_grace": 9}, temperature=0.5, max_tokens=None)
    assert talk.say("x?") == "It is 3."
    assert out.getvalue() == "It is 3.\n"
    assert aside.getvalue() == "     3/512 | so x = 3\n     6/512 | and so on\n9 tokens of thought\n\n"
    (body,) = canned.bodies
    assert body["vllm_xargs"] == {"thinking_budget": 512, "thinking_grace": 9}
    assert (body["temperature"], "max_tokens" in body, body["model"]) == (0.5, False, "m")


def test_several_turns_keep_the_answers_without_the_thoughts(canned):
    canned.answers = [THOUGHT, [{"content": "Yes."}]]
    talk, _, _ = talk_with(canned)
    talk.say("x?")
    talk.say("sure?")
    assert canned.bodies[1]["messages"] == [
        {"role": "user", "content": "x?"},
        {"role": "assistant", "content": "It is 3."},
        {"role": "user", "content": "sure?"},
    ]
    assert "vllm_xargs" not in canned.bodies[1]


def test_commands(canned):
    canned.answers = [[{"content": "A."}] for _ in range(3)]
    talk, _, _ = talk_with(canned)
    for line in ("/no_think", "/budget 7"):
        assert talk.command(line)
    assert all(talk.command(line) is None for line in ("why /think", "/etc/passwd is a file", "/thinking", "2 / 3"))
    assert "commands" in talk.command("/budget x") and "commands" in talk.command("/help")
    talk.say("q")
    talk.say("r")
    assert [m["content"] for m in talk.messages if m["role"] == "user"] == ["q /no_think", "r"]
    assert canned.bodies[0]["vllm_xargs"] == {"thinking_budget": 7}
    assert talk.command("/clear") and talk.command("/budget off")
    talk.say("s")
    assert canned.bodies[2]["messages"] == [{"role": "user", "content": "s"}] and "vllm_xargs" not in canned.bodies[2]


def test_a_message_that_the_server_refuses_is_forgotten(canned):
    canned.answers = [400, [{"content": "A."}]]
    talk, out, _ = talk_with(canned)
    talk.command("/no_think")
    with pytest.raises(openai.BadRequestError):
        talk.say("q")
    assert talk.messages == [] and out.getvalue() == ""
    talk.say("r")
    assert talk.messages[0]["content"] == "r /no_think"  # the switch waits for a message that arrives


def test_an_answer_without_room_says_so(canned):
    canned.answers = [[{"reasoning": "hm"}, {"reasoning": " hm", "end": "length"}], [{"content": "A", "end": "length"}]]
    talk, out, aside = talk_with(canned, budget=4)
    assert talk.say("q") == "" and talk.messages == []
    assert "ended after 6 tokens of thought" in aside.getvalue() and "no more room" in aside.getvalue()
    talk.say("r")
    assert out.getvalue() == "A\n" and aside.getvalue().count("no more room") == 2


def test_a_terminal_gets_dimmed_thoughts_and_no_text_steers_it(canned):
    canned.answers = [[{"reasoning": "a\x1b[2Jb"}, {"content": "c\x1b]0;title\x07d\te"}]]
    talk, out, aside = talk_with(canned, dim=True)
    talk.say("q")
    assert out.getvalue() == "c]0;titled\te\n"
    assert aside.getvalue().startswith("\x1b[2m     3 | a[2Jb\x1b[0m")


def test_the_servers_own_count_of_a_thought_goes_before_the_count_of_all_tokens(canned):
    """The last piece of the thought comes together with its close and the first tokens of the answer."""
    canned.answers = [[{"reasoning": "a\n", "thought": 2}, {"reasoning": "b", "thought": 4}, {"content": "c"}]]
    talk, _, aside = talk_with(canned, budget=4)
    talk.say("q")
    assert aside.getvalue() == "     2/4 | a\n     4/4 | b\n4 tokens of thought\n\n"


def test_pieces_are_counted_where_a_server_does_not_count_tokens():
    canned = Canned(usage=False)
    canned.answers = [THOUGHT]
    talk, _, aside = talk_with(canned, budget=5)
    talk.say("q")
    canned.server.shutdown()
    assert "3 tokens of thought" in aside.getvalue()
