"""What the UI shows beside the rows and the sequences of the supervised stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from nemotron_assets.plots import markdown
from nemotron_assets.table.markdown import markdown_row


def of_rows(rows: pl.LazyFrame) -> dict[str, Any]:
    """Metadata of align.token_shards: rows, tokens and trained tokens, in all and by domain and variant."""
    counted = (
        rows.group_by("category", "variant")
        .agg(
            rows=pl.len(),
            held_out=pl.col("held_out").sum(),
            tokens=pl.col("length").sum(),
            trained=pl.col("answer_length").sum(),
            longest=pl.col("length").max(),
        )
        .sort("category", "variant")
        .collect(engine="streaming")
    )
    return {
        "rows": int(counted["rows"].sum()),
        "tokens": int(counted["tokens"].sum()),
        "trained tokens": int(counted["trained"].sum()),
        "held out": int(counted["held_out"].sum()),
        "by domain": as_table(("domain", *counted.columns[1:]), counted.iter_rows()),
    }


def of_sequences(sequences: pl.LazyFrame, left_out: Mapping[str, int]) -> dict[str, Any]:
    """Metadata of align.sequences by stage: sequences, rows in them, their tokens, and the rows that are too long."""
    counted = (
        sequences.group_by("part", "category")
        .agg(sequences=pl.len(), rows=pl.col("parents").list.len().sum(), tokens=pl.col("tokens").sum())
        .sort("part", "category")
        .collect(engine="streaming")
    )
    lines = (
        (part, category, *rest, left_out.get(part, 0))
        for part, category, *rest in counted.select("part", "category", "sequences", "rows", "tokens").iter_rows()
    )
    heads = ("stage", "domain", "sequences", "rows", "tokens", "rows of the stage that are too long")
    return {"too long": sum(left_out.values()), "by stage": as_table(heads, lines)}


def as_table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """Rows as a table in the UI; large numbers have commas, shares four digits."""
    shown = (
        [f"{c:,}" if isinstance(c, int) else f"{c:.4g}" if isinstance(c, float) else c for c in row] for row in rows
    )
    return markdown("\n".join([markdown_row(list(heads)), "|---" * len(heads) + "|", *map(markdown_row, shown)]))
