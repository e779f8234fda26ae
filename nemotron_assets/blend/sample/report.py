"""The metadata of `blend.dataset_sample` in the Dagster UI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.blend.sample.choosing import available
from nemotron_assets.blend.sample.tables import SUBSETS
from nemotron_assets.plots import bars, markdown
from nemotron_assets.recipe.release import DatasetSample
from nemotron_assets.table.markdown import markdown_row

if TYPE_CHECKING:
    from resources.lakehouse import Reader


def metadata(rows: pl.LazyFrame, readers: Mapping[str, Reader], recipe: DatasetSample) -> dict[str, Any]:
    """Rows of each subset, of how many in the lake, beside the published number; and the subsets without rows."""
    found = rows.group_by("subset").len().collect(engine="streaming")
    counts = {**dict.fromkeys(SUBSETS, 0), **dict(found.iter_rows())}
    lines = [markdown_row(["subset", "rows", "rows in the lake", "most", "table"]), "|---|--:|--:|--:|---|"]
    for subset, source in SUBSETS.items():
        reader = readers[source.table.full_name]
        there = available(subset, reader).select(pl.len()).collect(engine="streaming").item()
        cells = (f"{counts[subset]:,}", f"{there:,}", f"{recipe.rows[subset]:,}", source.table.full_name)
        lines.append(markdown_row([subset, *cells]))
    return {
        "rows": sum(counts.values()),
        "empty_subsets": [subset for subset in SUBSETS if not counts[subset]],
        "rows_by_subset": markdown("\n".join(lines)),
        "plot": bars(counts, "rows by subset", "rows"),
    }
