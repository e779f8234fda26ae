"""The SFT release: which rows are published, and which benchmark items are found in rows of SFT data."""

from __future__ import annotations

import polars as pl
import pytest

from nemotron_assets.contamination.items import Items
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.sft.columns import SFT_COLUMNS
from nemotron_assets.sft.release import audit
from nemotron_assets.sft.release.decontamination import contaminated_parts, contaminated_rows, read_items
from nemotron_assets.sft.release.selecting import release_parts
from nemotron_assets.sft.release.splits import split_of
from nemotron_assets.sft.release.tables import CONTAMINATED, NEMOTRON_SFT
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.parts import Parts, Rejects
from nemotron_assets.table.schema import Column, Table
from resources.compute import Compute
from resources.lakehouse import Lakehouse
from tests.sql.lake import frame

RECIPE = load_recipe("laptop").sft.release.model_copy(update={"unverified": []})
SEARCH = RECIPE.contamination
MATHS = Table("sft", "math_sft", "Mathematics.", SFT_COLUMNS)
TALK = Table("sft", "general_sft", "Talk.", SFT_COLUMNS)
TRANSLATED = Table("sft", "multilingual_sft", "Translations.", SFT_COLUMNS, parents=(MATHS.full_name,))
TASKS = Table("sft", "procedural", "Tasks.", (*SFT_COLUMNS, Column("split", "string", "train or test")))

PROBLEM = (
    "A ferry carries 48 cars on each trip and makes seven trips a day; on Sunday it makes only five of them. How many "
    "cars can it carry in a week?"
)
INSTRUCTION = (
    "Read the question below carefully, think about every option step by step, and then choose the correct option: "
)


def row(id_: str, text: str, **changes):
    """A row of SFT data."""
    base = {
        "id": id_, "parents": ["seed"], "sources": ["sft.seeds"], "subset": "MATH", "category": "stem-sft",
        "prompt": "solve", "language": "en", "question": text, "answer": "4", "text": text, "status": "verified",
        "verified_by": "math-verify", "generator": "tiny", "generation_ids": [], "origin_hash": content_hash(text),
        "tokens": 12,
    }  # fmt: skip
    return base | changes


def item(id_: str, question: str, benchmark: str = "gsm8k", name: str = "gsm8k-test-1", **changes):
    """A row of `evaluate.benchmarks`, with free answer."""
    base = {"id": id_, "benchmark": benchmark, "item": name, "question": question, "choices": [], "answer": "4",
            "tests": [], "content_hash": id_}  # fmt: skip
    return base | changes


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


@pytest.fixture(scope="module")
def compute():
    with_one = Compute(workers=1)
    yield with_one
    with_one.close()


def release(lake: Lakehouse, compute: Compute, rows: dict[Table, list[dict]], items: list[dict], recipe=RECIPE):
    """The published rows and the entries of items, both as lists of rows, for SFT tables with these rows."""
    lake.write(BENCHMARKS, frame(BENCHMARKS, items))
    for table, given in rows.items():
        lake.write(table, frame(table, given))
    sources, rejects = [lake.read(table) for table in rows], Rejects()
    searched = contaminated_parts(sources, lake.read(BENCHMARKS), recipe.contamination, compute, rejects)
    lake.write(CONTAMINATED, Parts(searched, rejects=rejects))
    lake.write(NEMOTRON_SFT, Parts(release_parts(sources, lake, recipe)))
    published, found = (lake.read(t).scan().sort("id").collect() for t in (NEMOTRON_SFT, CONTAMINATED))
    assert not any(audit.invalid_rows(published.lazy(), recipe).values())
    tables = {t.full_name: lake.read(t).scan() for t in rows}
    assert not any(audit.untraceable_rows(published.lazy(), tables).values())
    known = [lake.read(BENCHMARKS).scan().select("id"), *(table.select("id") for table in tables.values())]
    assert not any(audit.unknown_entries(found.lazy(), tables, known).values())
    wanted = read_items(lake.read(BENCHMARKS), [lake.read(t) for t in rows if t is TASKS]).iter_rows(named=True)
    assert not audit.items_left(published.select("id", "text").iter_rows(), wanted, recipe.contamination)
    return published.to_dicts(), found.to_dicts()


