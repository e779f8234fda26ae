"""The suite of procedural tasks: items are right, held-out items stay held out, and signs are single tokens."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from nemotron_assets.align.conversations import assets, checks, suite, suite_audit
from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.align.suite import TASKS, Suite, SuiteTask
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.table.ids import content_hash
from nemotron_assets.text.tokenizer import PATTERN
from resources.lakehouse import Lakehouse

RECIPE = load_recipe("laptop")
SMALL = Suite(
    tasks={name: SuiteTask(train_items=12, held_out_items=5, longest=3) for name in TASKS}, letters="abcdefgh"
)


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def rows_of(recipe: Suite) -> pl.DataFrame:
    return pl.concat([part.make() for part in suite.parts(recipe)])


def test_the_asset_makes_sound_items(lake):
    recipe = RECIPE.with_sections({"align.suite": SMALL})
    with dg.DagsterInstance.ephemeral() as instance:
        made = [*assets.ASSETS[:1], checks.suite_items_are_sound]
        result = dg.materialize(made, instance=instance, resources={"lake": lake, "recipe": recipe, "io_manager": lake})
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())
    rows = lake.read(SUITE_ITEMS).scan().collect()
    assert rows.height == len(TASKS) * 17 and rows["content_hash"].n_unique() == rows.height
    assert dict(rows.group_by("split").len().iter_rows()) == {"train": len(TASKS) * 12, "held_out": len(TASKS) * 5}


def test_the_laptop_has_enough_items():
    rows = rows_of(RECIPE.align.suite)
    assert rows.filter(split="held_out").height >= 500
    assert rows["content_hash"].n_unique() == rows.height
    assert suite_audit.faults(rows) == dict.fromkeys(suite_audit.faults(rows), 0)


def test_items_are_the_same_in_every_run_and_more_training_items_change_no_other():
    more = SMALL.model_copy(
        update={"tasks": {name: task.model_copy(update={"train_items": 20}) for name, task in SMALL.tasks.items()}}
    )
    few, many = rows_of(SMALL), rows_of(more)
    assert rows_of(SMALL).equals(few)
    assert few.join(many, on=few.columns, how="anti").is_empty() and many.height > few.height
    other = rows_of(SMALL.model_copy(update={"seed": 43}))
    assert few.join(other, on="id", how="semi").height < few.height // 2


@given(st.sampled_from(TASKS), st.randoms(use_true_random=False), st.integers(1, 9))
def test_answers_are_right_and_signs_stand_apart(task, random, length):
    item = suite.draw(task, random, "abcdef", length)
    assert suite_audit.solve(item.question) == item.answer
    for word in [*item.question.partition(": ")[2].split(" "), *item.answer.split(" "), *item.steps.split()]:
        assert len(word) == 1
    last = item.steps.split("\n")[-1]
    assert task in ("first_word", "copy", "reverse") or not item.steps or last.endswith(item.answer)


def test_a_task_with_too_few_questions_is_an_error_of_the_recipe():
    recipe = Suite(tasks={"sum_1": SuiteTask(train_items=100, held_out_items=1, longest=2)})
    with pytest.raises(RecipeError, match=r"align\.suite\.tasks\.sum_1: only 100 different .* of 101"):
        rows_of(recipe)


def test_faults_are_found():
    rows = rows_of(SMALL)
    assert suite_audit.faults(rows.with_columns(answer=pl.lit("9 9")))["wrong_answers"] == rows.height
    assert suite_audit.faults(pl.concat([rows, rows]))["repeated_questions"] == rows.height


def tokenizer(*words: str) -> Tokenizer:
    """A byte-level vocabulary in which each of `words` is one token, and all other bytes are tokens of their own."""
    from tokenizers import Regex

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {
        piece: number for number, piece in enumerate([*alphabet, *(word.replace(" ", "Ġ") for word in words)])
    }
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(word.replace(" ", "Ġ")) for word in words]))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    return made


def test_signs_that_are_no_tokens_of_their_own_are_found():
    row = pl.DataFrame([{"question": "copy: a b", "answer": "a b", "reasoning": "a\nb"}])
    assert not suite_audit.split_signs(row, tokenizer(" a"))
    joined = row.with_columns(question=pl.lit("max: 1 2"), answer=pl.lit("a"), reasoning=pl.lit("ab\na"))
    assert not suite_audit.split_signs(joined, tokenizer())
    glued = tokenizer("1 ")
    glued.pre_tokenizer = pre_tokenizers.ByteLevel(False, use_regex=False)
    glued = Tokenizer(models.BPE(vocab={"1": 0, "Ġ": 1, "2": 2, "Ġ2": 3, "1Ġ2": 4}, merges=[("Ġ", "2"), ("1", "Ġ2")]))
    glued.pre_tokenizer = pre_tokenizers.ByteLevel(False, use_regex=False)
    found = suite_audit.split_signs(pl.DataFrame([{"question": "1 2", "answer": "1", "reasoning": "1"}]), glued)
    assert found == ["'1 2': '1' is not a token of its own"]


def test_an_item_in_the_pretraining_is_found():
    rows = rows_of(SMALL).lazy()
    shards = pl.LazyFrame({"sources": [["web.curated"], ["sft.procedural"]]})
    clean = pl.LazyFrame({"origin_hash": [content_hash("what is 3 + 4?")]})
    assert not any(suite_audit.in_the_blend(rows, shards, clean).values())
    leaked = pl.LazyFrame({"origin_hash": [content_hash(rows.collect()["question"][0])]})
    of_suite = pl.LazyFrame({"sources": [["align.suite_items"]]})
    assert suite_audit.in_the_blend(rows, of_suite, leaked) == {
        "documents_from_the_suite": 1,
        "questions_in_sft_procedural": 1,
    }
