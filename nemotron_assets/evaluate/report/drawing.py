"""Draws the figures of the page as SVG, narrow enough for a phone. Texts stay texts, and nothing in them is a formula.

Everything that shows a number has an id that begins with `mark`, so that an empty figure can be told from a full one.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nemotron_assets.evaluate.report.content import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH_IN = 4.5
_COLOURS = ("#3d7a00", "#1f5fa8", "#b5541c", "#7a3d8f", "#8a7a00", "#00797a", "#a02c4a", "#555555")
_NAME = 34  # longest name beside a bar, in characters
_BAR_IN = 0.22
#: Settings of matplotlib: texts as texts, formulas never read from names, equal input gives equal files.
_SETTINGS = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 9.5, "font.family": "sans-serif",
    "axes.labelsize": 9.5, "legend.fontsize": 9, "path.simplify": True,
}  # fmt: skip


def number(value: float | None) -> str:
    """A number in few characters: 1.2M, 34k, 0.125."""
    if value is None:
        return ""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and size > 1e3):
            return f"{value / size:.3g}{unit}"
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def short(name: str, longest: int = _NAME) -> str:
    """A name, cut to a length."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def bars(title: str, values: Mapping[str, float], x: str = "", log: bool = False) -> Figure | None:
    """A horizontal bar per name, the first one on top, with its value beside it. None without values."""
    if not values:
        return None

    def draw(axes: Axes) -> None:
        lengths = list(values.values())
        drawn = axes.barh(range(len(values)), lengths, color=_COLOURS[0], height=0.72)
        for place, bar in enumerate(drawn):
            bar.set_gid(f"mark-{place}")
        axes.set_yticks(range(len(values)), [short(name) for name in values])
        axes.set_ylim(len(values) - 0.4, -0.6)
        axes.bar_label(drawn, labels=[number(v) for v in lengths], padding=2, fontsize=9)
        if log and min(v for v in lengths if v > 0) * 50 < max(lengths):
            axes.set_xscale("log")
            axes.set_xlim(min(v for v in lengths if v > 0) / 2, max(lengths) * 8)
        else:
            axes.set_xlim(0, max(*lengths, 1e-9) * 1.18)
        _plain(axes.xaxis)
        axes.set_xlabel(x)
        axes.grid(axis="y", visible=False)

    if not any(v > 0 for v in values.values()):
        return None
    return _figure(title, draw, height=0.75 + _BAR_IN * len(values))


def lines(
    title: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    x: str = "",
    y: str = "",
    *,
    dots: bool = False,
    log_x: bool = False,
    log_y: bool = False,
) -> Figure | None:
    """A line per name through its (x values, y values), with `dots` at its points. None without a point."""
    series = {name: points for name, points in series.items() if len(points[0])}
    if not series:
        return None

    def draw(axes: Axes) -> None:
        for place, (name, (xs, ys)) in enumerate(series.items()):
            style = {
                "color": _COLOURS[place % len(_COLOURS)],
                "linestyle": ("-", "--", ":")[place // len(_COLOURS) % 3],
            }
            alone = dots or len(xs) == 1
            drawn = axes.plot(xs, ys, label=short(name), linewidth=1.3, marker="o" if alone else None, ms=3, **style)
            drawn[0].set_gid(f"mark-{place}")
        axes.set(xlabel=x, ylabel=y, **({"xscale": "log"} if log_x else {}), **({"yscale": "log"} if log_y else {}))
        _plain(axes.xaxis), _plain(axes.yaxis)
        if len(series) > 1:
            axes.figure.legend(loc="outside lower center", ncols=2, frameon=False)

    return _figure(title, draw, height=2.5 + 0.11 * len(series))


def points(
    title: str, groups: Mapping[str, Sequence[tuple[float, float, str]]], x: str = "", y: str = ""
) -> Figure | None:
    """Points (x, y, name) by group, each with its name beside it. None without a point."""
    groups = {name: found for name, found in groups.items() if found}
    if not groups:
        return None

    def draw(axes: Axes) -> None:
        for place, (name, found) in enumerate(groups.items()):
            xs, ys = [p[0] for p in found], [p[1] for p in found]
            colour = _COLOURS[place % len(_COLOURS)]
            axes.scatter(xs, ys, s=22, color=colour, label=short(name)).set_gid(f"mark-{place}")
            for px, py, said in found:
                axes.annotate(short(said, 20), (px, py), xytext=(3, 3), textcoords="offset points", fontsize=9)
        axes.set(xlabel=x, ylabel=y)
        axes.margins(0.15)
        _plain(axes.xaxis), _plain(axes.yaxis)
        if len(groups) > 1:
            axes.figure.legend(loc="outside lower center", ncols=2, frameon=False)

    return _figure(title, draw, height=2.9)


def intervals(title: str, found: Mapping[str, tuple[float, float, float]], x: str = "") -> Figure | None:
    """A point with its interval (low, value, high) per name, beside a line at zero. None without values."""
    if not found:
        return None

    def draw(axes: Axes) -> None:
        for place, (low, value, high) in enumerate(found.values()):
            colour = "#555555" if low <= 0 <= high else _COLOURS[0]
            axes.plot([low, high], [place, place], color=colour, linewidth=2)[0].set_gid(f"mark-interval-{place}")
            axes.plot([value], [place], "o", color=colour, ms=5)[0].set_gid(f"mark-{place}")
        axes.axvline(0, color="#999999", linewidth=0.8)
        axes.set_yticks(range(len(found)), [short(name) for name in found])
        axes.set_ylim(len(found) - 0.4, -0.6)
        axes.set_xlabel(x)
        _plain(axes.xaxis)

    return _figure(title, draw, height=0.85 + 0.26 * len(found))


def _plain(axis: Any) -> None:
    """Numbers of an axis without formulas, few enough for the width."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())
    if axis.get_scale() == "linear" and not axis.get_major_locator().__class__.__name__.startswith("Fixed"):
        axis.set_major_locator(MaxNLocator(5))


def _figure(title: str, draw: Callable[[Axes], None], height: float) -> Figure:
    from matplotlib.figure import Figure as Canvas

    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    with _settings(name):
        canvas = Canvas(figsize=(_WIDTH_IN, height), layout="constrained")
        axes = canvas.add_subplot()
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        file = io.StringIO()
        canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Figure(title, _inline(file.getvalue(), name))


@contextlib.contextmanager
def _settings(name: str) -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        yield


def _inline(file: str, name: str) -> str:
    """The SVG element of a file, for a page with others: without the file's head, its own style and its metadata, and
    with ids that no other figure has."""
    svg = file[file.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style type=\"text/css\">.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]*)"', lambda found: f'id="{name}.{found[1]}"', svg)
    svg = re.sub(r'(href="|url\()#([^")]*)', lambda found: f"{found[1]}#{name}.{found[2]}", svg)
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"',
        r'\1 role="img"',
        re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1),
        count=1,
    )
