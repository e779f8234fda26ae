"""What deduplicating a crawl of published size takes, from the rates that benchmarks/scale.py measures."""

from __future__ import annotations

from dataclasses import dataclass

from nemotron_assets.planning import sources
from nemotron_assets.planning.figures import Value, total

#: The assets from `web.documents` to `web.unique_documents`.
ASSETS = ("web.signatures", "web.near_duplicates", "web.duplicates", "web.repeated_spans", "web.unique_documents")


@dataclass(frozen=True)
class Projection:
    """What it takes to deduplicate so many documents, snapshot after snapshot.

    `core_seconds` by asset, and of `earlier documents`: each snapshot reads the sorted bands and hashes of all earlier
    ones. `nodes` machines of `cores` cores each finish in `hours` hours. `stored` are the bytes of all tables.
    """

    documents: Value
    snapshots: Value
    core_seconds: dict[str, Value]
    cores: Value
    hours: Value
    nodes: Value
    stored: Value


def projection() -> Projection:
    """The projection to the size in inputs.yaml, at the rates in rates.yaml. The work is divided evenly over nodes."""
    documents, snapshots = (sources.size(f"projection.{name}", "published") for name in ("documents", "snapshots"))
    seconds = {asset: documents / sources.rate(f"{asset}.rows") for asset in ASSETS}
    seconds["earlier documents"] = documents * ((snapshots - 1) / 2) / sources.rate("web.dedup.earlier")
    cores, hours = sources.rate("cluster.cores"), sources.rate("cluster.hours")
    return Projection(
        documents,
        snapshots,
        seconds,
        cores,
        hours,
        total(seconds.values()) / (cores * hours * 3_600),
        documents * sources.rate("web.dedup.stored"),
    )
