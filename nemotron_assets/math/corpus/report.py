"""Metadata of the mathematics corpus: outcomes of the guard, formulas per page, scores, removed pages, subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import polars as pl

from nemotron_assets.math.clean import OUTCOMES
from nemotron_assets.plots import bars
from nemotron_assets.table.markdown import markdown_text

_SHOWN = 50
_BINS = ((0, 0), (1, 1), (2, 5), (6, 10), (11, 20), (21, 50), (51, 100), (101, 200), (201, None))


def cleaned(rows: pl.LazyFrame, snapshot: str) -> dict[str, Any]:
    """Metadata of a partition of `math.cleaned`: outcomes with their shares, formulas per page."""
    chunks = rows.select(pl.col("outcomes").explode()).drop_nulls().group_by("outcomes").len().collect()
    counts = dict(chunks.iter_rows())
    total = sum(counts.values()) or 1
    lines = ["| outcome | chunks | share | meaning |", "|---|--:|--:|---|"]
    lines += [
        f"| {name} | {counts.get(name, 0):,} | {counts.get(name, 0) / total:.1%} | {meaning} |"
        for name, meaning in OUTCOMES.items()
    ]
    facts = (
        rows.select(
            pl.col("formulas").sum().cast(pl.Int64),
            pl.col("code_blocks").sum().cast(pl.Int64),
            pl.col("formulas_restored").sum().cast(pl.Int64),
            pages_repaired=pl.col("repaired").sum().cast(pl.Int64),
            pages_cut=(pl.col("cut_characters") > 0).sum().cast(pl.Int64),
            pages_with_model=pl.col("generator").is_not_null().sum().cast(pl.Int64),
        )
        .collect(engine="streaming")
        .row(0, named=True)
    )
    shown = {name.replace("rules_", "rules:\n"): counts[name] for name in OUTCOMES if name in counts}
    return {
        **facts,
        "outcomes": dg.MetadataValue.md("\n".join(lines)),
        "outcome_shares": dg.MetadataValue.json({name: round(n / total, 6) for name, n in sorted(counts.items())}),
        "outcomes_of_the_guard": bars(shown, f"Outcomes of the guard, {snapshot}", "chunks"),
        "formulas_per_page": bars(_binned(rows), f"Formulas per page, {snapshot}", "pages"),
    }


def _binned(rows: pl.LazyFrame) -> dict[str, int]:
    """{range of formulas: pages}."""
    name = {(a, b): f"{a}+" if b is None else f"{a}" if a == b else f"{a}-{b}" for a, b in _BINS}
    ends = {(a, b): 2**31 - 1 if b is None else b for a, b in _BINS}
    sizes = {name[bin_]: pl.col("formulas").is_between(bin_[0], end).sum() for bin_, end in ends.items()}
    return rows.select(**sizes).collect(engine="streaming").row(0, named=True)


def scores(rows: pl.LazyFrame, snapshot: str) -> dict[str, Any]:
    """Metadata of a partition of `math.quality`: the mean score and histograms."""
    fifth = (pl.col("score") * 10 // 2).cast(pl.Int32).clip(0, 24)
    found = (
        rows.group_by("int_score", fifth=fifth)
        .agg(pl.len(), pl.col("score").sum(), scored=pl.col("score").count())
        .collect(engine="streaming")
    )
    counts = dict(found.group_by("int_score").agg(pl.col("len").sum()).iter_rows())
    fifths = dict(found.group_by("fifth").agg(pl.col("len").sum()).iter_rows())
    return {
        "mean_score": round(found["score"].sum() / max(1, found["scored"].sum()), 4),
        "score_histogram": bars({str(n): counts.get(n, 0) for n in range(6)}, f"Scores, {snapshot}", "pages"),
        "scores_in_fifths": bars(
            {f"{n / 5:.1f}": fifths.get(n, 0) for n in range(25)}, f"Scores in steps of 0.2, {snapshot}", "pages"
        ),
    }


def contamination(rows: pl.LazyFrame) -> dict[str, Any]:
    """Metadata of a partition of `math.contamination`: the first items found, removals before near misses."""
    # Pages with a benchmark item of one snapshot, a few in 10,000.
    found = rows.sort(["removed", "url", "item"], descending=[True, False, False]).collect(engine="streaming")
    removed = found.filter("removed")
    rendered = removed.filter(pl.col("sources").list.first() == "math.rendered")
    lines = ["| page | item | rule | matched | cosine | text of the page |", "|---|---|---|--:|--:|---|"]
    for row in found.head(_SHOWN).iter_rows(named=True):
        text, url = markdown_text(row["page_text"][:160]), markdown_text(row["url"])
        cosine = "" if row["cosine"] is None else f"{row['cosine']:.3f}"
        what = row["rule"] if row["removed"] else f"{row['rule']} (kept)"
        item = markdown_text(f"{row['benchmark']} {row['item']}")
        lines.append(f"| {url} | {item} | {what} | {row['matched']}/{row['of']} | {cosine} | {text} |")
    return {
        "pages_removed": rendered.select(pl.col("parents").list.first().n_unique()).item(),
        "web_documents_with_items": len(removed) - len(rendered),
        "items_found": removed["item_id"].n_unique(),
        "near_misses_kept": len(found) - len(removed),
        "items": dg.MetadataValue.md("\n".join(lines) if len(found) else "No page has a benchmark item."),
    }


def published(rows: pl.LazyFrame, left_out: Mapping[str, int], snapshot: str) -> dict[str, Any]:
    """Metadata of a partition of `math.nemotron_cc_math`: pages and tokens per subset, and pages left out by reason."""
    counts = rows.group_by("category").agg(pl.len(), pl.col("characters").sum() // 4).sort("category").collect()
    lines = ["| subset | pages | estimated tokens |", "|---|--:|--:|"]
    lines += [f"| {name} | {pages:,} | {tokens:,} |" for name, pages, tokens in counts.iter_rows()]
    return {
        "subsets": dg.MetadataValue.md("\n".join(lines)),
        "estimated_tokens": int(counts["characters"].sum()),
        "left_out": dg.MetadataValue.json(dict(left_out)),
        "left_out_by_reason": bars(left_out, f"Pages left out, {snapshot} (a page may have several reasons)", "pages"),
    }
