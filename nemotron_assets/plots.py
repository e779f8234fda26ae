"""Small plots for materialisations: PNG inside Markdown metadata, as Dagster's UI shows them.

Figures are drawn without pyplot, so that nothing depends on a display or on global state.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIZE_IN = (7.0, 3.0)
_DPI = 80
_COLOUR = "#3d7a00"


def new_figure(title: str = "", x: str = "", y: str = "") -> tuple[Figure, Axes]:
    """An empty figure (7 x 3 inches) with a title and axis labels, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_IN, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def png_markdown(figure: Figure, alt: str = "plot") -> dg.MarkdownMetadataValue:
    """A figure as metadata: a PNG in a data URL, so that it needs no file beside the event log."""
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(image.getvalue()).decode()})")


def bars(values: Mapping[str, float], title: str, y: str = "", most: int = 25) -> dg.MarkdownMetadataValue:
    """A bar per key, in the mapping's order; what is beyond `most` bars is summed up as "other"."""
    shown = dict(list(values.items())[:most])
    if rest := sum(list(values.values())[most:]):
        shown["other"] = rest
    figure, axes = new_figure(title, y=y)
    axes.bar(range(len(shown)), list(shown.values()), color=_COLOUR)
    axes.set_xticks(range(len(shown)), list(shown), rotation=45 if len(shown) > 12 else 0, fontsize=8)
    return png_markdown(figure, title)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, x: str = "", y: str = "",
    log_y: bool = False,
) -> dg.MarkdownMetadataValue:  # fmt: skip
    """A line per key through its (x values, y values); `log_y` draws the y axis logarithmically."""
    figure, axes = new_figure(title, x, y)
    for name, (xs, ys) in series.items():
        axes.plot(xs, ys, label=name, linewidth=1.2)
    if log_y:
        axes.set_yscale("log")
    if len(series) > 1:
        axes.legend(fontsize=8, frameon=False)
    return png_markdown(figure, title)


def heatmap(
    values: Mapping[tuple[str, str], float], title: str, x: str = "", y: str = "", most: int = 40
) -> dg.MarkdownMetadataValue:
    """A square per pair (row, column) of names, darker for more, with the number where there is room; the last `most`
    names of each side. Pairs that are not given stay empty."""
    import numpy as np

    rows = sorted({row for row, _ in values})[-most:]
    columns = sorted({column for _, column in values})[-most:]
    grid = np.full((len(rows), len(columns)), np.nan)
    for (row, column), value in values.items():
        if row in rows and column in columns:
            grid[rows.index(row), columns.index(column)] = value
    figure, axes = new_figure(title, x, y)
    axes.grid(visible=False)
    if grid.size:
        image = axes.imshow(grid, cmap="Greens", aspect="auto", vmin=0)
        figure.colorbar(image, ax=axes)
    axes.set_xticks(range(len(columns)), columns, rotation=45 if len(columns) > 3 else 0, fontsize=7)
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    if grid.size and max(grid.shape) <= 12:
        half = np.nanmax(grid) / 2
        for (row, column), value in np.ndenumerate(grid):
            if not np.isnan(value):
                colour = "white" if value > half else "black"
                axes.text(column, row, f"{value:,.6g}", ha="center", va="center", fontsize=7, color=colour)
    return png_markdown(figure, title)
