"""Conversations and prompts: what becomes one, what is left out, and that held-out questions are never learned."""

from __future__ import annotations

import json

import polars as pl
import pytest

from nemotron_assets.align.conversations import audit, making, report, suite
from nemotron_assets.align.conversations.inputs import Inputs, no_writer
from nemotron_assets.align.conversations.rows import is_asked_only
from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS, SFT_TABLES, SUITE_ITEMS
from nemotron_assets.blend.tables import TOKENIZER
from nemotron_assets.grading.rewards import Rewards
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.align.conversations import (
    Conversations,
    FileSource,
    HubSource,
    Instructions,
    Prompts,
    SftSource,
    Tools,
)
from nemotron_assets.recipe.align.suite import TASKS, Suite, SuiteTask
from nemotron_assets.sft.release.tables import CONTAMINATED
from nemotron_assets.stages import all_tables
from nemotron_assets.table.parts import Parts
from nemotron_assets.text import tokenizer as text_tokenizer
from resources.lakehouse import QUARANTINE, Lakehouse

SMALL = Suite(tasks={name: SuiteTask(train_items=12, held_out_items=5, longest=3) for name in TASKS})
TOOLS = Tools(tasks={"single_turn": 4, "multi_step": 4, "multi_turn": 4, "no_tool": 2})
HELD_OUT, TRAINED = "0" * 32, "f" * 32


def sft_row(number: int, table: str = "sft.math_sft", **own) -> dict:
    row = dict.fromkeys(all_tables()[table].column_names)
    given = {
        "id": f"{table}-{number}", "parents": [], "sources": [], "category": "stem-sft", "prompt": "p",
        "language": "en", "question": f"What is {number} + 1?", "reasoning": "I add.", "answer": str(number + 1),
        "text": "t", "status": "verified", "verified_by": "math-verify", "generator": "g", "generation_ids": [],
        "origin_hash": TRAINED, "tokens": 9, "problem_source": "s", "problem_id": "p", "final_answer": str(number + 1),
        "sample": 0, "task": "gcd", "difficulty": "easy", "split": "train", "config": "{}", "seed": 1, "item_index": 1,
        "task_source": "s", "programming_language": "Python", "code": "c", "tests": ["assert f() == 1"],
    }  # fmt: skip
    return row | {name: value for name, value in (given | own).items() if name in row}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tokenizer's folder."""
    made = text_tokenizer.train([["What is the sum of a and b? <think> user"] * 3], 300, 32, 2)
    path = tmp_path_factory.mktemp("tokenizer")
    text_tokenizer.save(made, path, 512)
    return path


@pytest.fixture
def lake(tmp_path, folder):
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    uri, sha256 = lake.put_weights(folder, "tokenizer")[:2]
    row = {"id": "t", "name": "bpe", "vocabulary": 300, "special_tokens": 32, "uri": uri, "sha256": sha256,
           "training_documents": 1, "training_bytes": 1, "bytes_per_token": 1.0}  # fmt: skip
    write(lake, TOKENIZER.full_name, [row])
    return lake


def write(lake: Lakehouse, table: str, rows: list[dict]) -> None:
    declared = all_tables()[table]
    lake.write(declared, pl.DataFrame(rows, schema=declared.empty().schema))


def inputs(lake: Lakehouse, conversations: Conversations | None = None, prompts: Prompts | None = None) -> Inputs:
    conversations = conversations or Conversations(sft={}, own=False, tools=Tools(tasks={}))
    prompts = prompts or Prompts(sft={}, tools=Tools(tasks={}), instructions=Instructions(prompts=0))
    sections = {"align.suite": SMALL, "align.conversations": conversations, "align.prompts": prompts}
    recipe = load_recipe("laptop").with_sections(sections)
    lake.write(SUITE_ITEMS, Parts(suite.parts(SMALL)))
    names = (SUITE_ITEMS.full_name, CONTAMINATED.full_name, TOKENIZER.full_name, "evaluate.benchmarks", *SFT_TABLES)
    return Inputs(recipe, lake, {name: lake.read(all_tables()[name]) for name in names}, no_writer)


def made(lake: Lakehouse, conversations: Conversations | None = None, prompts: Prompts | None = None) -> pl.DataFrame:
    found = inputs(lake, conversations, prompts)
    lake.write(CONVERSATIONS, Parts(making.conversation_parts(found), rejects=found.rejects))
    return lake.read(CONVERSATIONS).scan().sort("id").collect()


def asked(lake: Lakehouse, prompts: Prompts | None = None) -> pl.DataFrame:
    found = inputs(lake, None, prompts)
    lake.write(PROMPTS, Parts(making.prompt_parts(found), rejects=found.rejects))
    return lake.read(PROMPTS).scan().sort("id").collect()


