"""Has a model answer items of the suite, and grades the answers exactly. The likeliest token is taken every time."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.answering import Answering, Wanted
from nemotron_assets.models.registry import newest_of_each_name
from nemotron_assets.rollouts.policy import STOP

if TYPE_CHECKING:
    import polars as pl

    from resources.lakehouse import Reader


def chosen(items: pl.DataFrame, most: int | None) -> pl.DataFrame:
    """The held-out items, of every task the first `most` ones."""
    import polars as pl

    held_out = items.filter(split="held_out").sort("task", "number")
    return held_out if most is None else held_out.filter(pl.col("number") < most)


def is_right(said: str, answer: str, finish_reason: str) -> bool:
    """Whether an answer is the right one, but for white space around and between words. An answer that was cut is
    wrong: the model would have written more."""
    return finish_reason == STOP and said.split() == answer.split()


def suite_rows(answering: Answering, items: pl.DataFrame, max_tokens: int, stage: str) -> list[dict[str, Any]]:
    """The answers to items, without a thought, as columns of `evaluate.suite_answers`."""
    from nemotron_assets.chat.parsing import parse

    asked = list(items.iter_rows(named=True))
    wanted = [Wanted(*answering.prompt(item["question"], False), max_tokens, item["id"]) for item in asked]
    return [
        {
            "parents": [item["id"]],
            "stage": stage,
            "task": item["task"],
            "item": item["id"],
            "answer": made.text,
            "right": is_right(parse(made.text, thinking=False).content, item["answer"], made.finish_reason),
            "output_tokens": made.output_tokens,
            "finish_reason": made.finish_reason,
            "generation_id": made.id,
        }
        for item, made in zip(asked, answering.answers(wanted), strict=True)
    ]


def stored(models: Mapping[str, Reader]) -> list[Reader]:
    """The tables of models that the lake has."""
    return [reader for reader in models.values() if reader.exists]


def in_use(models: Mapping[str, Reader]) -> dict[str, dict[str, Any]]:
    """{id: row} of the newest version of every model name in the tables that the lake has, in the order of the tables.

    `stage` names the table of a row. `parents` are its nearest ancestors that are in use: a model of a later round of
    one stage is made from that of an earlier round, which is not in use any more.
    """
    rows, parents = {}, {}
    for stage, reader in models.items():
        if reader.exists:
            parents |= dict(reader.scan().select("id", "parents").collect().iter_rows())
            rows |= {row["id"]: {**row, "stage": stage} for row in newest_of_each_name(reader)}
    return {id_: {**row, "parents": _nearest(row["parents"], rows, parents)} for id_, row in rows.items()}


def _nearest(ids: Iterable[str], wanted: Container[str], parents: Mapping[str, list[str]]) -> list[str]:
    """Of these models or else of their ancestors, the first ones that are wanted."""
    found = ([id_] if id_ in wanted else _nearest(parents.get(id_, ()), wanted, parents) for id_ in ids)
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def of_models(answers: pl.LazyFrame, models: Iterable[str]) -> pl.DataFrame:
    """The rows about these models (ids)."""
    import polars as pl

    return answers.filter(pl.col("model_id").is_in(list(models))).collect()


def summary(answers: Reader, models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the UI shows: the share of right answers of the models in use, by task and together."""
    from nemotron_assets.plots import heatmap, markdown

    order = {id_: f"{number} {row['name']}" for number, (id_, row) in enumerate(models.items())}
    means: dict[tuple[str, str], float] = {}
    table = ["| stage | model | right | items |", "|---|---|--:|--:|"]
    rows = of_models(answers.scan(), models)
    for id_, model in models.items():
        own = rows.filter(model_id=id_)
        if own.height:
            table.append(f"| {model['stage']} | {model['name']} | {own['right'].mean():.1%} | {own.height} |")
        for (task,), of_task in own.group_by("task"):
            means[task, order[id_]] = of_task["right"].mean()
    return {
        "scores": markdown("\n".join(table)),
        "by_task": heatmap(means, "right answers by task and model", "model", "task"),
    }
