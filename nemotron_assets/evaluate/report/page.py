"""Makes the page: asks the sections for their content and puts it into the template, which escapes every text.

The page is one file without scripts. Its content security policy forbids scripts and everything from a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nemotron_assets.evaluate.report import data, making, results, training
from nemotron_assets.evaluate.report.content import Grid, Section, TableName
from nemotron_assets.evaluate.report.drawing import number
from nemotron_assets.evaluate.report.lake import Lake
from nemotron_assets.evaluate.report.published import published
from nemotron_assets.stages import all_tables

_TEMPLATE = "page.html.jinja"
#: Where `nemotron ui` shows an asset.
_UI = "http://127.0.0.1:3000/assets"


@dataclass(frozen=True)
class Page:
    """The finished page: its HTML, the number of its figures, and the tables that are missing in this lake."""

    html: str
    figures: int
    missing: tuple[str, ...]


def sections(lake: Lake, cpu_seconds: Mapping[str, float]) -> list[Section]:
    """All sections, in the order of the page. Each names the tables that it lacks."""
    numbers = published()
    found = [
        data.funnel(lake),
        data.mixes(lake),
        data.blend(lake),
        training.curves(lake),
        results.scores(lake, numbers),
        results.budgets(lake),
        results.compression(lake, numbers),
        results.throughput(lake, numbers),
        results.ablations(lake, numbers),
        making.cost(lake, cpu_seconds),
        training.lineage(lake),
    ]
    for section in found:
        section.missing = lake.missing(section.tables)
    return found


def page(
    connection: Any,
    version_of: Callable[[str], int],
    cpu_seconds: Mapping[str, float],
    facts: Mapping[str, str],
) -> Page:
    """The page of a lake. `connection` has the views of its tables, `version_of` gives the Delta version of a table,
    `cpu_seconds` are those of the steps by table, `facts` stand at the head of the page."""
    lake = Lake(connection, all_tables())
    shown = sections(lake, cpu_seconds)
    names = sorted({*_named(shown), *(table for section in shown for table in section.tables)})
    missing = tuple(sorted({one.table for section in shown for one in section.missing}))
    tables = making.tables(lake, {name: version_of(name) for name in names if lake.has(name)})
    values = {"facts": facts, "model": training.final_model(lake), "sections": shown, "tables": tables, "ui": _UI}
    html = _template().render(values, absent=[name for name in names if not lake.has(name)])
    return Page(html, sum(len(section.figures) for section in shown), missing)


def _named(shown: Iterable[Section]) -> set[str]:
    cells = (cell for section in shown for own in section.grids for row in own.rows for cell in row)
    return {cell.name for cell in cells if isinstance(cell, TableName)}


def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("nemotron_assets.evaluate.report", ".")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.tests["table_name"] = lambda cell: isinstance(cell, TableName)
    environment.filters |= {
        "cell": _cell,
        "numeric": _numeric,
        "svg": lambda figure: Markup(figure.svg),
        "short": number,
    }
    return environment.get_template(_TEMPLATE)


def _cell(value: Any) -> str:
    """A value as a person reads it: whole numbers with commas, others with four digits, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def _numeric(grid: Grid) -> list[bool]:
    """For each column of a grid, whether its values are numbers."""
    return [all(isinstance(row[i], int | float | None) for row in grid.rows) for i in range(len(grid.columns))]
