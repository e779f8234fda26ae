"""Small plots for the metadata of materialisations and checks: PNG images inside Markdown, which Dagster's UI shows.

Figures are drawn without pyplot, so that they need no display and no global state.
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
_NAME = 48  # longest name of a bar, in characters; longer names are cut
_SIDE_BY_SIDE = 90  # characters that fit below bars; every name counts as long as the longest
_FEW = 4  # a plot with fewer bars is drawn as wide as one with this many


def new_figure(title: str = "", x: str = "", y: str = "") -> tuple[Figure, Axes]:
    """An empty figure (7 x 3 inches) with a title and axis labels, and the axes to draw on."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_IN, dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def markdown(text: str) -> dg.MarkdownMetadataValue:
    """Markdown text as metadata."""
    return dg.MetadataValue.md(text)


def png_markdown(figure: Figure, alt: str = "plot") -> dg.MarkdownMetadataValue:
    """A figure as metadata: a PNG in a data URL, which needs no file beside the event log."""
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(image.getvalue()).decode()})")


def bars(values: Mapping[str, float], title: str, y: str = "", most: int = 25) -> dg.MarkdownMetadataValue:
    """A bar per key with its value, in the mapping's order. Values after the first `most` are summed up as "other".

    Bars are vertical if their names fit side by side, else horizontal.
    """
    shown = dict(list(values.items())[:most])
    if rest := sum(list(values.values())[most:]):
        shown["other"] = rest
    names = [name if len(name) <= _NAME else f"{name[: _NAME - 1]}…" for name in shown]
    places, heights = range(len(shown)), list(shown.values())
    if len(shown) * max(map(len, names), default=0) <= _SIDE_BY_SIDE:
        figure, axes = new_figure(title, y=y)
        drawn = axes.bar(places, heights, color=_COLOUR)
        axes.set_xticks(places, names, fontsize=8)
        axes.set_xlim(-0.6, max(len(shown), _FEW) - 0.4)
    else:
        figure, axes = new_figure(title, x=y)
        figure.set_figheight(0.9 + 0.2 * len(shown))
        drawn = axes.barh(places, heights, color=_COLOUR)
        axes.set_yticks(places, names, fontsize=8)
        axes.set_ylim(len(shown) - 0.4, -0.6)  # the first bar on top
    of_values = axes.xaxis if drawn.orientation == "horizontal" else axes.yaxis
    of_values.set_major_formatter(lambda value, _: _shown(value))
    axes.bar_label(drawn, fmt=_shown, fontsize=7, padding=2)
    axes.margins(**{"x" if drawn.orientation == "horizontal" else "y": 0.12})
    return png_markdown(figure, title)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x: str = "",
    y: str = "",
    log_y: bool = False,
) -> dg.MarkdownMetadataValue:
    """A line per key through its (x values, y values); with `log_y` the y axis is logarithmic."""
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
    """A square per pair (row, column) of names, darker for larger values, with the value where there is room.

    Pairs without a value stay empty. Of the rows and of the columns, the last `most` in alphabetical order are shown.
    """
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
