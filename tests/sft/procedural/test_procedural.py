"""The procedural questions: the table that the asset makes, its checks, and recipes that cannot be used."""

from __future__ import annotations

import dagster as dg
import polars as pl
import pytest
from pydantic import ValidationError

from nemotron_assets.grading import gym
from nemotron_assets.grading.procedural import Item, ProceduralGrader
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.recipe.sft.procedural import DIFFICULTIES, MOST_ITEMS, Procedural, Task
from nemotron_assets.sft.procedural import assets, audit, checks, making
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.table.parts import Parts, Rejects
from resources.lakehouse import QUARANTINE, Lakehouse

RECIPE = load_recipe("laptop")
TASKS = ("gcd", "spell_backward", "chain_sum", "lcm")
SMALL = RECIPE.sft.procedural.model_copy(
    update={"tasks": {name: RECIPE.sft.procedural.tasks[name] for name in TASKS}, "train_items": 12, "test_items": 5}
)
VARYING = Task(easy={}, medium={}, hard={})  # of ransom_note, whose items depend on the order of a set
NAN = Task(easy={}, medium={}, hard={})  # of complex_arithmetic, whose scorer finds "nan" right


@pytest.fixture
def lake(tmp_path):
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


def make(lake: Lakehouse, recipe: Procedural) -> tuple[pl.DataFrame, list[str]]:
    """The rows of the table, and the keys of the parts that had to be made."""
    rejects, made = Rejects(), []

    def noted(part):
        def rows():
            made.append(part.key)
            return part.make()

        return type(part)(part.key, part.fingerprint, rows)

    parts = making.parts(recipe, ProceduralGrader(RECIPE.grading), rejects.add)
    lake.write(PROCEDURAL, Parts(map(noted, parts), rejects=rejects))
    return lake.read(PROCEDURAL).scan().sort("id").collect(), made


def test_the_asset_makes_sound_rows_and_its_checks_pass(lake):
    recipe = RECIPE.with_sections({"sft.procedural": SMALL})
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [*assets.ASSETS, *checks.CHECKS],
            instance=instance,
            resources={"lake": lake, "recipe": recipe, "io_manager": lake},
        )
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert all(e.passed for e in evaluations.values()) and len(evaluations) == 2
    again = evaluations["procedural_rows_can_be_made_again"].metadata["rows_made_again"].value
    assert again == len(TASKS) * 3 * 2 * SMALL.checked_items
    rows = lake.read(PROCEDURAL).scan().collect()
    assert set(rows["status"]) == {"verified"} and set(rows["subset"]) == {None}
    assert set(rows["generator"]) == {"reasoning-gym 0.1.25"} and (rows["verified_by"] == rows["task"]).all()
    counts = dict(
        rows.group_by("task", "split").len().select(pl.concat_str("task", "split", separator=" "), "len").iter_rows()
    )
    assert counts == {f"{task} {split}": 3 * number for task in TASKS for split, number in (("train", 12), ("test", 5))}
    train, test = (set(rows.filter(split=split)["question"].str.to_lowercase()) for split in ("train", "test"))
    assert not train & test and len(train) + len(test) == rows.height


def test_another_process_makes_the_same_rows_and_stored_parts_are_not_made_again(lake, tmp_path):
    rows, made = make(lake, SMALL)
    assert made == list(TASKS)
    again, made = make(lake, SMALL)
    assert not made and again.equals(rows)
    other, _ = make(Lakehouse(root=str(tmp_path / "other"), free_disk_mb=0), SMALL)
    assert other.equals(rows)
    harder = SMALL.tasks | {"gcd": SMALL.tasks["gcd"].model_copy(update={"easy": {"max_value": 30}})}
    _, made = make(lake, SMALL.model_copy(update={"tasks": harder}))
    assert made == ["gcd"]


def test_a_small_space_gives_its_questions_to_the_test_split_first(lake):
    """There are 16 pairs of numbers from 1 to 4: the train split gets what the test split leaves."""
    few = {"min_value": 1, "max_value": 4}
    recipe = SMALL.model_copy(
        update={
            "tasks": {"gcd": Task(easy=few, medium=few, hard=few)},
            "train_items": 10,
            "test_items": 12,
            "tries": 50,
        }
    )
    rows, _ = make(lake, recipe)
    counts = dict(rows.group_by("split").len().iter_rows())
    assert counts == {"test": 16} and rows["question"].n_unique() == 16


