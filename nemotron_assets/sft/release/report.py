"""Metadata of the release: rows by status and table, what was left out and why, and which items were found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.plots import bars, markdown
from nemotron_assets.recipe.sft.release import STATUSES, SftRelease
from nemotron_assets.sft.release.selecting import excluded, statuses
from nemotron_assets.sft.release.tables import CONFIGS
from nemotron_assets.table.markdown import markdown_row

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse, Reader

_EXAMPLES = 10


def release(rows: pl.LazyFrame, sources: Sequence[Reader], lake: Lakehouse, recipe: SftRelease) -> dict[str, Any]:
    """The metadata of `sft.nemotron_sft`; `rows` are its rows."""
    of_config = dict(rows.group_by("subset").agg(pl.col("tokens").sum()).sort("subset").collect().iter_rows())
    without = excluded(sources, lake)
    by_table = {reader.table.full_name: _fates(reader, without[reader.table.full_name], recipe) for reader in sources}
    tokens = {config: int(of_config.get(config, 0)) for config in CONFIGS.values()}
    return {
        "tokens": sum(tokens.values()),
        "tokens_per_config": bars(tokens, "tokens per config", "tokens"),
        "rows_by_table": markdown(fates_table(by_table)),
    }


def _fates(reader: Reader, left_out: Collection[str], recipe: SftRelease) -> Counter[str]:
    """How many rows of a table have each status, and how many are published or left out for each reason."""
    table = reader.table.full_name
    without = pl.col("id").is_in(sorted(left_out))
    usable = pl.col("status").is_in(list(statuses(table, recipe)))
    has_config = pl.col("subset").is_in(list(CONFIGS)).fill_null(False)
    empty = pl.col("text").str.strip_chars() == ""
    fate = (
        pl.when(~has_config).then(pl.lit("no config"))
        .when(~usable).then(pl.lit("status not used"))
        .when(without).then(pl.lit("benchmark item"))
        .when(empty).then(pl.lit("no text"))
        .otherwise(pl.lit("published"))
    )  # fmt: skip
    counted = reader.scan().group_by("status", fate.alias("fate")).len().collect(engine="streaming")
    counts: Counter[str] = Counter()
    for status, name, number in counted.iter_rows():
        counts[status] += number
        counts[name] += number
    return counts


def fates_table(by_table: Mapping[str, Counter[str]]) -> str:
    """A Markdown table: rows of every table of SFT data by status, and what became of them."""
    columns = (*STATUSES, "published", "no config", "status not used", "benchmark item", "no text")
    lines = [f"| table | {' | '.join(columns)} |", "|---" + "|--:" * len(columns) + "|"]
    lines += [
        f"| {name} | {' | '.join(f'{counts[column]:,}' for column in columns)} |" for name, counts in by_table.items()
    ]
    return "\n".join(lines)


def contamination(found: pl.LazyFrame) -> dict[str, Any]:
    """The metadata of `sft.contaminated`: items by benchmark and split, and examples of removed rows."""
    rows = found.collect(engine="streaming")
    of_benchmark = Counter(f"{name}, {split}" for name, split in rows.select("benchmark", "split").iter_rows())
    removed = rows.filter("removed").select("source", "benchmark", "item", "split", "ngrams").head(_EXAMPLES)
    lines = ["| table | benchmark | item | split | common words |", "|---|---|---|---|---|"]
    lines += [markdown_row([*cells, ngrams[0] if ngrams else ""], 160) for *cells, ngrams in removed.iter_rows()]
    return {
        "rows_removed": rows.filter("removed").select("parents").n_unique(),
        "items_found": rows["item_id"].n_unique(),
        "items_by_benchmark": bars(dict(sorted(of_benchmark.items())), "items found in rows", "rows and items")
        if of_benchmark
        else "no item was found",
        "removed_examples": markdown("\n".join(lines) if len(removed) else "No row was removed."),
    }