def test_only_rows_with_a_verified_answer_and_a_config_are_published(lake, compute):
    rows = [row(status, f"The {status} answer", status=status) for status in ("verified", "majority", "judged")]
    rows += [row(status, f"The {status} answer", status=status) for status in ("unverified", "failed")]
    rows += [row("no config", "Not published", subset=None), row("empty", "  ")]
    talk = [row("open", "An open question", status="unverified", subset="General"),
            row("wrong", "A wrong answer", status="failed", subset="General")]  # fmt: skip
    named = RECIPE.model_copy(update={"unverified": [TALK.full_name]})
    published, found = release(lake, compute, {MATHS: rows, TALK: talk}, [item("i", PROBLEM)], named)
    assert {(r["source"], r["parents"][0], r["subset"]) for r in published} == {
        ("sft.math_sft", "verified", "Nemotron-SFT-MATH"),
        ("sft.math_sft", "majority", "Nemotron-SFT-MATH"),
        ("sft.math_sft", "judged", "Nemotron-SFT-MATH"),
        ("sft.general_sft", "open", "Nemotron-SFT-General"),
    }
    assert found == [] and len({r["id"] for r in published}) == 4


def test_a_row_with_a_test_item_is_removed_and_the_entry_names_the_item(lake, compute):
    rows = [row("clean", "Two and two is four."), row("dirty", f"Solve it. {PROBLEM} Five trips fewer.")]
    published, (entry,) = release(lake, compute, {MATHS: rows}, [item("i", PROBLEM)])
    assert [r["parents"] for r in published] == [["clean"]]
    assert (entry["parents"], entry["benchmark"], entry["item"], entry["split"], entry["removed"]) == (
        ["dirty"], "gsm8k", "gsm8k-test-1", "test", True,
    )  # fmt: skip
    assert entry["ngrams"][0] == "a ferry carries 48 cars on each trip and makes seven trips a"
    assert entry["row_text"] == PROBLEM[:-1] and entry["item_text"] == PROBLEM


def test_what_was_made_from_a_row_with_an_item_is_removed_too(lake, compute):
    german = row("german", "Eine Fähre trägt 48 Autos.", language="de", parents=["dirty"], sources=["sft.math_sft"])
    other = row("other", "Ein Zug fährt ab.", language="de", parents=["clean"], sources=["sft.math_sft"])
    rows = {MATHS: [row("clean", "A train leaves."), row("dirty", PROBLEM)], TRANSLATED: [german, other]}
    published, found = release(lake, compute, rows, [item("i", PROBLEM)])
    assert sorted(r["parents"][0] for r in published) == ["clean", "other"] and len(found) == 1


def test_one_common_n_gram_is_enough(lake, compute):
    part = " ".join(PROBLEM.split()[:13])
    published, (entry,) = release(lake, compute, {MATHS: [row("dirty", f"{part} and so on")]}, [item("i", PROBLEM)])
    assert published == [] and entry["matched"] == 1


def test_an_item_of_the_train_split_is_reported_but_kept(lake, compute):
    rows = [row("from a seed", PROBLEM)]
    published, (entry,) = release(lake, compute, {MATHS: rows}, [item("i", PROBLEM, name="gsm8k-train-8")])
    assert len(published) == 1 and (entry["split"], entry["removed"]) == ("train", False)


def test_words_that_many_items_have_do_not_count(lake, compute):
    subjects = [f"the capital of province {k} is called Town{k}, and its river bears the same name" for k in range(30)]
    items = [item(f"i{k}", INSTRUCTION + subject, name=f"gsm8k-test-{k}") for k, subject in enumerate(subjects)]
    rows = [row("shares the instruction", INSTRUCTION + "which planet is the largest, and by what?"),
            row("has an item", "Once more: " + subjects[7])]  # fmt: skip
    published, found = release(lake, compute, {MATHS: rows}, items)
    assert [r["parents"] for r in published] == [["shares the instruction"]]
    assert [(e["parents"], e["item"]) for e in found] == [(["has an item"], "gsm8k-test-7")]


def test_no_row_has_an_item_of_the_test_split_of_another_table(lake, compute):
    question = "How many of the numbers 3 17 22 9 41 5 66 8 90 12 31 7 are odd and larger than 10?"
    tasks = [
        row("test row", question, subset=None, split="test"),
        row("train row", "2 + 2", subset=None, split="train"),
    ]
    rows = {TASKS: tasks, MATHS: [row("copy", f"Quiz: {question}")]}
    published, (entry,) = release(lake, compute, rows, [item("i", PROBLEM)])
    assert published == [] and entry["parents"] == ["copy"]
    assert (entry["benchmark"], entry["item_id"], entry["split"]) == ("sft.procedural", "test row", "test")