def test_items_of_the_suite_are_learned_or_asked_but_held_out_items_are_only_asked(lake):
    rows = made(lake, Conversations(sft={}, own=False, tools=Tools(tasks={}), thinking_share=0.5))
    whole = rows.filter(variant="full")
    items = lake.read(SUITE_ITEMS).scan().collect()
    assert set(whole["origin_hash"]) == set(items.filter(split="train")["content_hash"])
    shares = dict(whole.group_by("reasoning").len().iter_rows())
    assert shares["on"] > 20 and shares["off"] > 20
    for row in whole.iter_rows(named=True):
        question, answer = json.loads(row["messages"])
        assert (row["reasoning"] == "off") == question["content"].endswith(" /no_think")
        assert ("reasoning" in answer) == (row["reasoning"] == "on")
    prompts = asked(lake).filter(part=SUITE_ITEMS.full_name)
    answers = dict(items.select("id", "answer").iter_rows())
    for row in prompts.iter_rows(named=True):
        assert row["reference"] == answers[row["parents"][0]]
        assert json.loads(row["verifiers"]) == [{"name": "exact", "arguments": {}}]
    assert prompts.height == items.height
    assert not set(prompts.filter(split="held_out")["origin_hash"]) & set(rows["origin_hash"])
    assert not audit.learned_prompts(prompts.lazy(), rows.lazy())
    leaked = prompts.filter(split="held_out").head(1)
    learns = rows.head(1).with_columns(messages=leaked["messages"])
    assert audit.learned_prompts(prompts.lazy(), learns.lazy()) == leaked["id"].to_list()


def test_only_rows_of_sft_data_that_may_be_used_become_conversations(lake):
    statuses = ["verified", "majority", "judged", "unverified", "failed"]
    rows = [sft_row(number, status=status) for number, status in enumerate(statuses)]
    rows += [sft_row(10, origin_hash=HELD_OUT), sft_row(11, answer=" "), sft_row(12, reasoning=None), sft_row(13)]
    write(lake, "sft.math_sft", rows)
    found = dict.fromkeys(CONTAMINATED.column_names, "x") | {
        "id": "c", "parents": ["sft.math_sft-13"], "sources": ["sft.math_sft"], "source": "sft.math_sft",
        "removed": True, "matched": 1, "of": 1, "share": 1.0, "ngrams": [],
    }  # fmt: skip
    write(lake, CONTAMINATED.full_name, [found])
    write(lake, "sft.procedural", [sft_row(1, "sft.procedural", split="test"), sft_row(2, "sft.procedural")])
    only = {"own": False, "tools": Tools(tasks={})}

    def taken(sources: dict[str, SftSource]) -> pl.DataFrame:
        rows = made(lake, Conversations(sft=sources, **only))
        return rows.filter((pl.col("domain") != "suite") & (pl.col("variant") == "full"))

    conversations = taken({"sft.math_sft": SftSource(), "sft.procedural": SftSource()})
    assert sorted(parent for (parent,) in conversations["parents"]) == [
        *(f"sft.math_sft-{number}" for number in (0, 1, 12, 2)), "sft.procedural-2",
    ]  # fmt: skip
    without = conversations.filter(pl.col("parents").list.first() == "sft.math_sft-12").row(0, named=True)
    assert without["reasoning"] == "off" and json.loads(without["messages"])[0]["content"].endswith("/no_think")
    conversations = taken({"sft.math_sft": SftSource(unverified=True), "sft.procedural": SftSource(max_rows=0)})
    assert set(conversations["status"]) == {"verified", "majority", "judged", "unverified"}
    assert audit.held_out_rows(conversations.lazy(), 0.05) == 0
    assert audit.held_out_rows(conversations.with_columns(origin_hash=pl.lit(HELD_OUT)).lazy(), 0.05) == 5


