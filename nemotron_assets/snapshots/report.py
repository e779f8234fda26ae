"""Tables for the metadata of a snapshot: the fates of its records, and the hosts with the most pages."""

from __future__ import annotations

import polars as pl

from nemotron_assets.snapshots.tables import PAGES, RECORDS
from nemotron_assets.table.counting import counted
from nemotron_assets.table.markdown import markdown_text
from nemotron_assets.warc.reader import BROKEN, FATES
from resources.lakehouse import QUARANTINE, Lakehouse, Reader


def fates(records: Reader) -> dict[str, tuple[int, int]]:
    """{fate: (records, bytes)} over all files, in the order of `FATES`; without the fates that no record has."""
    sums = records.scan().group_by("fate").agg(pl.col("records", "bytes").sum()).collect()
    found = {fate: (count, size) for fate, count, size in sums.iter_rows()}
    return {fate: found[fate] for fate in FATES if fate in found}


def damaged_files(records: Reader) -> set[str]:
    """The files of which a part, or everything, could not be read."""
    damaged = records.scan().filter(pl.col("fate").is_in(["damaged", "broken_file"]))
    return set(damaged.select("warc_file").unique().collect()["warc_file"])


def why_no_pages(lake: Lakehouse, snapshot: str) -> str:
    """Why a snapshot has no pages: the first file that could not be read and what was wrong with it, or the fates of
    its records."""
    found = fates(lake.read(RECORDS, snapshot))
    broken, _ = found.pop("broken_file", (0, 0))
    if broken:
        rejects = (
            lake.read(QUARANTINE)
            .scan()
            .filter(
                (pl.col("stage") == PAGES.full_name)
                & (pl.col("partition") == snapshot)
                & (pl.col("cause") == "broken_file")
            )
        )
        first = rejects.sort("part").head(1).collect().row(0, named=True)
        problem = first["detail"].removeprefix(f"{first['part']}: ")
        return f"{counted(broken, 'file')} of the snapshot could not be read, the first because of {problem}"
    counts = ", ".join(f"{count} {fate}" for fate, (count, _) in found.items())
    return f"no record can be used as a page, by their fates: {counts}" if counts else "the snapshot has no records"


def broken_share(counts: dict[str, tuple[int, int]]) -> float:
    """The share of broken records among all records without `other_record`; 0 if there are no records."""
    total = sum(count for fate, (count, _) in counts.items() if fate != "other_record")
    return sum(counts[fate][0] for fate in BROKEN if fate in counts) / total if total else 0.0


def fates_table(counts: dict[str, tuple[int, int]]) -> str:
    """A Markdown table of the fates: records, megabytes, and what each fate means."""
    lines = ["| fate | records | MB | meaning |", "|---|--:|--:|---|"]
    lines += [f"| {fate} | {count:,} | {size / 1e6:,.1f} | {FATES[fate]} |" for fate, (count, size) in counts.items()]
    return "\n".join(lines)


def hosts_table(pages: Reader, most: int = 15) -> str:
    """A Markdown table of the `most` hosts with the most pages, with a bar for each."""
    hosts = pages.scan().group_by("host").len().sort("len", "host", descending=[True, False]).head(most)
    rows = list(hosts.collect(engine="streaming").iter_rows())
    longest = max((count for _, count in rows), default=1)
    lines = ["| host | pages | |", "|---|--:|---|"]
    for host, count in rows:
        lines.append(f"| {markdown_text(host)} | {count:,} | {'█' * max(1, round(30 * count / longest))} |")
    return "\n".join(lines)
