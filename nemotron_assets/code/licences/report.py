"""Summaries of licence decisions for the check's metadata: files per licence, per scope, and files left to a person."""

from __future__ import annotations

import polars as pl

from nemotron_assets.table.markdown import markdown_row


def licence_mix(rows: pl.LazyFrame, most: int = 20) -> dict[str, int]:
    """{"MIT (allowed)": number of files}, the `most` frequent licences first and all other licences together."""
    name = pl.col("license").fill_null("none found") + pl.lit(" (") + pl.col("decision") + pl.lit(")")
    counts = rows.group_by(name=name).len().collect(engine="streaming").sort("len", "name", descending=[True, False])
    mix = dict(counts.head(most).iter_rows())
    if counts.height > most:
        mix["others"] = int(counts["len"][most:].sum())
    return mix


def decisions_table(rows: pl.LazyFrame) -> str:
    """A Markdown table of the number of files per scope, kind of evidence and decision."""
    counts = (
        rows.group_by("scope", kind=pl.col("evidence_kind").fill_null("-"))
        .agg(*((pl.col("decision") == name).sum().alias(name) for name in ("allowed", "rejected", "review")))
        .collect(engine="streaming")
        .sort("scope", "kind")
    )
    lines = ["| scope | evidence | allowed | rejected | review |", "|---|---|--:|--:|--:|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in counts.iter_rows()])


def undecided_table(rows: pl.LazyFrame, most: int = 30) -> str:
    """A Markdown table of the files that a person must look at, by repository and reason, the most files first."""
    counts = (
        rows.filter(pl.col("decision") == "review")
        .group_by("repo", "why")
        .agg(files=pl.len(), example=pl.col("rel_path").min())
        .collect(engine="streaming")
        .sort("files", "repo", "why", descending=[True, False, False])
        .head(most)
    )
    lines = ["| repository | why | files | example |", "|---|---|--:|---|"]
    return "\n".join(lines + [markdown_row(row) for row in counts.iter_rows()])