def test_questions_of_sft_data_are_asked_or_learned_but_held_out_ones_are_only_asked(lake):
    write(lake, "sft.math_sft", [sft_row(number, known_answer=str(number + 1)) for number in range(60)] + [
        sft_row(99, status="judged"), sft_row(100, question="What is 5 + 1?"),
    ])  # fmt: skip
    items = [sft_row(1, "sft.procedural", split="test", question="gcd?"), sft_row(2, "sft.procedural", question="lcm?")]
    write(lake, "sft.procedural", items)
    write(lake, "sft.code_sft", [sft_row(1, "sft.code_sft"), sft_row(2, "sft.code_sft", tests=[])])
    sources = {name: SftSource() for name in ("sft.math_sft", "sft.procedural", "sft.code_sft")}
    recipe = Prompts(sft=sources, tools=Tools(tasks={}), instructions=Instructions(prompts=0), held_out_share=0.3)
    prompts = asked(lake, recipe).filter(pl.col("part").str.starts_with("sft."))
    counts = dict(prompts.filter(part="sft.math_sft").group_by("split").len().iter_rows())
    assert sum(counts.values()) == 60 and 5 < counts["held_out"] < 35, "one per question, and only with a known answer"
    assert dict(prompts.filter(part="sft.procedural").select("parents", "split").explode("parents").iter_rows()) == {
        "sft.procedural-1": "held_out", "sft.procedural-2": "train",
    }  # fmt: skip
    (code,) = prompts.filter(part="sft.code_sft")["verifiers"]
    assert json.loads(code) == [{"name": "code", "arguments": {"language": "Python", "code": "assert f() == 1"}}]
    rows = made(lake, Conversations(sft=sources, own=False, tools=Tools(tasks={})), recipe)
    assert not audit.learned_prompts(prompts.lazy(), rows.lazy())
    assert 20 < rows.filter(part="sft.math_sft", variant="full").height < 60


def test_a_question_that_one_source_holds_out_is_learned_from_no_other(lake, tmp_path):
    """The same question, in other case and spacing, stands in other tables and in the second turn of a file."""
    asked_only = [row for row in range(40) if is_asked_only(0.3, f"What is {row} + 1?")]
    write(lake, "sft.math_sft", [sft_row(number, known_answer=str(number + 1)) for number in range(40)])
    write(lake, "sft.code_sft", [
        sft_row(number, "sft.code_sft", question=f"what  is {number} + 1?") for number in range(40)
    ])  # fmt: skip
    items = [sft_row(1, "sft.procedural", split="test", question="gcd?"), sft_row(2, "sft.procedural", question="GCD?")]
    write(lake, "sft.procedural", items)
    said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "Gcd? /no_think"}, {"role": "assistant", "content": "4"}]  # fmt: skip
    (tmp_path / "mine.jsonl").write_text(json.dumps({"messages": said}) + "\n" + json.dumps({"messages": said[:2]}))
    names = ("sft.math_sft", "sft.procedural")
    prompts = Prompts(
        sft={name: SftSource() for name in names}, tools=Tools(tasks={}), instructions=Instructions(prompts=0),
        held_out_share=0.3,
    )  # fmt: skip
    learned = Conversations(
        sft={name: SftSource() for name in (*names, "sft.code_sft")}, own=False, tools=Tools(tasks={}),
        files=(FileSource(path=str(tmp_path)),),
    )  # fmt: skip
    rows = made(lake, learned, prompts).filter(variant="full")
    counts = dict(rows.group_by("part").len().iter_rows())
    assert 0 < len(asked_only) < 40 and "sft.procedural" not in counts
    assert counts["sft.math_sft"] == counts["sft.code_sft"] == 40 - len(asked_only)
    assert counts["files/mine.jsonl"] == 1, "a later turn may ask it, too"
    assert not audit.learned_prompts(asked(lake, prompts).lazy(), rows.lazy())


def test_a_prompt_with_other_instructions_is_another_prompt(lake):
    own = Prompts(sft={}, tools=Tools(tasks={}), instructions=Instructions(prompts=4, most=1))
    first, more = (
        asked(lake, own.model_copy(update={"instructions": Instructions(prompts=4, most=most)})) for most in (1, 3)
    )
    both = first.filter(kind="instructions").join(more, on="id", suffix="_more")
    assert both.height < 4 and both["verifiers"].to_list() == both["verifiers_more"].to_list()


def test_own_conversations_tools_and_their_prompts(lake):
    recipe = Prompts(sft={}, tools=TOOLS.model_copy(update={"seed": 900}), instructions=Instructions(prompts=6))
    rows, prompts = made(lake, Conversations(sft={}, tools=TOOLS), recipe), asked(lake, recipe)
    tools = rows.filter(domain="tools", variant="full")
    assert 10 <= tools.height <= 14 and tools["tools"].null_count() == 0
    assert set(rows["domain"]) == {"chat", "code", "math", "multilingual", "safety", "science", "suite", "tools"}
    safety = rows.filter(domain="safety")
    assert set(safety["status"]) == {"judged"} and set(safety["data_set"]) == {
        "own/safety/harmful", "own/safety/benign", "own/concatenated",
    } - ({"own/concatenated"} - set(safety["data_set"]))  # fmt: skip
    kinds = dict(prompts.group_by("kind").len().iter_rows())
    assert set(kinds) == {"verifiable", "instructions", "tools", "preference"} and kinds["instructions"] == 6
    assert not audit.learned_prompts(prompts.lazy(), rows.lazy())
    _preferences_are_compared_by_their_first_request(prompts, rows)
    found = audit.faults_of_form(rows.lazy(), inputs(lake).tokenizer, 300)
    assert not any(found[name] for name in list(found)[:4]), found
    with Rewards(load_recipe("laptop").grading) as rewards:
        graded = audit.faults_of_prompts(prompts.lazy(), rewards, 8)
    assert not any(graded[name] for name in list(graded)[:4]), graded
    assert lake.read(QUARANTINE).scan().collect().is_empty()
    shown = report.of_conversations(lake.read(CONVERSATIONS)), report.of_prompts(lake.read(PROMPTS))
    assert [one["rows"] for one in shown] == [rows.height, prompts.height]


