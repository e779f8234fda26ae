"""The names that lose most, for the metadata of `lake.removals` and its check."""

from __future__ import annotations

from typing import Any

import polars as pl

from nemotron_assets.table.markdown import markdown_row

_SHOWN = 30
_COLUMNS = ("step", "by", "name", "before", "after", "removed_share")


def metadata(rows: pl.DataFrame) -> dict[str, Any]:
    """Facts about the rows of `lake.removals`: a table of the names that lose most, and a plot of how many names lose
    everything in each step."""
    from nemotron_assets.plots import bars, markdown

    gone = rows.filter(pl.col("after") == 0)
    by_step = dict(gone.group_by("step").len().sort("len", "step", descending=[True, False]).iter_rows())
    return {
        "names": rows.height,
        "wiped_out": gone.height,
        "most_removed": markdown(names_table(rows.sort("removed_share", "before", descending=True))),
        "plot": bars(by_step or {"none": 0}, "Names of which a step leaves nothing", "names"),
    }


def names_table(rows: pl.DataFrame) -> str:
    """The first rows as a Markdown table."""
    lines = [markdown_row(_COLUMNS), "|---|---|---|--:|--:|--:|"]
    for *cells, share in rows.select(_COLUMNS).head(_SHOWN).iter_rows():
        lines.append(markdown_row([*cells, f"{share:.1%}"], 80))
    return "\n".join(lines)
