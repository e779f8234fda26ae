"""The partitions of all tables made from crawls: one per snapshot, added when a snapshot is found or ingested."""

import dagster as dg

#: A partition is named after its snapshot: "CC-MAIN-2024-51", or the name given to `nemotron ingest`.
snapshot_partitions = dg.DynamicPartitionsDefinition(name="snapshot")

PARTITIONS = {"snapshot": snapshot_partitions}
