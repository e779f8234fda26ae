"""What people want to see of a snapshot: the fates of its records, and the hosts with the most pages."""

from __future__ import annotations

import polars as pl

from nemotron_assets.snapshots.warc import BROKEN, FATES
from resources.lakehouse import Reader


def fates(records: Reader) -> dict[str, tuple[int, int]]:
    """{fate: (records, bytes)} over all files, in the order in which fates are tested; absent fates are left out."""
    sums = records.scan().group_by("fate").agg(pl.col("records", "bytes").sum()).collect()
    found = {fate: (count, size) for fate, count, size in sums.iter_rows()}
    return {fate: found[fate] for fate in FATES if fate in found}


def broken_share(counts: dict[str, tuple[int, int]]) -> float:
    """Broken records among all that are there to be read; 0 when there are none."""
    total = sum(count for fate, (count, _) in counts.items() if fate != "other_record")
    return sum(counts[fate][0] for fate in BROKEN if fate in counts) / total if total else 0.0


def fates_table(counts: dict[str, tuple[int, int]]) -> str:
    """The fates as Markdown, with what each means."""
    lines = ["| fate | records | MB | meaning |", "|---|--:|--:|---|"]
    lines += [f"| {fate} | {count:,} | {size / 1e6:,.1f} | {FATES[fate]} |" for fate, (count, size) in counts.items()]
    return "\n".join(lines)


def hosts_table(pages: Reader, most: int = 15) -> str:
    """The hosts with the most pages, as Markdown with bars."""
    hosts = pages.scan().group_by("host").len().sort("len", "host", descending=[True, False]).head(most)
    rows = list(hosts.collect(engine="streaming").iter_rows())
    longest = max((count for _, count in rows), default=1)
    lines = ["| host | pages | |", "|---|--:|---|"]
    for host, count in rows:
        lines.append(f"| {host.replace('|', ' ')} | {count:,} | {'█' * max(1, round(30 * count / longest))} |")
    return "\n".join(lines)
