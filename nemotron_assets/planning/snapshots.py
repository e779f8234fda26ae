"""Estimates of the crawl: its snapshots, their pages, and the records they come from."""

from __future__ import annotations

from nemotron_assets.planning.figures import Value, known
from nemotron_assets.planning.plan import Estimate, Plan, beside, estimates

#: The window of the snapshots that inputs.yaml counts.
_FIRST, _LAST = "CC-MAIN-2013-20", "CC-MAIN-2025-13"


@estimates("snapshots.catalog")
def catalog(plan: Plan) -> Estimate:
    """The snapshots of the recipe's window, at most as many as it allows."""
    crawl = plan.recipe.snapshots.crawl
    share = min(1.0, _weeks(max(crawl.first, _FIRST), min(crawl.last, _LAST)) / _weeks(_FIRST, _LAST))
    window = f"weeks from {crawl.first} to {crawl.last} (recipe {plan.recipe.name}), of those to {_LAST} from {_FIRST}"
    inside = known("share of the snapshots", share, f"{share:g}: {window}")
    rows = (plan.size("snapshots.catalog.rows") * inside).up_to(plan.value("snapshots.crawl.max_snapshots"))
    runs = 2 * plan.rate("snapshots.catalog.start")  # it runs first, and once more when everything is made
    return Estimate(rows=rows, bytes=plan.stored("snapshots.catalog", rows), core_seconds=runs)


@estimates("snapshots.ingested")
def ingested(plan: Plan) -> Estimate:
    """`nemotron ingest` writes this table; a run of the graph does not."""
    nothing = known("files named to nemotron ingest", 0, "a run of the graph ingests no files of your own")
    return Estimate(rows=nothing)


@estimates("snapshots.pages", by="snapshot")
def pages(plan: Plan) -> Estimate:
    """The pages of the WARC files that the recipe reads of each snapshot."""
    files = plan.size("snapshots.files")
    read = files.up_to(plan.value("snapshots.crawl.max_warc_files")) / files
    rows = plan.of("snapshots.catalog").rows * plan.size("snapshots.pages.share") * read
    return Estimate(
        rows=rows, bytes=rows * plan.size("snapshots.pages.stored"), core_seconds=plan.taking("snapshots.pages", rows)
    )


beside("snapshots.records", writer="snapshots.pages", by="snapshot")


def _weeks(first: str, last: str) -> float:
    """Weeks from one snapshot to another, at least one."""
    (year, week), (end_year, end_week) = (map(int, name.rsplit("-", 2)[1:]) for name in (first, last))
    return max(1.0, (end_year - year) * 52.18 + end_week - week)


def per_snapshot(plan: Plan, rows: Value, most: int | None, name: str) -> Value:
    """Rows over all snapshots, at most so many of each."""
    if most is None:
        return rows
    return rows.up_to(plan.of("snapshots.catalog").rows * plan.value(name, most))
