"""Conversations and prompts: what becomes one, what is left out, and that a stored part is not made again."""

from __future__ import annotations

import json

import polars as pl
import pytest

from nemotron_assets.align.conversations import making, report, suite
from nemotron_assets.align.conversations.inputs import Inputs
from nemotron_assets.align.conversations.tables import CONVERSATIONS, PROMPTS, SUITE_ITEMS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.align.conversations import Conversations, SftSource
from nemotron_assets.recipe.align.suite import TASKS, Suite, SuiteTask
from nemotron_assets.sft.release.tables import CONTAMINATED
from nemotron_assets.stages import all_tables
from nemotron_assets.table.parts import Parts
from resources.lakehouse import Lakehouse

SMALL = Suite(tasks={name: SuiteTask(train_items=12, held_out_items=5, longest=3) for name in TASKS})
HELD_OUT, TRAINED = "0" * 32, "f" * 32


def sft_row(number: int, table: str = "sft.math_sft", **own) -> dict:
    row = dict.fromkeys(all_tables()[table].column_names)
    given = {
        "id": f"{table}-{number}", "parents": [], "sources": [], "category": "stem-sft", "prompt": "p",
        "language": "en", "question": f"What is {number} + 1?", "reasoning": "I add.", "answer": str(number + 1),
        "text": "t", "status": "verified", "verified_by": "math-verify", "generator": "g", "generation_ids": [],
        "origin_hash": TRAINED, "tokens": 9, "problem_source": "s", "problem_id": "p", "final_answer": "f",
        "sample": 0, "task": "gcd", "difficulty": "easy", "split": "train", "config": "{}", "seed": 1, "item_index": 1,
    }  # fmt: skip
    return row | {name: value for name, value in (given | own).items() if name in row}


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def write(lake: Lakehouse, table: str, rows: list[dict]) -> None:
    declared = all_tables()[table]
    lake.write(declared, pl.DataFrame(rows, schema=declared.empty().schema))


def inputs(lake: Lakehouse, conversations: Conversations) -> Inputs:
    recipe = load_recipe("laptop").with_sections({"align.suite": SMALL, "align.conversations": conversations})
    lake.write(SUITE_ITEMS, Parts(suite.parts(SMALL)))
    sft = {name: lake.read(all_tables()[name]) for name in conversations.sft}
    return Inputs(recipe, lake, lake.read(SUITE_ITEMS), lake.read(CONTAMINATED), sft)


def made(lake: Lakehouse, conversations: Conversations) -> pl.DataFrame:
    lake.write(CONVERSATIONS, Parts(making.conversation_parts(inputs(lake, conversations))))
    return lake.read(CONVERSATIONS).scan().sort("id").collect()


def test_items_of_the_suite_are_learned_or_asked_but_held_out_items_are_only_asked(lake):
    rows = made(lake, Conversations(sft={}, thinking_share=0.5))
    items = lake.read(SUITE_ITEMS).scan().collect()
    assert rows.height == items.filter(split="train").height
    assert set(rows["origin_hash"]) == set(items.filter(split="train")["content_hash"])
    shares = dict(rows.group_by("reasoning").len().iter_rows())
    assert shares["on"] > 20 and shares["off"] > 20
    for row in rows.iter_rows(named=True):
        question, answer = json.loads(row["messages"])
        assert (row["reasoning"] == "off") == question["content"].endswith(" /no_think")
        assert ("reasoning" in answer) == (row["reasoning"] == "on")
    lake.write(PROMPTS, Parts(making.prompt_parts(inputs(lake, Conversations(sft={})))))
    prompts = lake.read(PROMPTS).scan().collect()
    assert prompts.height == items.height
    answers = dict(items.select("id", "answer").iter_rows())
    for row in prompts.iter_rows(named=True):
        assert row["reference"] == answers[row["parents"][0]]
        assert json.loads(row["verifiers"]) == [{"name": "exact", "arguments": {}}]
    held_out = set(prompts.filter(split="held_out")["origin_hash"])
    assert held_out and not held_out & set(rows["origin_hash"])


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
    sources = {"sft.math_sft": SftSource(), "sft.procedural": SftSource()}
    conversations = made(lake, Conversations(sft=sources)).filter(pl.col("domain") != "suite")
    assert sorted(parent for (parent,) in conversations["parents"]) == [
        *(f"sft.math_sft-{number}" for number in (0, 1, 12, 2)), "sft.procedural-2",
    ]  # fmt: skip
    without = conversations.filter(pl.col("parents").list.first() == "sft.math_sft-12").row(0, named=True)
    assert without["reasoning"] == "off" and json.loads(without["messages"])[0]["content"].endswith("/no_think")
    sources = {"sft.math_sft": SftSource(unverified=True), "sft.procedural": SftSource(max_rows=0)}
    conversations = made(lake, Conversations(sft=sources)).filter(pl.col("domain") != "suite")
    assert set(conversations["status"]) == {"verified", "majority", "judged", "unverified"}
    shown = report.of_conversations(lake.read(CONVERSATIONS).scan())
    assert shown["rows"] == len(SMALL.tasks) * 12 + conversations.height


def test_an_unknown_table_is_an_error_of_the_recipe():
    with pytest.raises(ValueError, match=r"'sft\.mathsft' is not a table of SFT data, which are: sft\.math_sft"):
        Conversations(sft={"sft.mathsft": SftSource()})
