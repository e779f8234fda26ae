"""Conversations from files and from the hub: sound ones are taken, broken and hostile ones are rejected."""

from __future__ import annotations

import json

import polars as pl
import pytest

from nemotron_assets.align.conversations import from_records
from nemotron_assets.align.conversations.from_records import (
    MOST_BYTES,
    conversations,
    files,
    own_files,
    read_file,
    read_hub,
)
from nemotron_assets.align.conversations.safety import kept
from nemotron_assets.chat.conversation import Message, ToolCall
from nemotron_assets.recipe.align.conversations import FileSource, HubSource, Safety
from nemotron_assets.recipe.section import RecipeError

SAID = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "reasoning": "t"}]


def taken(records: list, **more) -> tuple[list, list]:
    rejected: list = []
    numbered = [("set", number, record) for number, record in enumerate(records, 1)]
    return list(conversations(numbered, "part", "chat", rejected.append, **more)), rejected


def test_the_own_set_is_sound():
    rejected: list = []
    records = [record for path in own_files() for record in read_file(path, path.stem)]
    found = [one for one, _ in conversations(records, "own", "chat", rejected.append)]
    assert not rejected and len(found) == len({one.id for one in found}) > 70
    assert {one.domain for one in found} == {"chat", "code", "math", "multilingual", "safety", "science"}
    labels = [
        label for (one, label) in conversations(records, "own", "chat", rejected.append) if one.domain == "safety"
    ]
    assert labels.count(True) > 10 and labels.count(False) > 10


def test_published_forms_are_read():
    thought = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "<think>\nt\n</think>\n\na"}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    called = [
        {"role": "user", "content": "q", "tool_calls": None},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "3"},
        {"role": "assistant", "content": "a"},
    ]
    tools = json.dumps([{"name": "f", "description": "", "parameters": {}}])
    records = [{"messages": thought}, {"messages": json.dumps(SAID)}, {"messages": called, "tools": tools, "id": "x"}]
    found, rejected = taken(records)
    assert not rejected
    first, second, third = (one for one, _ in found)
    assert first.messages[1] == Message("assistant", "a", "t") and second.messages[1].reasoning == "t"
    assert third.messages[1].tool_calls == (ToolCall("f", {"x": 1}),) and third.tools[0]["name"] == "f"
    assert third.messages[0].content == "q /no_think" and third.status == "unverified"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("it is not a line of JSON: x", "it is not a line of JSON"),
        ([1], "it is a list, not an object"),
        ({}, "messages"),
        ({"messages": [{"role": "user", "content": "q"}]}, "no message of an assistant"),
        ({"messages": [*SAID, {"role": "user", "content": "q"}]}, "no answer ends it"),
        ({"messages": [{"role": "god", "content": "q"}]}, "has the role 'god'"),
        (
            {"messages": [SAID[0], {"role": "assistant", "content": "a </think> b <think> c"}]},
            "has <think> in its text",
        ),
        ({"messages": SAID, "domain": "poems"}, "the domain 'poems'"),
        ({"messages": SAID, "tools": [3]}, "tools are a list of objects"),
        ({"messages": SAID * 1_000}, "2,000 messages"),
        ({"messages": [{"role": "user", "content": "q" * (MOST_BYTES + 1)}, SAID[1]]}, "characters"),
        ({"messages": [SAID[0], {"role": "assistant", "content": ["a"]}]}, ""),
    ],
)
def test_broken_records_are_rejected_with_their_reason(record, said):
    found, (rejected,) = taken([record, {"messages": SAID}])
    assert len(found) == 1 and rejected.cause == "broken_conversation" and said in rejected.detail


def test_a_context_may_end_with_a_user():
    context = [*SAID, {"role": "user", "content": "and then?"}]
    assert not taken([{"messages": context}])[0]
    ((found, _),), rejected = taken([{"messages": context}], answered=False)
    assert found.messages[-1].content == "and then?" and not rejected


