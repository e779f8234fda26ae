"""Metadata of the release: its subsets, its languages, and how much text is left after every stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from nemotron_assets.plots import bars, new_figure, png_markdown
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2
from nemotron_assets.web.report import language_mix

if TYPE_CHECKING:
    from resources.warehouse import Warehouse


def metadata(release: pl.LazyFrame, warehouse: Warehouse, snapshot: str, left_out: Mapping[str, int]) -> dict[str, Any]:
    """The metadata of `web.nemotron_cc_v2`. `release` are its rows of a snapshot; `left_out` counts, per subset, rows
    with a level or prompt that the subset does not take."""
    return {
        **subsets(release, snapshot),
        **funnel(warehouse, snapshot),
        "left_out": dg.MetadataValue.json(dict(left_out)),
    }


def subset_counts(release: pl.LazyFrame) -> pl.DataFrame:
    """Texts, estimated tokens (four characters each), languages and web documents per subset, in published order."""
    order = pl.Enum(NEMOTRON_CC_V2.published.configs)
    counts = release.group_by("subset").agg(
        documents=pl.len(),
        tokens=pl.col("characters").sum() // 4,
        languages=pl.col("language").n_unique(),
        origins=pl.col("origin_hash").n_unique(),
    )
    return counts.collect(engine="streaming").sort(pl.col("subset").cast(order))


def subsets(release: pl.LazyFrame, snapshot: str) -> dict[str, Any]:
    """Metadata: the table of subsets and the language mix."""
    counts = subset_counts(release)
    lines = ["| subset | documents | tokens, estimated | languages | web documents |", "|---|--:|--:|--:|--:|"]
    lines += [f"| {name} | {d:,} | {t:,} | {n} | {o:,} |" for name, d, t, n, o in counts.iter_rows()]
    return {
        "subsets": dg.MetadataValue.md("\n".join(lines)),
        "estimated_tokens": int(counts["tokens"].sum()),
        "language_mix": bars(language_mix(release), f"Texts per language, {snapshot}", "texts"),
    }


def funnel(warehouse: Warehouse, snapshot: str) -> dict[str, Any]:
    """Metadata: estimated tokens of every stage of the snapshot (the view `web.funnel`), as a table and a plot."""
    with warehouse.connect() as connection:
        query = 'select stage, "rows", tokens from web.funnel where snapshot = ? order by step'
        stages = connection.execute(query, [snapshot]).fetchall()
    lines = ["| stage | rows | tokens, estimated |", "|---|--:|--:|"]
    lines += [f"| {stage} | {rows:,} | {'' if tokens is None else f'{tokens:,}'} |" for stage, rows, tokens in stages]
    return {
        "stages": dg.MetadataValue.md("\n".join(lines)),
        "funnel": funnel_plot([(s, t) for s, _, t in stages if t is not None], f"Tokens per stage, {snapshot}"),
    }


def funnel_plot(stages: Sequence[tuple[str, int]], title: str) -> dg.MarkdownMetadataValue:
    """A horizontal bar per (stage, tokens), the first on top. The axis is logarithmic, because stages differ by powers
    of ten."""
    figure, axes = new_figure(title, x="tokens, estimated")
    figure.set_figheight(1.2 + 0.22 * max(len(stages), 1))
    axes.barh(range(len(stages)), [max(tokens, 1) for _, tokens in stages], color="#3d7a00")
    axes.set_yticks(range(len(stages)), [stage for stage, _ in stages], fontsize=8)
    axes.invert_yaxis()
    if stages:
        axes.set_xscale("log")
    for place, (_, tokens) in enumerate(stages):
        axes.annotate(f" {tokens:,}", (max(tokens, 1), place), va="center", fontsize=7)
    return png_markdown(figure, title)