def test_tasks_with_bad_scorers_or_varying_items_are_left_out_with_their_reason(lake):
    tasks = {"complex_arithmetic": NAN, "lcm": SMALL.tasks["lcm"], "ransom_note": VARYING}
    rows, _ = make(lake, SMALL.model_copy(update={"tasks": tasks}))
    assert set(rows["task"]) == {"lcm"}
    rejects = lake.read(QUARANTINE).scan().filter(stage="sft.procedural").collect()
    assert set(rejects["cause"]) == {"disqualified_task"} and rejects.height == 2 * len(DIFFICULTIES)
    assert sum("ransom_note, easy: another process makes other items" in detail for detail in rejects["detail"]) == 1
    assert "complex_arithmetic, easy: the scorer finds 'nan' right" in rejects["detail"].to_list()


def test_items_that_a_task_cannot_make_are_rejected(lake):
    """reasoning-gym writes the number 0 as an empty text in other bases."""
    with_zero = {"max_base": 3, "max_value": 8}
    tasks = {"base_conversion": Task(easy=with_zero, medium=with_zero, hard=with_zero)}
    rows, _ = make(lake, SMALL.model_copy(update={"tasks": tasks, "train_items": 10, "test_items": 5, "tries": 30}))
    assert (rows["answer"] != "").all()
    rejects = lake.read(QUARANTINE).scan().filter(stage="sft.procedural").collect()
    assert set(rejects["cause"]) == {"no_item"}


@pytest.mark.parametrize(
    ("name", "easy", "said"),
    [
        ("gdc", {}, r"sft\.procedural\.tasks\.gdc\.easy = \{\}: .*'gdc' not registered"),
        ("gcd", {"max_valu": 3}, r"sft\.procedural\.tasks\.gcd\.easy = .*unexpected keyword argument 'max_valu'"),
        ("bf", {}, r"sft\.procedural\.tasks\.bf\.easy = \{\}: .*needs the package bfi"),
    ],
)
def test_a_task_that_makes_no_items_is_an_error_of_the_recipe(lake, name, easy, said):
    tasks = {name: Task(easy=easy, medium={}, hard={})}
    with pytest.raises(RecipeError, match=said):
        make(lake, SMALL.model_copy(update={"tasks": tasks}))


def test_seeds_of_the_splits_are_apart():
    with pytest.raises(ValidationError, match="must be at least 1,000,000,000 apart"):
        Procedural(train_seed=1, test_seed=1_000_000)
    with pytest.raises(ValidationError, match="lower tries"):
        Procedural(train_items=500_000, tries=4)
    assert gym.SIZE == MOST_ITEMS
    seeds = {making.seed_of(1, task, level) for task in SMALL.tasks for level in DIFFICULTIES}
    assert len(seeds) == 3 * len(TASKS)


def test_changed_rows_are_found(lake):
    rows, _ = make(lake, SMALL)
    with ProceduralGrader(RECIPE.grading) as grader:
        sound = audit.made_again(rows.lazy(), 1, grader)
        assert sound == {"rows_made_again": 24, "different": 0, "answer_not_right": 0, "junk_right": 0}
        spelled = pl.col("task") == "spell_backward"
        wrong = rows.with_columns(answer=pl.when(spelled).then(pl.lit("abc")).otherwise("answer"))
        found = audit.made_again(wrong.lazy(), 1, grader)
        assert found == {"rows_made_again": 24, "different": 6, "answer_not_right": 6, "junk_right": 0}
        moved = audit.made_again(rows.with_columns(pl.col("seed") + 1).lazy(), 1, grader)
        assert moved["different"] == 24
    twice = audit.repeated(pl.concat([rows, rows.head(3)]).lazy())
    assert twice == {"repeated_questions": 3, "not_verified": 0, "unknown_splits": 0}


def test_the_default_tasks_are_many_and_their_scorers_are_sound():
    """The laptop has at least 15 tasks at three difficulties; probing them all takes no more than seconds."""
    tasks = RECIPE.sft.procedural.tasks
    assert len(tasks) >= 15
    with ProceduralGrader(RECIPE.grading) as grader:
        for name, task in tasks.items():
            for level in DIFFICULTIES:
                assert grader.disqualified(name, Item.config_of(getattr(task, level))) == ""