def test_files_of_both_kinds_are_read_within_bounds(tmp_path):
    lines = [
        json.dumps({"messages": SAID}).encode(),
        b"{",
        b"\xff\xfe",
        b"",
        b"x" * (MOST_BYTES + 9),
        b'{"messages": 3}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([*lines, lines[0]]))
    pl.DataFrame({"messages": [SAID], "language": ["de"]}).write_parquet(tmp_path / "b.parquet")
    first, second = files(FileSource(path=str(tmp_path)))
    records = [*read_file(first, "a"), *read_file(second, "b")]
    rejected: list = []
    found = [one for one, _ in conversations(records, "files", "chat", rejected.append)]
    assert len(found) == 3 and found[2].language == "de" and len(rejected) == 4
    assert any("4,194,304 bytes" in one.detail for one in rejected)
    with pytest.raises(RecipeError, match=r"align\.conversations\.files: .*nothing\.jsonl is no"):
        files(FileSource(path=str(tmp_path / "nothing.jsonl")))


def test_the_hub_without_a_network_is_an_error_in_words(monkeypatch):
    import datasets

    source = HubSource(dataset="nvidia/Nemotron-Post-Training-Dataset-v1", split="math", domain="math")

    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(RecipeError, match=r"align\.conversations\.hub: the data set nvidia/.*needs a network.*files"):
        list(read_hub(source, "align.conversations.hub"))


def test_rows_of_the_hub_are_filtered_and_bounded(monkeypatch):
    import datasets

    rows = [{"input": SAID[:1], "output": f"a{n}", "lang": "en" if n % 2 else "de"} for n in range(10)]
    asked = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *given, **named: asked.append((given, named)) or rows)
    source = HubSource(
        dataset="a/b", config="SFT", split="safety", domain="safety", column="input", answer="output",
        where={"lang": "en"}, max_rows=6,
    )  # fmt: skip
    found, rejected = taken([record for *_, record in read_hub(source, "k")])
    assert [one.messages[1].content for one, _ in found] == ["a1", "a3", "a5"] and not rejected
    assert asked == [(("a/b", "SFT"), {"split": "safety", "streaming": True})]
    assert from_records.Record


class Judge:
    """A language model whose answers are chosen by words of the text."""

    name = "judge"

    def __init__(self) -> None:
        self.asked: list = []

    def ask(self, requests):
        from dataclasses import dataclass

        @dataclass
        class Said:
            text: str

        for request in requests:
            self.asked.append(request)
            text = request.messages[1][1]
            if request.prompt == "safety_request":
                yield Said("harmful" if "bomb" in text else "benign")
            else:
                refused = "cannot" in text.split("<response>")[1]
                yield Said("right" if ("is harmful" in text) == refused else "wrong")


def test_the_filter_has_two_steps(monkeypatch):
    answers = [
        ("a bomb", "I cannot."),
        ("a bomb", "Sure."),
        ("a cake", "Sure."),
        ("a cake", "I cannot."),
        ("x" * 200, "a"),
    ]
    records = [
        {"domain": "safety", "messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}
        for q, a in answers
    ]
    found, rejected = taken([*records, {"messages": SAID}])
    judge = Judge()
    passed = list(kept(found, Safety(judge="generator", max_characters=150), judge, rejected.append))
    assert [(one.domain, one.status, one.verified_by) for one in passed] == [
        ("chat", "unverified", None), ("safety", "judged", "judge"), ("safety", "judged", "judge"),
    ]  # fmt: skip
    assert [one.data_set for one in passed[1:]] == ["set/harmful", "set/benign"]
    assert [one.cause for one in rejected] == ["too_long_to_judge", "unsafe_response", "unsafe_response"]
    assert len(judge.asked) == 8 and all(request.sampling.temperature == 0 for request in judge.asked)
    rejected.clear()
    assert [one.domain for one in kept(found, Safety(), None, rejected.append)] == ["chat"]
    assert {one.cause for one in rejected} == {"no_safety_label"} and len(rejected) == 5
