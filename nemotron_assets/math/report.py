"""Metadata of candidate pages, rendered pages and the comparison of extractors, as Dagster's UI shows it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import polars as pl

from nemotron_assets.math.examples import formulas_kept, html_report
from nemotron_assets.plots import bars
from resources.home import cache_dir

_SIZES = {"0": (0, 0), "1-4": (1, 4), "5-19": (5, 19), "20-49": (20, 49), "50-99": (50, 99), "100-499": (100, 499),
          "500+": (500, 1 << 40)}  # fmt: skip


def candidates(pages: pl.LazyFrame, snapshot: str) -> dict[str, Any]:
    """Metadata of a partition of `math.candidate_pages`: pages per signal and per list, pages fetched and listed."""
    signals = _counts(pages, "signals")
    totals = pages.select(pl.col("fetched").sum(), listed=(pl.col("lists").list.len() > 0).sum()).collect().row(0)
    return {
        "signals": bars(signals, f"Candidate pages per signal, {snapshot}", "pages"),
        "lists": dg.MetadataValue.json(_counts(pages, "lists")),
        "fetched": int(totals[0] or 0),
        "listed": int(totals[1] or 0),
    }


def rendered(texts: pl.LazyFrame, snapshot: str) -> dict[str, Any]:
    """Metadata of a partition of `math.rendered`: formulas per page and per encoding, code blocks, languages."""
    encodings = (
        texts.select("encodings", "encoding_counts")
        .explode("encodings", "encoding_counts")
        .drop_nulls()
        .group_by("encodings")
        .agg(pl.col("encoding_counts").sum())
        .sort("encoding_counts", "encodings", descending=[True, False])
        .collect()
    )
    totals = (
        texts.select(pl.col("formulas", "display_formulas", "code_blocks", "characters").sum())
        .collect()
        .row(0, named=True)
    )
    sizes = {label: pl.col("formulas").is_between(low, high).sum() for label, (low, high) in _SIZES.items()}
    per_page = texts.select(**sizes).collect(engine="streaming").row(0, named=True)
    return {
        **{name: int(value or 0) for name, value in totals.items()},
        "formulas_per_page": bars(per_page, f"Pages by number of formulas, {snapshot}", "pages"),
        "encodings": bars(dict(encodings.iter_rows()), f"Formulas by encoding, {snapshot}", "formulas"),
        "languages": dg.MetadataValue.json(_counts(texts, "language")),
    }


def extraction_examples(rows: pl.DataFrame, snapshot: str) -> dict[str, Any]:
    """Metadata of a partition of `math.extraction_examples`: formulas kept per extractor, and where the HTML report is.
    Writes the report into the cache directory."""
    path = cache_dir("reports") / f"extraction_examples-{snapshot}.html"
    path.write_text(html_report(rows, snapshot), encoding="utf-8")
    totals = formulas_kept(rows)
    shares = {name: kept.share for name, kept in totals.items()}
    return {
        "report": dg.MetadataValue.path(path),
        "open": dg.MetadataValue.url(path.as_uri()),
        "kept": dg.MetadataValue.json({name: f"{kept.kept} of {kept.wanted}" for name, kept in totals.items()}),
        "plot": bars(shares, f"Formulas kept, {snapshot}", "share"),
    }


def _counts(rows: pl.LazyFrame, column: str) -> dict[str, int]:
    """{value: rows} of a column, the most frequent value first; for a list column, of the elements of its lists."""
    if isinstance(rows.collect_schema()[column], pl.List):
        rows = rows.select(column).explode(column).drop_nulls()
    return dict(rows.group_by(column).len().sort("len", column, descending=[True, False]).collect().iter_rows())