def test_the_template_of_a_task_is_no_item(lake, compute):
    template = "Count the numbers in the list that are odd and larger than the limit, then say how many: "
    numbers = {"test 0": 10, "test 1": 11, "test 2": 12, "train 1": 11, "train 3": 13, "train 4": 14, "train 5": 15}
    tasks = [row(name, f"{template}{7 * k} {k + 90} {5 * k + 3}", subset=None, split=name.split()[0], prompt="count")
             for name, k in numbers.items()]  # fmt: skip
    copy = row("copy", tasks[0]["text"])
    published, found = release(lake, compute, {TASKS: tasks, MATHS: [copy]}, [item("i", PROBLEM)])
    assert published == []
    assert {(e["parents"][0], e["item_id"]) for e in found} == {("copy", "test 0"), ("train 1", "test 1")}


def test_a_table_is_searched_and_published_again_only_when_something_changed(lake, compute):
    rows = {MATHS: [row("a", "One")], TALK: [row("b", "Two", subset="General")]}
    release(lake, compute, rows, [item("i", PROBLEM)])
    before = {table: lake.read(table).parts() for table in (CONTAMINATED, NEMOTRON_SFT)}
    published, _ = release(lake, compute, rows | {MATHS: [row("a", PROBLEM)]}, [item("i", PROBLEM)])
    assert [r["source"] for r in published] == ["sft.general_sft"]
    assert lake.read(NEMOTRON_SFT).parts() == {"sft.general_sft": before[NEMOTRON_SFT]["sft.general_sft"]}


def test_a_row_that_cannot_be_searched_is_not_published(lake):
    rows = {MATHS: [row("long", "word " * 3_000_000), row("short", "Two")]}
    with_limit = Compute(workers=1, row_timeout_s=1.0)
    try:
        published, _ = release(lake, with_limit, rows, [item("i", PROBLEM)])
    finally:
        with_limit.close()
    assert [r["parents"] for r in published] == [["short"]]


@pytest.mark.parametrize(
    ("benchmark", "name", "split"),
    [
        ("gsm8k", "gsm8k-test-0", "test"), ("gsm8k", "gsm8k-train-3", "train"), ("mmlu", "mmlu-test-anatomy-0", "test"),
        ("mmlu_dev", "mmlu-dev-anatomy-0", "dev"), ("mmlu_dev", "anatomy 4", "dev"),
        ("mmlu", "mmlu-val-law-1", "validation"),
        ("arc_challenge", "Mercury_7175875", "test"), ("humaneval", "HumanEval/3", "test"),
        ("mbpp", "2", "dev"), ("mbpp", "11", "test"), ("mbpp", "510", "test"), ("mbpp", "511", "validation"),
        ("mbpp", "601", "train"), ("mbpp", "974", "train"), ("mbpp", "975", "test"), ("new", "latest-7", "test"),
    ],
)  # fmt: skip
def test_splits_of_benchmarks_are_told_apart(benchmark, name, split):
    assert split_of(benchmark, name) == split


def test_the_recount_finds_what_the_search_would_miss():
    items = [item("i", PROBLEM) | {"split": "test", "entry_point": None, "max_items": None}]
    assert audit.items_left([("x", f"So: {PROBLEM}")], items, SEARCH).keys() == {"x"}
    assert audit.items_left([("x", "Nothing of it.")], items, SEARCH) == {}
    train = [items[0] | {"split": "train"}]
    assert audit.items_left([("x", PROBLEM)], train, SEARCH) == {}


def test_the_audit_counts_rows_that_may_not_be_published():
    good = {"id": "a", "parents": ["p"], "sources": ["sft.math_sft"], "source": "sft.math_sft",
            "subset": "Nemotron-SFT-MATH", "status": "verified", "text": "t"}  # fmt: skip
    for change, fault in (
        ({"id": "b"}, None), ({}, "doubled"), ({"id": "b", "status": "failed"}, "failed"),
        ({"id": "b", "status": "unverified"}, "unusable_status"), ({"id": "b", "subset": "MATH"}, "unknown_config"),
        ({"id": "b", "text": "\n"}, "empty_text"), ({"id": "b", "parents": ["p", "q"]}, "wrong_parents"),
        ({"id": "b", "sources": ["sft.stem"]}, "wrong_parents"),
    ):  # fmt: skip
        found = audit.invalid_rows(pl.LazyFrame([good, good | change]), RECIPE)
        assert (found[fault] >= 1) if fault else not any(found.values()), (change, found)


def test_evidence_of_a_short_question_is_the_question():
    short = item("i", "Which metal melts in a warm hand?", choices=["gallium", "iron"]) | {"split": "test"}
    found = contaminated_rows(
        pl.DataFrame({"id": ["x"], "text": ["Which metal melts in a warm hand? A. gallium B. iron"]}),
        Items([short | {"entry_point": None}], SEARCH, max_items=10), SEARCH, "sft.math_sft",
    )  # fmt: skip
    assert found["rule"].to_list() == ["whole_question"]
    assert found["ngrams"].to_list() == [["which metal melts in a warm hand"]]
