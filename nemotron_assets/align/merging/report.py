"""Shows the scores of the merges in the Dagster UI: a plot over the share of the chat model, and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemotron_assets.plots import markdown, new_figure, png_markdown
from nemotron_assets.table.markdown import markdown_row

if TYPE_CHECKING:
    import polars as pl


def of_scores(scores: pl.LazyFrame) -> dict[str, Any]:
    """The plot and the table. The dotted line is the share that is used."""
    rows = scores.sort("suite", "alpha").collect()
    figure, axes = new_figure(x="share of the chat model", y="score")
    for (suite,), own in rows.group_by("suite", maintain_order=True):
        axes.plot(own["alpha"], own["score"], marker="o", markersize=3, linewidth=1, label=suite)
    used = rows.filter("is_used")["alpha"]
    axes.axvline(used[0], color="grey", linestyle=":", linewidth=0.8)
    axes.legend(fontsize="x-small")
    shown = ("suite", "alpha", "choice_score", "items", "score", "difference", "low", "high", "is_used")
    numbers = [[f"{v:.3f}" if isinstance(v, float) else v for v in row] for row in rows.select(shown).iter_rows()]
    lines = [markdown_row(list(shown)), f"|{'---|' * len(shown)}", *map(markdown_row, numbers)]
    return {"scores over alpha": png_markdown(figure, "scores over alpha"), "scores": markdown("\n".join(lines))}
