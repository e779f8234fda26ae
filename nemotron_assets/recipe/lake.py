"""Numbers of the lake itself: how tables are written, worker processes, quarantine, upkeep."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nemotron_assets.recipe.section import Section


class Storage(Section):
    """How tables are written (default; measured for 4 GB partitions under 1.5 GB of memory)."""

    row_group_rows: int = Field(65_536, ge=1_024, le=1_048_576, description="most rows in one Parquet row group")
    row_group_mb: int = Field(128, ge=1, le=1_024, description="most MB in one row group, before compression")
    batch_rows: int = Field(1_024, ge=1, le=65_536, description="rows in one batch handed to a stage")
    compression_level: int = Field(3, ge=1, le=22, description="ZSTD level")
    free_disk_mb: int = Field(512, ge=0, description="refuse to start a write with less free disk than this, in MB")


class Compute(Section):
    """Worker processes for per-document work (default)."""

    backend: Literal["processes", "ray"] = Field(description="local worker processes, or Ray Data on a cluster")
    workers: int = Field(ge=0, le=1_024, description="worker processes; 0 means one per core")
    row_timeout_s: float = Field(gt=0, le=3_600, description="longest time one row may take, in seconds")
    memory_mb: int = Field(ge=256, description="resident memory one worker may hold, in MiB")
    queue: int = Field(ge=1, le=64, description="batches in flight per worker")


class Quarantine(Section):
    """When rejected rows make a check fail (default)."""

    max_share: float = Field(ge=0, le=1, description="largest share of rejected rows in a partition")


class Maintenance(Section):
    """Upkeep of the tables (default)."""

    target_file_mb: int = Field(ge=1, le=4_096, description="size of a compacted file, in MB")
    min_files: int = Field(ge=2, description="compact a partition with at least this many files")
    retention_hours: int = Field(ge=1, description="keep removed files this long for readers and running writers")
