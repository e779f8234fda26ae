"""Counts rows before and after every step by source, host, language and repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.lake.removals import tables as t
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from nemotron_assets.recipe.lake import Removals
    from resources.lakehouse import Lakehouse

#: The host of a table without the column `host`, as in https://user@docs.example:80/x.
_HOST = pl.col("url").str.extract(r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#:]+)").str.to_lowercase()
_PAGES = {"source": "snapshot", "host": "host"}
_TEXTS = _PAGES | {"language": "language"}
_ALLOWED = pl.col("decision") == "allowed"
_CODE = {"source": "source", "repository": "repo", "language": "language"}


@dataclass(frozen=True)
class Step:
    """A step from one table to others: {what is counted by: its column}. `had` filters the rows before the step, `kept`
    those after it, and `without` is a table of rows (its first parent) that the step removes."""

    before: Table
    after: tuple[Table, ...]
    by: dict[str, str] = field(default_factory=dict)
    had: pl.Expr | None = None
    kept: pl.Expr | None = None
    without: Table | None = None

    @property
    def name(self) -> str:
        return (self.without or self.after[0]).full_name


STEPS = (
    Step(t.PAGES, (t.DOCUMENTS,), _PAGES),
    Step(t.DOCUMENTS, (t.UNIQUE_DOCUMENTS,), _TEXTS),
    Step(t.UNIQUE_DOCUMENTS, (t.CURATED, t.MULTILINGUAL), _TEXTS),
    Step(t.CANDIDATE_PAGES, (t.RENDERED,), _PAGES),
    Step(t.RENDERED, (t.CLEANED,), _TEXTS),
    Step(t.CLEANED, (t.NEMOTRON_CC_MATH,), _TEXTS),
    Step(t.FILES, (t.LICENSES,), _CODE, kept=_ALLOWED),
    Step(t.FILES, (t.FILES,), _CODE, without=t.DUPLICATE_FILES),
    Step(t.LICENSES, (t.CURATED_CODE,), _CODE, had=_ALLOWED),
)


def removal_rows(lake: Lakehouse, recipe: Removals) -> Iterator[pl.DataFrame]:
    """Rows of `lake.removals`, step by step."""
    for step in STEPS:
        after = pl.concat([_rows(lake, table, step) for table in step.after], how="diagonal")
        if step.without is not None:
            gone = lake.read(step.without).scan().select(id=pl.col("parents").list.first())
            after = after.join(gone, on="id", how="anti")
        before = _rows(lake, step.before, step)
        for by, column in step.by.items():
            yield _counted(step, by, before, after, column, recipe.min_rows)


def _rows(lake: Lakehouse, table: Table, step: Step) -> pl.LazyFrame:
    """The rows of a table with the columns that the step counts by; of code, files have the source of their repository
    and licences the language of their file."""
    rows, wanted = lake.read(table).scan(), list(step.by.values())
    if (chosen := step.kept if table in step.after else step.had) is not None:
        rows = rows.filter(chosen)
    if "host" in wanted and "host" not in table.column_names:
        rows = rows.with_columns(host=_HOST)
    if "source" in wanted:
        repositories = lake.read(t.REPOSITORIES).scan().select("repo", "commit_id", "source")
        rows = rows.join(repositories, on=("repo", "commit_id"), how="left")
    if "language" in wanted and "language" not in table.column_names:
        files = lake.read(t.FILES).scan().select(file="id", language="language")
        rows = rows.join(files, on="file", how="left")
    return rows.select("id", *wanted)


def _counted(
    step: Step, by: str, before: pl.LazyFrame, after: pl.LazyFrame, column: str, min_rows: int
) -> pl.DataFrame:
    """The rows of one step and one kind of name, those with the largest share first."""
    here = before.group_by(name=column).agg(before=pl.len().cast(pl.Int64)).filter(pl.col("before") >= min_rows)
    left = after.group_by(name=column).agg(after=pl.len().cast(pl.Int64))
    found = (
        here.join(left, on="name", how="left", nulls_equal=True)
        .with_columns(pl.col("name").fill_null("unknown"), pl.col("after").fill_null(0))
        .with_columns(removed_share=(1 - pl.col("after") / pl.col("before")).clip(0, 1))
        .sort("removed_share", "before", "name", descending=[True, True, False])
        .collect(engine="streaming")
    )
    ids = [row_id(t.REMOVALS.full_name, step.name, by, name) for name in found["name"]]
    return found.with_columns(
        id=pl.Series(ids, dtype=pl.String),
        step=pl.lit(step.name),
        made_from=pl.lit(step.before.full_name),
        by=pl.lit(by),
    ).select(t.REMOVALS.column_names)


def wiped_out(removals: pl.LazyFrame, recipe: Removals) -> pl.DataFrame:
    """The rows of `lake.removals` of which a step takes more than the recipe's limit, without the names that the recipe
    expects to lose."""
    limits = [pl.when(pl.col("step") == step).then(share) for step, share in recipe.max_share_of_step.items()] or [
        pl.when(False).then(0.0)
    ]
    limit = pl.coalesce(*limits, pl.lit(recipe.max_share))
    expected = pl.col("name").is_in(list(recipe.expected))
    return removals.filter((pl.col("removed_share") > limit) & ~expected).collect()
