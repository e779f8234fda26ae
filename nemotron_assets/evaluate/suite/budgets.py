"""Has models think within budgets, by themselves and with the budget enforced, and measures their answers.

By themselves: the client of two requests (`chat.budget.two_requests`) cuts the thought, and what the model then writes
stays as it is. Enforced: tokens are forced and banned where they are sampled. Both have the same limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.chat.budget.automaton import Budget, Thought
from nemotron_assets.chat.budget.tags import CLOSE, OPEN, Tags, well_formed
from nemotron_assets.chat.budget.two_requests import Ask, turn
from nemotron_assets.chat.budget.two_requests import Completion as Written
from nemotron_assets.evaluate.answering import Answering, Wanted
from nemotron_assets.evaluate.suite.answering import is_right
from nemotron_assets.evaluate.suite.tables import BUDGET_CONTROL
from nemotron_assets.grading.paired import Paired, paired
from nemotron_assets.table.ids import row_id

if TYPE_CHECKING:
    import polars as pl

    from nemotron_assets.recipe.evaluate_suite import BudgetControl

OWN, ENFORCED = "own", "enforced"
#: End of the names of models that have learned from whole thoughts in the place of cut ones.
UNTRUNCATED = "untruncated"


class Budgets:
    """Asks one model for answers to items within the budgets of the recipe."""

    def __init__(self, answering: Answering, items: pl.DataFrame, recipe: BudgetControl) -> None:
        self._answering, self._recipe, self._tags = answering, recipe, Tags.of(answering.tokenizer)
        asked = list(items.iter_rows(named=True))
        prompts = [answering.prompt(item["question"], True) for item in asked]
        self._asked = [
            (item, *prompt, Budget(tokens, recipe.grace, recipe.answer_tokens))
            for item, prompt in zip(asked, prompts, strict=True)
            for tokens in recipe.tokens
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Columns of `evaluate.budget_answers`."""
        return [*self._enforced(), *self._own()]

    def _total(self, budget: Budget) -> int:
        return budget.tokens + budget.grace + self._tags.longest_close + budget.answer_room

    def _enforced(self) -> list[dict[str, Any]]:
        wanted = [
            Wanted(ids, text, self._total(own), item["id"], (own.tokens, own.grace, own.answer_room))
            for item, ids, text, own in self._asked
        ]
        rows = []
        for (item, ids, _, own), made in zip(self._asked, self._answering.answers(wanted), strict=True):
            thought = Thought(self._tags, own, ids, self._total(own))
            for token in made.tokens:
                thought.feed(token)
            rows.append(
                self._row(item, own, ENFORCED, made.text, made.finish_reason, any(made.forced), [made.id])
                | {"thought_tokens": thought.tokens}
            )
        return rows

    def _own(self) -> list[dict[str, Any]]:
        """All turns go on side by side: their requests of one round are one batch."""
        encode = self._answering.encode
        turns = [
            turn(self._tags, encode, ids, own, self._total(own), keep_one_pair=False) for _, ids, _, own in self._asked
        ]
        waiting: dict[int, Ask] = {number: next(asking) for number, asking in enumerate(turns)}
        rows: dict[int, dict[str, Any]] = {}
        used: dict[int, list[str]] = {number: [] for number in waiting}
        while waiting:
            made = self._answering.answers(self._wanted(number, ask) for number, ask in waiting.items())
            following = {}
            for (number, ask), completion in zip(waiting.items(), made, strict=True):
                used[number].append(completion.id)
                try:
                    following[number] = turns[number].send(
                        _stopped(completion.text, completion.finish_reason, ask.stops)
                    )
                except StopIteration as end:
                    (item, _, _, own), answer = self._asked[number], end.value
                    by_budget = answer.closed_by == "budget"
                    rows[number] = self._row(item, own, OWN, answer.text, answer.finish_reason, by_budget, used[number])
            waiting = following
        return [rows[number] for number in sorted(rows)]

    def _wanted(self, number: int, ask: Ask) -> Wanted:
        item, ids, text, _ = self._asked[number]
        written = tuple(self._answering.encode(ask.written)) if ask.written else ()
        return Wanted(ids + written, text + ask.written, int(ask.max_tokens), item["id"])

    def _row(
        self,
        item: Mapping[str, Any],
        budget: Budget,
        mode: str,
        text: str,
        finish: str,
        by_budget: bool,
        used: list[str],
    ) -> dict[str, Any]:
        from nemotron_assets.chat.parsing import parse

        thought, _, answer = text.partition(CLOSE)
        return {
            "parents": [item["id"]],
            "mode": mode,
            "budget": budget.tokens,
            "task": item["task"],
            "item": item["id"],
            "completion": text,
            "right": is_right(parse(text).content, item["answer"], finish),
            "well_formed": well_formed(f"{OPEN}\n{text}"),
            "thought_tokens": len(self._answering.encode(thought)) if thought else 0,
            "answer_tokens": len(self._answering.encode(answer.strip())) if answer.strip() else 0,
            "closed_by": "budget" if by_budget else "model",
            "finish_reason": finish,
            "generation_ids": used,
        }


