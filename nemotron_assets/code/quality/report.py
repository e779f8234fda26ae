"""Statistics of the corpus for the Dagster UI: files left after each step, reasons to drop files, languages."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from nemotron_assets.code.path_rules import GENERATED, MINIFIED, VENDORED
from nemotron_assets.code.quality.curate import DUPLICATE, LATE, LICENCE

#: Steps of the funnel with the rules that drop files in them; None: all other rules.
_STEPS = (
    ("licence", LICENCE),
    ("duplicates", (DUPLICATE,)),
    ("own code", (VENDORED, GENERATED, MINIFIED)),
    ("rules", None),
    ("screening", LATE),
)


def funnel(files: int, dropped: pl.LazyFrame) -> dict[str, int]:
    """{step: number of files that are left after it}, in the order of the steps."""
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
    """The columns rule, files, alone (files that no other rule drops) and tokens; the most frequent rule first."""
    rows = dropped.select("rules", "tokens", alone=pl.col("rules").list.len() == 1).explode("rules")
    counts = rows.group_by(rule="rules").agg(pl.len().alias("files"), pl.col("alone").sum(), pl.col("tokens").sum())
    return counts.sort("files", "rule", descending=[True, False]).collect(engine="streaming")


def reasons_table(counts: pl.DataFrame) -> str:
    """`reasons` as a Markdown table."""
    lines = ["| rule | files | files of this rule alone | tokens |", "|---|--:|--:|--:|"]
    return "\n".join(lines + [f"| {rule} | {n:,} | {alone:,} | {t:,} |" for rule, n, alone, t in counts.iter_rows()])


def mix(curated: pl.LazyFrame) -> pl.DataFrame:
    """The columns language, files and tokens; the language with most tokens first."""
    counts = curated.group_by("language").agg(pl.len().alias("files"), pl.col("tokens").sum())
    return counts.sort("tokens", "language", descending=[True, False]).collect(engine="streaming")


def mix_table(counts: pl.DataFrame) -> str:
    """`mix` as a Markdown table."""
    lines = ["| language | files | tokens |", "|---|--:|--:|"]
    return "\n".join(lines + [f"| {name} | {n:,} | {tokens:,} |" for name, n, tokens in counts.iter_rows()])


def finds(screened: pl.LazyFrame) -> Mapping[str, int]:
    """{kind of credential or personal data: number of finds}, the most frequent first."""
    kinds = screened.select(kind=pl.concat_list("secrets", "personal")).explode("kind").drop_nulls()
    return dict(kinds.group_by("kind").len().sort("len", "kind", descending=[True, False]).collect().iter_rows())
