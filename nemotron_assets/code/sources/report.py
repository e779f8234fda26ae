"""Statistics of repositories and files for the Dagster UI: fates, languages, duplicates, unreadable repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from nemotron_assets.code.sources.files import FATES
from nemotron_assets.table.buckets import distinct, in_buckets
from nemotron_assets.table.scratch import scratch_folder


def fates(contents: pl.LazyFrame) -> dict[str, int]:
    """{fate: number of entries} over all repositories, the most frequent fate first."""
    counts = (
        contents.select("fates", "fate_counts").explode("fates", "fate_counts").drop_nulls("fates").group_by("fates")
    )
    sums = counts.agg(pl.col("fate_counts").sum()).sort("fate_counts", "fates", descending=[True, False])
    return dict(sums.collect(engine="streaming").iter_rows())


def fates_table(counts: Mapping[str, int]) -> str:
    """The fates with their counts and meanings, as a Markdown table."""
    lines = ["| fate | entries | meaning |", "|---|--:|---|"]
    return "\n".join(lines + [f"| {fate} | {n:,} | {FATES[fate]} |" for fate, n in counts.items()])


def languages(files: pl.LazyFrame, named: Sequence[str]) -> dict[str, int]:
    """{language: bytes}, the largest first. Languages that are not in `named` are counted together as "other"."""
    name = pl.when(pl.col("language").is_in(list(named))).then("language").otherwise(pl.lit("other"))
    sums = files.group_by(name.alias("language")).agg(pl.col("bytes").sum())
    return dict(sums.sort("bytes", "language", descending=[True, False]).collect(engine="streaming").iter_rows())


def unread(contents: pl.LazyFrame) -> pl.DataFrame:
    """The repositories that could not be read completely, with the columns repo and outcome (the error)."""
    return contents.filter(pl.col("outcome") != "read").select("repo", "outcome").sort("repo").collect()


def copies(duplicates: pl.LazyFrame) -> dict[str, int]:
    """{"kind, criterion": number of duplicate files}, the most frequent first; for example {"exact, licence": 12}."""
    reason = pl.col("kind") + pl.lit(", ") + pl.col("why").str.split(":").list.first()
    counts = duplicates.group_by(reason.alias("reason")).len().sort("len", "reason", descending=[True, False])
    return dict(counts.collect(engine="streaming").iter_rows())


def kept_twice(files: pl.LazyFrame, duplicates: pl.LazyFrame) -> tuple[int, int]:
    """(number of files that are not duplicates, how many of these have the text of another one). `files` have the
    columns id and content_hash, `duplicates` have file, the id of the duplicate."""

    def kept(files: pl.LazyFrame, duplicates: pl.LazyFrame) -> pl.LazyFrame:
        return files.join(duplicates, left_on="id", right_on="file", how="anti").select("content_hash")

    with scratch_folder("nemotron-kept-") as folder:
        both = (files.select("id", "content_hash"), "id"), (duplicates.select("file"), "file")
        for number, texts in enumerate(in_buckets(kept, *both)):
            texts.write_ipc(Path(folder, f"{number}.arrow"))
        texts = pl.scan_ipc(Path(folder, "*.arrow"))
        count = texts.select(pl.len()).collect(engine="streaming").item()
        return count, count - distinct(texts, "content_hash")
