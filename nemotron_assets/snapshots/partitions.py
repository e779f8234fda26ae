"""The partitions of everything made from crawls: one per snapshot, added when a snapshot is seen or ingested."""

import dagster as dg

#: "CC-MAIN-2024-51", or the name that `nemotron ingest` was given.
snapshot_partitions = dg.DynamicPartitionsDefinition(name="snapshot")

PARTITIONS = {"snapshot": snapshot_partitions}
