"""Makes the rows of `sft.procedural`: items of every task and difficulty, without repeated questions, each scored."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import polars as pl

from nemotron_assets.grading.procedural import NO_ITEM, Item, MadeItem, NoItem, ProceduralGrader, generator_name
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.recipe.sft.procedural import DIFFICULTIES, MOST_ITEMS, SEEDS, Difficulty, Procedural
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.sft.rows import Maker, Origin
from nemotron_assets.sft.voting import Outcome
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Reject

#: The splits, in the order in which questions are given to them: a question of the test split is never in train.
SPLITS = ("test", "train")

_CHARACTERS = 4  # characters that count as one token
_ROWS = 1_024


def seed_of(first: int, task: str, difficulty: Difficulty) -> int:
    """The seed of a task's items with a difficulty. Tasks with one seed would draw the same numbers."""
    return first + zlib.crc32(f"{task} {difficulty}".encode()) % SEEDS * MOST_ITEMS


def same_question(question: str) -> str:
    """The hash under which a question counts as the same: its words, without regard to white space and case."""
    return content_hash(" ".join(question.split()).casefold())


def parts(recipe: Procedural, grader: ProceduralGrader, reject: Callable[[Reject], None]) -> Iterator[Part]:
    """The parts of the table, one per task. A part is made again when the task's configs or the numbers change. The
    grader's process ends with the last part."""
    numbers = recipe.model_dump_json(exclude={"tasks", "checked_items"})
    with grader:
        for name, task in recipe.tasks.items():
            made_from = content_hash(f"{generator_name()} {numbers} {task.model_dump_json()}")
            yield Part(name, made_from, functools.partial(_rows, name, recipe, grader, reject))


def _rows(
    task: str, recipe: Procedural, grader: ProceduralGrader, reject: Callable[[Reject], None]
) -> Iterator[pl.DataFrame]:
    yield PROCEDURAL.empty()
    maker = Maker(PROCEDURAL, None, "stem-sft", generator_name(), _tokens)
    configs = {level: Item.config_of(getattr(recipe.tasks[task], level)) for level in DIFFICULTIES}
    levels = [level for level, config in configs.items() if _usable(task, level, config, grader, reject)]
    seen: set[str] = set()
    for split in SPLITS:
        first, wanted = getattr(recipe, f"{split}_seed"), getattr(recipe, f"{split}_items")
        for level in levels:
            seed = seed_of(first, task, level)
            items = (Item(task, configs[level], seed, index) for index in range(wanted * recipe.tries))
            new = _new_questions(grader.make(items), seen, reject)
            rows = (_row(made, level, split, maker) for made in islice(new, wanted))
            while batch := list(islice(rows, _ROWS)):
                yield pl.DataFrame(batch, schema=PROCEDURAL.empty().schema)


def _usable(task: str, level: str, config: str, grader: ProceduralGrader, reject: Callable[[Reject], None]) -> bool:
    """Whether a task with a config makes items, the same in every process, and has a sound scorer. Raises `RecipeError`
    if it makes no items."""
    reason = grader.disqualified(task, config) or grader.varies(task, config)
    if reason.startswith(NO_ITEM):
        raise RecipeError(f"sft.procedural.tasks.{task}.{level} = {config}: {reason}")
    if reason:
        reject(Reject(row_id(PROCEDURAL.full_name, task, level), "disqualified_task", f"{task}, {level}: {reason}"))
    return not reason


def _new_questions(
    items: Iterable[MadeItem | NoItem], seen: set[str], reject: Callable[[Reject], None]
) -> Iterator[MadeItem]:
    """The items whose question was not there before and whose own answer is right."""
    for made in items:
        if isinstance(made, NoItem):
            reject(Reject(_id(made.item), "no_item", f"{made.item}: {made.reason}"))
        elif not made.verdict.right:
            reject(
                Reject(_id(made.item), "own_answer_not_right", f"{made.item}: {made.answer[:100]!r}: {made.verdict}")
            )
        elif (question := same_question(made.question)) not in seen:
            seen.add(question)
            yield made


def _id(item: Item) -> str:
    return row_id(PROCEDURAL.full_name, item.task, item.config, item.seed, item.index)


def _row(made: MadeItem, level: str, split: str, maker: Maker) -> dict[str, Any]:
    item = made.item
    return maker.row(
        (item.task, item.config, item.seed, item.index),
        Origin((), (), same_question(made.question)),
        prompt=item.task,
        question=made.question,
        answer=made.answer,
        outcome=Outcome("verified", item.task),
        generation_ids=(),
        task=item.task,
        difficulty=level,
        split=split,
        config=item.config,
        seed=item.seed,
        item_index=item.index,
    )


def _tokens(texts: list[str]) -> list[int]:
    return [max(1, len(text) // _CHARACTERS) for text in texts]
