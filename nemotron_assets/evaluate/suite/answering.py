"""Has a model answer items of the suite, in batches and through the generation ledger, and grades the answers exactly.

The likeliest token is taken every time, so the answers are the same in every run. What a killed run has asked for is
in the ledger.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.models.registry import newest_of_each_name
from resources.generations import Completion, Ledger, Request, Sampling

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.recipe.align.rollouts import Rollouts
    from resources.gpu import Gpu
    from resources.lakehouse import Reader


@dataclass(frozen=True)
class Wanted:
    """One answer that is wanted: a prompt as tokens and text, the most tokens of the answer, and the budget of its
    thought (tokens, grace, room for the answer; None: it has none)."""

    prompt_ids: tuple[int, ...]
    text: str
    max_tokens: int
    item: str
    budget: tuple[int, int, int] | None = None


class Answering:
    """A model that answers through the ledger. `engine` is one of `nemotron_assets.rollouts`, `purpose` is what the
    ledger stores as the name of the prompts."""

    def __init__(self, engine: Any, ledger: Ledger, purpose: str) -> None:
        self._engine, self._ledger, self._purpose = engine, ledger, purpose

    @classmethod
    def of(
        cls, model: Mapping[str, Any], folder: Path, settings: Rollouts, gpu: Gpu, ledger: Ledger, purpose: str
    ) -> Answering:
        """The model of a row in a table of models, with its weights in `folder`."""
        from nemotron_assets.rollouts.opening import open_policy

        policy = open_policy(settings, folder, model["name"], model["sha256"], gpu, ledger, 1)
        return cls(policy.engine, ledger, purpose)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of transformers that the model was trained with."""
        return self._engine.tokenizer

    def prompt(self, question: str, thinking: bool) -> tuple[tuple[int, ...], str]:
        """A question as the model reads it, as tokens and as text."""
        from nemotron_assets.chat.conversation import Message
        from nemotron_assets.chat.template import prompt_ids, render

        asked = [Message("user", question)]
        return tuple(prompt_ids(self.tokenizer, asked, thinking=thinking)), render(asked, thinking=thinking)

    def encode(self, text: str) -> list[int]:
        """The tokens of what the model wrote, special tokens included."""
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def answers(self, wanted: Iterable[Wanted]) -> Iterator[Completion]:
        """The answers, in order."""

        def request(one: Wanted) -> Request:
            sampling = Sampling(0.0, 1.0, one.max_tokens, sampler=self._engine.kind, budget=one.budget)
            said = (("rendered", one.text),)
            return Request(self._purpose, said, sampling, parents=(one.item,), prompt_ids=one.prompt_ids)

        yield from self._ledger.generate(self._engine, map(request, wanted))


def chosen(items: pl.DataFrame, most: int | None) -> pl.DataFrame:
    """The held-out items, of every task the first `most` ones."""
    import polars as pl

    held_out = items.filter(split="held_out").sort("task", "number")
    return held_out if most is None else held_out.filter(pl.col("number") < most)


def is_right(said: str, answer: str) -> bool:
    """Whether an answer is the right one, but for white space around and between words."""
    return said.split() == answer.split()


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
            "right": is_right(parse(made.text, thinking=False).content, item["answer"]),
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
