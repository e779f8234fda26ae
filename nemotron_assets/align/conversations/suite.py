"""Makes the items of the suite: small tasks whose answer follows from the question by a fixed rule.

An item depends on the seed, its task and its place alone. Held-out items are drawn first, so more items for training
change none of them, and no question stands twice in a task.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from nemotron_assets.align.conversations.tables import SPLITS, SUITE_ITEMS
from nemotron_assets.recipe.align.suite import Suite
from nemotron_assets.recipe.section import RecipeError
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part

if TYPE_CHECKING:
    import polars as pl

#: Draws in a row that give no new question. After so many, a task counts as out of questions.
_TRIES = 1_000


class Item(NamedTuple):
    """A question with its answer, and the steps that lead to it, one per line."""

    question: str
    answer: str
    steps: str


def _apart(signs: object) -> str:
    """12 as "1 2"."""
    return " ".join(str(signs) if not isinstance(signs, (list, tuple)) else signs)


def _first(letters: list[str]) -> Item:
    return Item(f"first word: {_apart(letters)}", letters[0], "\n".join(letters))


def _last(letters: list[str]) -> Item:
    return Item(f"last word: {_apart(letters)}", letters[-1], "\n".join(letters))


def _copy(letters: list[str]) -> Item:
    return Item(f"copy: {_apart(letters)}", _apart(letters), "\n".join(letters))


def _reverse(letters: list[str]) -> Item:
    back = letters[::-1]
    return Item(f"reverse: {_apart(letters)}", _apart(back), "\n".join(back))


def _count(letters: list[str], wanted: str) -> Item:
    seen = [f"{letter} {letters[: place + 1].count(wanted)}" for place, letter in enumerate(letters)]
    return Item(f"count {wanted}: {_apart(letters)}", _apart(letters.count(wanted)), "\n".join(seen))


def _max(digits: list[str]) -> Item:
    largest = [max(digits[: place + 1]) for place in range(len(digits))]
    return Item(f"max: {_apart(digits)}", largest[-1], "\n".join(largest))


def _sum(numbers: list[int]) -> Item:
    """Numbers are added one after the other: 3 + 4 = 7, 7 + 9 = 1 6."""
    total, steps = numbers[0], []
    for number in numbers[1:]:
        steps.append(f"{_apart(total)} + {_apart(number)} = {_apart(total + number)}")
        total += number
    return Item(f"sum: {' + '.join(map(_apart, numbers))}", _apart(total), "\n".join(steps))


def draw(task: str, random: Random, letters: str, length: int) -> Item:
    """A random item of a task with `length` letters, digits or numbers."""
    match task:
        case "first_word":
            return _first(random.choices(letters, k=length))
        case "last_word":
            return _last(random.choices(letters, k=length))
        case "copy":
            return _copy(random.choices(letters, k=length))
        case "reverse":
            return _reverse(random.choices(letters, k=length))
        case "count":  # of few letters, so that the wanted letter comes several times
            few = random.sample(letters, 3)
            return _count(random.choices(few, k=length), few[0])
        case "max":
            return _max(random.choices("0123456789", k=length))
        case "sum_1":
            return _sum([random.randrange(10) for _ in range(length)])
        case "sum_2":
            return _sum([random.randrange(10, 100) for _ in range(length)])
    raise ValueError(f"the suite has no task {task!r}")


def items(task: str, recipe: Suite) -> Iterator[tuple[str, int, Item]]:
    """(split, number, item) of all items of a task, held-out items first. Raises `RecipeError` if the task has fewer
    different questions than the recipe wants."""
    own, random = recipe.tasks[task], Random(f"{recipe.seed} {task}")
    seen: set[str] = set()
    for split, wanted in (("held_out", own.held_out_items), ("train", own.train_items)):
        for number in range(wanted):
            for _ in range(_TRIES):
                made = draw(task, random, recipe.letters, random.randint(own.shortest, own.longest))
                if made.question not in seen:
                    break
            else:
                raise RecipeError(
                    f"align.suite.tasks.{task}: only {len(seen):,} different questions were found of "
                    f"{own.held_out_items + own.train_items:,}: lower train_items, or raise longest"
                )
            seen.add(made.question)
            yield split, number, made


def parts(recipe: Suite) -> Iterator[Part]:
    """The parts of align.suite_items, one per task."""
    for task, own in recipe.tasks.items():
        made_from = f"{own.model_dump_json()} {recipe.letters} {recipe.seed}"
        yield Part(task, content_hash(made_from), functools.partial(_frame, task, recipe))


def _frame(task: str, recipe: Suite) -> pl.DataFrame:
    import polars as pl

    rows = [
        (
            row_id(SUITE_ITEMS.full_name, task, made.question),
            task, split, number, made.question, made.answer, made.steps, content_hash(made.question),
        )
        for split, number, made in items(task, recipe)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=SUITE_ITEMS.empty().schema, orient="row")


def metadata(rows: pl.LazyFrame) -> dict[str, object]:
    """Items by task and split, and an example of each task."""
    from nemotron_assets.plots import markdown
    from nemotron_assets.table.markdown import markdown_row

    frame = rows.sort("task", "split", "number").collect()
    lines = [markdown_row(["task", *SPLITS, "question", "answer", "steps"]), "|---|--:|--:|---|---|---|"]
    for (task,), own in frame.group_by("task", maintain_order=True):
        first = own.row(0, named=True)
        counts = [own.filter(split=split).height for split in SPLITS]
        steps = first["reasoning"].replace("\n", " / ")
        lines.append(markdown_row([task, *map(str, counts), first["question"], first["answer"], steps]))
    held_out = frame.filter(split="held_out").height
    return {"items": frame.height, "held_out": held_out, "tasks": markdown("\n".join(lines))}
