"""What people want to see of the mathematics: which pages were found and how they write their formulas."""

from __future__ import annotations

from typing import Any

import dagster as dg
import polars as pl

from nemotron_assets.plots import bars


def candidates(pages: pl.LazyFrame, snapshot: str) -> dict[str, Any]:
    """Counts of `math.candidate_pages`: signals, lists, pages fetched."""
    signals = _counts(pages, "signals")
    totals = pages.select(pl.col("fetched").sum(), listed=(pl.col("lists").list.len() > 0).sum()).collect().row(0)
    return {
        "signals": bars(signals, f"Candidate pages per signal, {snapshot}", "pages"),
        "lists": dg.MetadataValue.json(_counts(pages, "lists")),
        "fetched": int(totals[0] or 0),
        "listed": int(totals[1] or 0),
    }


def rendered(texts: pl.LazyFrame, snapshot: str) -> dict[str, Any]:
    """Counts of `math.rendered`: formulas per page and per encoding, code blocks, languages."""
    encodings = (
        texts.select("encodings", "encoding_counts").explode("encodings", "encoding_counts").drop_nulls()
        .group_by("encodings").agg(pl.col("encoding_counts").sum()).sort("encoding_counts", "encodings", descending=[True, False])
        .collect()
    )  # fmt: skip
    totals = (
        texts.select(pl.col("formulas", "display_formulas", "code_blocks", "characters").sum())
        .collect()
        .row(0, named=True)
    )
    edges = (0, 1, 5, 20, 50, 100, 500)
    counts = texts.select("formulas").collect()["formulas"]
    per_page = {
        (f"{low}" if high == low + 1 else f"{low}-{high - 1}" if high else f"{low}+"): int(
            ((counts >= low) & (counts < (high or 1 << 31))).sum()
        )
        for low, high in zip(edges, (*edges[1:], None), strict=True)
    }
    return {
        **{name: int(value or 0) for name, value in totals.items()},
        "formulas_per_page": bars(per_page, f"Pages by number of formulas, {snapshot}", "pages"),
        "encodings": bars(dict(encodings.iter_rows()), f"Formulas by encoding, {snapshot}", "formulas"),
        "languages": dg.MetadataValue.json(_counts(texts, "language")),
    }


def _counts(rows: pl.LazyFrame, column: str) -> dict[str, int]:
    """{value: rows} of a column, or of the elements of a list column; the most frequent first."""
    if isinstance(rows.collect_schema()[column], pl.List):
        rows = rows.select(column).explode(column).drop_nulls()
    return dict(rows.group_by(column).len().sort("len", column, descending=[True, False]).collect().iter_rows())
