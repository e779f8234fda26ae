"""What people want to see of the corpus: the funnel, why files were dropped, which languages are left."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from nemotron_assets.code.quality.curate import DUPLICATE, LATE, LICENCE
from nemotron_assets.code.quality.rules import GENERATED, MINIFIED, VENDORED

#: Steps of the funnel: what a file must not have to come through.
_STEPS = (
    ("licence", LICENCE),
    ("no copy", (DUPLICATE,)),
    ("own code", (VENDORED, GENERATED, MINIFIED)),
    ("rules", None),
    ("closer look", LATE),
)


def funnel(files: int, dropped: pl.LazyFrame) -> dict[str, int]:
    """{step: files that are left after it}, in order."""
    named = [name for _, names in _STEPS for name in names or ()]
    hits = []
    for step, names in _STEPS:
        reason = pl.element().is_in(list(names)) if names else ~pl.element().is_in(named)
        hits.append(pl.col("rules").list.eval(reason).list.any().alias(step))
    gone = dropped.select(hits).select(
        pl.any_horizontal(*[pl.col(step) for step, _ in _STEPS[: n + 1]]).sum().alias(_STEPS[n][0])
        for n in range(len(_STEPS))
    )
    return {"files": files} | {step: files - count for step, count in gone.collect().row(0, named=True).items()}


def reasons(dropped: pl.LazyFrame) -> pl.DataFrame:
    """rule, files, alone (files that only this rule drops), tokens; the most frequent first."""
    rows = dropped.select("rules", "tokens", alone=pl.col("rules").list.len() == 1).explode("rules")
    counts = rows.group_by(rule="rules").agg(pl.len().alias("files"), pl.col("alone").sum(), pl.col("tokens").sum())
    return counts.sort("files", "rule", descending=[True, False]).collect(engine="streaming")


def reasons_table(counts: pl.DataFrame) -> str:
    """`reasons` as Markdown."""
    lines = ["| rule | files | only by it | tokens |", "|---|--:|--:|--:|"]
    return "\n".join(lines + [f"| {rule} | {n:,} | {alone:,} | {t:,} |" for rule, n, alone, t in counts.iter_rows()])


def mix(curated: pl.LazyFrame) -> pl.DataFrame:
    """language, files, tokens; the most tokens first."""
    counts = curated.group_by("language").agg(pl.len().alias("files"), pl.col("tokens").sum())
    return counts.sort("tokens", "language", descending=[True, False]).collect(engine="streaming")


def mix_table(counts: pl.DataFrame) -> str:
    """`mix` as Markdown."""
    lines = ["| language | files | tokens |", "|---|--:|--:|"]
    return "\n".join(lines + [f"| {name} | {n:,} | {tokens:,} |" for name, n, tokens in counts.iter_rows()])


def finds(screened: pl.LazyFrame) -> Mapping[str, int]:
    """{kind: credentials and personal data of it}, the most frequent first."""
    kinds = screened.select(kind=pl.concat_list("secrets", "personal")).explode("kind").drop_nulls()
    return dict(kinds.group_by("kind").len().sort("len", "kind", descending=[True, False]).collect().iter_rows())
