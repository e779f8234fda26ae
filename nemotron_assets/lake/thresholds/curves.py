"""Counts what each rule keeps at multiples of its threshold, from the stored numbers: no text is read.

A rule is looked at alone, on the rows that it applies to: English documents of the levels that the recipe names, and
languages for which the rule is not switched off. A number that was not measured is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.lake.thresholds import tables as t
from nemotron_assets.recipe.code.numbers import NUMBERS
from nemotron_assets.recipe.web.heuristics import Rules
from nemotron_assets.table.ids import content_hash, row_id

if TYPE_CHECKING:
    from nemotron_assets.recipe import Recipe
    from nemotron_assets.recipe.lake import Thresholds
    from resources.lakehouse import Lakehouse

_FIRST = pl.col("parents").list.first()
_ENGLISH = "en"


@dataclass(frozen=True)
class Rule:
    """One bound of one number. `threshold` is an expression over the rows: the bound of the row's language, null where
    the rule does not apply."""

    name: str
    bound: str
    threshold: pl.Expr

    def kept(self, factor: float) -> pl.Expr:
        """Whether a row that the rule applies to is kept at a multiple of its threshold; false for other rows."""
        number, limit = pl.col(self.name), self.threshold * factor
        inside = number >= limit if self.bound == "min" else number <= limit
        return self.threshold.is_not_null() & inside.fill_null(True)


def threshold_rows(lake: Lakehouse, recipe: Recipe) -> Iterator[pl.DataFrame]:
    """Rows of `audit.thresholds`."""
    web = (t.MEASURES.full_name, web_numbers(lake), web_rules(recipe), ("source", "host", "language"))
    code = (t.ANNOTATIONS.full_name, code_numbers(lake), code_rules(recipe), ("source", "repository", "language"))
    for measured, rows, rules, kinds in (web, code):
        for by in kinds:
            yield curves(measured, rows, rules, by, recipe.thresholds)


def web_numbers(lake: Lakehouse) -> pl.LazyFrame:
    """The rows of `web.measures` with source, host and level."""
    verdicts = lake.read(t.VERDICTS).scan().select("level", document=_FIRST)
    hosts = lake.read(t.UNIQUE_DOCUMENTS).scan().select("host", document="id")
    numbers = lake.read(t.MEASURES).scan().with_columns(document=_FIRST, source="snapshot")
    return numbers.join(verdicts, on="document", how="left").join(hosts, on="document", how="left")


def code_numbers(lake: Lakehouse) -> pl.LazyFrame:
    """The rows of `code.annotations` with source and repository."""
    repositories = lake.read(t.REPOSITORIES).scan().select("repo", "commit_id", "source")
    numbers = lake.read(t.ANNOTATIONS).scan().with_columns(repository="repo")
    return numbers.join(repositories, on=("repo", "commit_id"), how="left")


def web_rules(recipe: Recipe) -> list[Rule]:
    """The rules of `web.verdicts` with a threshold."""
    settings = recipe.web.heuristics
    english = pl.col("language") == _ENGLISH
    judged = ~english | pl.col("level").is_null() | pl.col("level").is_in(settings.levels)
    rules = []
    for name in Rules.model_fields:
        bounds = getattr(settings.rules, name)
        off = [language for language, names in settings.switched_off.items() if name in names]
        applies = judged & ~pl.col("language").is_in(off)
        for bound in ("min", "max"):
            if (limit := getattr(bounds, bound)) is not None:
                rules.append(Rule(name, bound, pl.when(applies).then(pl.lit(float(limit)))))
    if settings.max_perplexity is not None:
        rules.append(Rule("perplexity", "max", pl.when(judged & english).then(pl.lit(float(settings.max_perplexity)))))
    return rules


def code_rules(recipe: Recipe) -> list[Rule]:
    """The bounds of `code.quality`, of each language its own."""
    settings = recipe.code.quality
    special = {language: settings.rules_of(language) for language in settings.special_languages()}
    rules = []
    for name in NUMBERS:
        for bound in ("min", "max"):
            limits = {language: _limit(found.get(name), bound) for language, found in special.items()}
            usual = _limit(settings.code_rules.get(name), bound)
            if usual is None and not any(limit is not None for limit in limits.values()):
                continue
            of_language = pl.col("language").replace_strict(
                limits, default=pl.lit(usual, pl.Float64), return_dtype=pl.Float64
            )
            rules.append(Rule(name, bound, of_language))
    return rules


def _limit(bounds, bound: str) -> float | None:
    value = getattr(bounds, bound) if bounds else None
    return None if value is None else float(value)


def curves(measured: str, rows: pl.LazyFrame, rules: list[Rule], by: str, recipe: Thresholds) -> pl.DataFrame:
    """The rows of `audit.thresholds` of one table and one kind of name: its most frequent names."""
    counts = {}
    for at, rule in enumerate(rules):
        limit = rule.threshold
        counts[f"{at} rows"] = limit.is_not_null().sum()
        counts[f"{at} limit"] = pl.when(limit.min() == limit.max()).then(limit.min())
        counts |= {f"{at} kept {factor}": rule.kept(factor).sum() for factor in recipe.factors}
    rows, size, order = rows.with_columns(name=by), pl.len().alias("all"), {"descending": [True, False]}
    # First only the sizes: a web has millions of hosts, and hundreds of counts of each would not fit in memory.
    names = rows.group_by("name").agg(size).filter(pl.col("all") >= recipe.min_rows).sort("all", "name", **order)
    names = names.head(recipe.names).select("name").collect(engine="streaming").lazy()
    found = rows.join(names, on="name", how="semi", nulls_equal=True).group_by("name").agg(size, **counts)
    found = found.sort("all", "name", **order).with_columns(pl.col("name").fill_null("unknown"))
    found = found.collect(engine="streaming")
    parts = [
        found.select(
            "name",
            measured=pl.lit(measured),
            rule=pl.lit(rule.name),
            bound=pl.lit(rule.bound),
            by=pl.lit(by),
            factor=pl.lit(float(factor)),
            threshold=pl.col(f"{at} limit") * factor,
            rows=pl.col(f"{at} rows").cast(pl.Int64),
            kept=pl.col(f"{at} kept {factor}").cast(pl.Int64),
        )
        for at, rule in enumerate(rules)
        for factor in recipe.factors
    ]
    frame = pl.concat(parts).filter((pl.col("kept") < pl.col("rows")).any().over("rule", "bound", "name"))
    ids = [row_id(t.THRESHOLDS.full_name, measured, by, *map(str, key)) for key in frame.select(_KEY).iter_rows()]
    return frame.with_columns(id=pl.Series(ids, dtype=pl.String), kept_share=pl.col("kept") / pl.col("rows")).select(
        t.THRESHOLDS.column_names
    )


_KEY = ("rule", "bound", "name", "factor")


def fingerprint(lake: Lakehouse) -> str:
    """The fingerprint of the corpus: 16 hex digits that change when a page or a file of code does."""
    pages = lake.read(t.PAGES)
    contents = [f"{snapshot} {pages.within(snapshot).content()}" for snapshot in pages.snapshots()]
    return content_hash("\n".join([*contents, lake.read(t.FILES).content()]))[:16]