def test_a_stored_part_is_not_made_again_and_another_share_makes_it_again(lake):
    found = inputs(lake)
    parts = {part.key: part.fingerprint for part in making.conversation_parts(found)}
    assert parts == {part.key: part.fingerprint for part in making.conversation_parts(inputs(lake))}
    other = inputs(lake, Conversations(sft={}, own=False, tools=Tools(tasks={}), thinking_share=0.9))
    assert {part.key: part.fingerprint for part in making.conversation_parts(other)} != parts


def test_an_unknown_table_is_an_error_of_the_recipe():
    with pytest.raises(ValueError, match=r"'sft\.mathsft' is not a table of SFT data, which are: sft\.math_sft"):
        Conversations(sft={"sft.mathsft": SftSource()})


def test_files_and_sets_of_the_hub_are_screened(lake, tmp_path, monkeypatch):
    import datasets

    question = (
        "A farmer has seventeen sheep and sells all but nine of them on the market, how many sheep are left over?"
    )
    item = dict.fromkeys(all_tables()["evaluate.benchmarks"].column_names) | {
        "id": "b", "benchmark": "gsm8k", "item": "gsm8k-test-1", "position": 0, "question": question, "choices": [],
        "answer": "9", "tests": [], "content_hash": "c",
    }  # fmt: skip
    write(lake, "evaluate.benchmarks", [item])

    def said(text: str, *more: dict) -> list[dict]:
        return [{"role": "user", "content": text}, {"role": "assistant", "content": "Nine."}, *more]

    (tmp_path / "mine.jsonl").write_text(
        "\n".join(json.dumps({"messages": said(text)}) for text in ("How are you?", f"Help me. {question}", "Bye."))
    )
    published = [
        {"conversation": said(f"Tell me about number {number}.", {"role": "user", "content": "More."})}
        for number in range(12)
    ]
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: iter(published))
    hub = (HubSource(dataset="a/b", domain="chat", column="conversation", max_rows=10),)
    recipe = Prompts(
        sft={}, tools=Tools(tasks={}), contexts=hub, held_out_share=0.0,
        instructions=Instructions(prompts=3, most=1, requests=hub),
    )  # fmt: skip
    mine = Conversations(sft={}, own=False, tools=Tools(tasks={}), files=(FileSource(path=str(tmp_path)),))
    rows = made(lake, mine, recipe).filter(part="files/mine.jsonl", variant="full")
    assert sorted(json.loads(one)[0]["content"] for one in rows["messages"]) == [
        "Bye. /no_think",
        "How are you? /no_think",
    ]
    (rejected,) = lake.read(QUARANTINE).scan().filter(stage="align.conversations").collect().iter_rows(named=True)
    assert rejected["cause"] == "benchmark_item" and "gsm8k-test-1" in rejected["detail"]
    prompts = asked(lake, recipe)
    contexts = prompts.filter(kind="preference")
    assert contexts.height == 10
    for messages in contexts["messages"]:
        assert json.loads(messages)[-1]["content"].removesuffix(" /no_think") == "More."
    assert prompts.filter(kind="instructions").height == 3


def _preferences_are_compared_by_their_first_request(prompts: pl.DataFrame, rows: pl.DataFrame) -> None:
    def dialogue(*requests: str) -> str:
        turns = [[{"role": "user", "content": said}, {"role": "assistant", "content": "a"}] for said in requests]
        return json.dumps([message for turn in turns for message in turn])

    asked = json.dumps([*json.loads(dialogue("A held-out request")), {"role": "user", "content": "Continue"}])
    prompt = prompts.filter(kind="preference").head(1).with_columns(split=pl.lit("held_out"), messages=pl.lit(asked))
    row = rows.filter(variant="full").head(1)
    same_end = row.with_columns(messages=pl.lit(dialogue("Another request", "Continue")))
    assert not audit.learned_prompts(prompt.lazy(), same_end.lazy()), "many dialogues go on with the same words"
    same_request = row.with_columns(messages=pl.lit(dialogue("A held-out request", "Thanks")))
    assert audit.learned_prompts(prompt.lazy(), same_request.lazy()) == prompt["id"].to_list()