def _stopped(text: str, finish: str, stops: Sequence[str]) -> Written:
    """A completion that ends before one of the stop strings, as an endpoint gives it."""
    places = [text.index(stop) for stop in stops if stop in text]
    return Written(text[: min(places)], "stop") if places else Written(text, finish)


def control_rows(answers: pl.DataFrame, made: Mapping[str, Any]) -> pl.DataFrame:
    """Rows of `evaluate.budget_control`. `made` has the columns that say how the rows were made."""
    import polars as pl

    keys = ("model", "model_id", "model_version", "mode", "budget")
    means = answers.group_by(keys).agg(
        pl.len().cast(pl.Int64).alias("items"),
        pl.col("right").mean().alias("accuracy"),
        (pl.col("right").cast(pl.Float64).std() / pl.len().sqrt()).alias("stderr"),
        *(pl.col(name).mean() for name in ("well_formed", "thought_tokens", "answer_tokens")),
        (pl.col("closed_by") == "budget").mean().alias("closed_by_budget"),
    )
    rows = [
        {
            "id": row_id(BUDGET_CONTROL.full_name, *(row[key] for key in keys[1:])),
            **row,
            "truncated": not row["model"].endswith(UNTRUNCATED),
            **made,
        }
        for row in means.sort(keys).iter_rows(named=True)
    ]
    return pl.DataFrame(rows, BUDGET_CONTROL.empty().schema)


def with_and_without(answers: pl.DataFrame, mode: str) -> Paired | None:
    """The model that has learned from cut thoughts against the model that has not, at all budgets but the largest. An
    item counts with the mean over these budgets. None if one of the two has no answers."""
    import polars as pl

    newest = answers.sort("at").group_by("model").agg(pl.col("model_id").last())
    small = answers.join(newest, on=["model", "model_id"]).filter(
        (pl.col("mode") == mode) & (pl.col("budget") < pl.col("budget").max())
    )
    cut = ~pl.col("model").str.ends_with(UNTRUNCATED)
    means = small.group_by("item", cut=cut).agg(pl.col("right").mean())
    both = means.filter("cut").join(means.filter(~pl.col("cut")), on="item").sort("item")
    return paired(both["right_right"].to_list(), both["right"].to_list()) if both.height else None


def summary(rows: pl.DataFrame) -> dict[str, Any]:
    """What the UI shows: accuracy and length of the answer against the budget."""
    from nemotron_assets.plots import lines, markdown

    if rows.is_empty():
        return {"models": "none"}
    series: dict[str, dict[str, tuple[list[float], list[float]]]] = {"accuracy": {}, "answer_tokens": {}}
    heads = ("model", "mode", "budget", "accuracy", "well formed", "thought tokens", "answer tokens")
    table = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows.sort("model", "mode", "budget").iter_rows(named=True):
        for measure, own in series.items():
            xs, ys = own.setdefault(f"{row['model']}, {row['mode']}", ([], []))
            xs.append(row["budget"])
            ys.append(row[measure])
        figures = f"{row['accuracy']:.1%}", f"{row['well_formed']:.1%}", f"{row['thought_tokens']:.1f}"
        cells = (row["model"], row["mode"], row["budget"], *figures, f"{row['answer_tokens']:.1f}")
        table.append(f"| {' | '.join(map(str, cells))} |")
    return {
        "accuracy": lines(series["accuracy"], "right answers by thinking budget", "tokens of thought", "share"),
        "length": lines(series["answer_tokens"], "length of answers by thinking budget", "tokens of thought", "tokens"),
        "figures": markdown("\n".join(table)),
    }
