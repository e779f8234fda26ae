"""Metadata of `audit.thresholds`: the rules that drop most, and their curves as a plot."""

from __future__ import annotations

from typing import Any

import polars as pl

from nemotron_assets.table.markdown import markdown_row

_PLOTTED, _SHOWN = 6, 20


def metadata(rows: pl.DataFrame, fingerprint: str) -> dict[str, Any]:
    """Facts about the rows of `audit.thresholds`: the fingerprint of the corpus, the rules that drop most of a source
    as a table, and per table a plot of what is kept of all sources as their thresholds move."""
    from nemotron_assets.plots import lines, markdown

    of_sources = rows.filter(by="source")
    facts: dict[str, Any] = {"fingerprint": fingerprint, "dropping_most": markdown(_table(of_sources))}
    for measured in ("web.measures", "code.annotations"):
        curves = _pooled(of_sources.filter(measured=measured))
        if curves:
            schema = measured.partition(".")[0]
            title = f"Share kept by each rule of {measured}, all sources"
            facts[f"{schema}_curves"] = lines(curves, title, "multiple of the recipe's threshold", "share kept")
    return facts


def _pooled(rows: pl.DataFrame) -> dict[str, tuple[list[float], list[float]]]:
    """{rule: (factors, shares kept)} over all names, of the rules that drop most at the recipe's threshold."""
    pooled = rows.group_by("rule", "bound", "factor").agg(pl.col("rows", "kept").sum()).sort("factor")
    pooled = pooled.with_columns(share=pl.col("kept") / pl.col("rows"))
    own = pooled.filter(factor=1.0).sort("share", "rule", "bound").head(_PLOTTED)
    curves = {}
    for rule, bound in own.select("rule", "bound").iter_rows():
        curve = pooled.filter(rule=rule, bound=bound)
        curves[f"{rule} ({bound})"] = (curve["factor"].to_list(), curve["share"].to_list())
    return curves


def _table(rows: pl.DataFrame) -> str:
    """The rules that drop most of a source, as a Markdown table."""
    columns = ("measured", "name", "rule", "bound", "threshold", "rows", "kept_share")
    lines = [markdown_row(columns), "|---|---|---|---|--:|--:|--:|"]
    most = rows.filter(factor=1.0).sort("kept_share", "rows", descending=[False, True]).head(_SHOWN)
    for *names, threshold, count, share in most.select(columns).iter_rows():
        limit = "by language" if threshold is None else f"{threshold:g}"
        lines.append(markdown_row([*names, limit, count, f"{share:.1%}"], 80))
    return "\n".join(lines)
