"""Numbers of the lake itself: how tables are written, worker processes, rejected rows, upkeep."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from nemotron_assets.recipe.addresses import Address
from nemotron_assets.recipe.section import Section


class Storage(Section):
    """How tables are written (default; measured: partitions of 4 GB need less than 1.5 GB of memory)."""

    row_group_rows: int = Field(
        65_536, ge=1_024, le=1_048_576, description="most rows in one Parquet row group; more need more memory"
    )
    row_group_mb: int = Field(
        128,
        ge=1,
        le=1_024,
        description="most MiB in one Parquet row group, before compression; a group ends at the limit that it reaches "
        "first",
    )
    batch_rows: int = Field(
        1_024, ge=1, le=65_536, description="rows in one batch of a stage that has no batch_rows of its own"
    )
    compression_level: int = Field(
        3, ge=1, le=22, description="ZSTD level: 1 writes fastest, 22 makes the smallest files"
    )
    free_disk_mb: int = Field(
        512, ge=0, description="a write is refused when less than this is free on the disk of the lake, in MiB"
    )


class Compute(Section):
    """Worker processes for work on single rows, such as extracting the text of a page (default)."""

    backend: Literal["processes", "ray"] = Field(
        description="processes: worker processes on this machine; ray: worker processes all over a Ray cluster"
    )
    address: str | None = Field(
        None,
        description="address of the Ray cluster, such as 10.0.0.1:6379; null: that of the environment variable "
        "RAY_ADDRESS, or without it a cluster of this machine alone",
    )
    jobs_address: Address | None = Field(
        None,
        pattern=r"^https?://",
        description="address at which the Ray cluster takes jobs, for executor ray, such as http://10.0.0.1:8265; "
        "null: that of the environment variable RAY_API_SERVER_ADDRESS",
    )
    workers: int = Field(
        ge=0,
        le=16_384,
        description="number of worker processes of a step; 0 means one per core of the machine or cluster, on a "
        "cluster as many as have memory_mb. A step on a cluster keeps its cores to its end, so give a number where "
        "several steps shall run at once",
    )
    row_timeout_s: float = Field(
        gt=0,
        le=3_600,
        description="longest time for one row, in seconds, without waits for a core; a row that takes longer is "
        "quarantined",
    )
    memory_mb: int = Field(
        ge=256, description="most resident memory of one worker, in MiB; a row that needs more is quarantined"
    )
    max_lost_rows: int = Field(
        1_000,
        ge=0,
        description="most rows that one step may lose to workers that died or were stopped; at more the step fails, "
        "because the machine is then broken and not the rows (default)",
    )
    max_lost_s: float = Field(
        14_400,
        gt=0,
        description="most seconds that one step may spend on rows that exceed row_timeout_s; at more the step "
        "fails (default)",
    )
    queue: int = Field(ge=1, le=64, description="batches in flight per worker; more need more memory")
    in_flight_mb: int = Field(
        2_048,
        ge=1,
        description="no further batch is read while the batches and results in flight take this many MiB in the "
        "process of the step (default)",
    )
    wait_s: float = Field(
        86_400,
        gt=0,
        description="longest wait of a step for its first worker, in seconds, while other steps have all cores or all "
        "memory of the Ray cluster (default)",
    )
    step_cores: float = Field(
        0.25,
        gt=0,
        le=64,
        description="cores that a step asks for as a Ray job (executor ray), its workers apart. It should be less than "
        "1: steps that together have all cores would wait for workers that cannot start (default)",
    )


class Machines(Section):
    """The machines that train one model together, through torchrun (default). All have the same NEMOTRON_HOME, on a
    file system that they share, the same devices and the same release; each but the first one runs
    `python -m resources.join NUMBER`."""

    nodes: int = Field(1, ge=1, le=4_096, description="number of machines; the first one runs the graph")
    rendezvous: str | None = Field(
        None,
        pattern=r"^[^\s:/@]+:\d{1,5}$",
        description="where the other machines join a training: a name or address of the first machine, and a free "
        "port, such as gpu-0:29400",
    )
    join_s: float = Field(1_800, gt=0, description="longest wait for the other machines at the start, in seconds")

    @model_validator(mode="after")
    def _meet_somewhere(self) -> Machines:
        if self.nodes > 1 and not self.rendezvous:
            raise ValueError(f"{self.nodes} machines need a rendezvous, such as gpu-0:29400")
        return self


class Quarantine(Section):
    """How many rejected rows make a check fail (default)."""

    max_share: float = Field(ge=0, le=1, description="largest share of a partition's rows that may be rejected")


class Maintenance(Section):
    """What `nemotron maintain` compacts and how long it keeps old files (default)."""

    target_file_mb: int = Field(ge=1, le=4_096, description="size that compaction gives to files, in MiB")
    min_files: int = Field(ge=2, description="a partition is compacted when it has at least this many files")
    fresh_days: float = Field(
        14,
        gt=0,
        description="days after which the maintenance and the list of repositories count as overdue (default; their "
        "schedules are weekly)",
    )
    retention_hours: int = Field(
        ge=1,
        description="hours that a file is kept after no current version of its table needs it; runs and readers that "
        "take longer lose files they still use",
    )


class Removals(Section):
    """How much of one source, host, language or repository a single step may remove (default). A corpus whose rules
    were tuned on other texts can lose a whole source without an error."""

    min_rows: int = Field(
        10, ge=1, description="rows that a name needs before a step to be counted; of few rows all may go by chance"
    )
    max_share: float = Field(
        0.95, ge=0, le=1, description="largest share of the rows of one name that a step may remove; 1 allows all"
    )
    max_share_of_step: dict[str, float] = Field(
        {"code.licenses": 1.0},
        description="another largest share for single steps, by the table that they make. Licences are decided per "
        "repository, so that whole repositories are lost on purpose",
    )
    expected: tuple[str, ...] = Field(
        (), description="sources, hosts, languages and repositories that may be lost in any step"
    )
    only_warn: bool = Field(True, description="whether the check warns; false: it fails the run")


class Thresholds(Section):
    """At which multiples of its threshold each rule of the web and code data is tried in audit.thresholds, and the
    corpus on which somebody approved the thresholds (default)."""

    factors: tuple[float, ...] = Field(
        (0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0),
        description="what the recipe's thresholds are multiplied by, 1 among them (default)",
    )
    min_rows: int = Field(
        10, ge=1, description="documents or files that a name needs to be counted; shares of fewer say little (default)"
    )
    names: int = Field(
        50, ge=1, le=10_000, description="most sources, hosts, languages and repositories of each kind (default)"
    )
    approved_on: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{16}$",
        description="fingerprint of the corpus on which the thresholds were approved, from the metadata of "
        "audit.thresholds; a check warns when the lake holds another corpus. null: no corpus is named",
    )

    @field_validator("factors")
    @classmethod
    def _factors(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if 1.0 not in values or min(values) <= 0 or len(set(values)) != len(values):
            raise ValueError(f"{values} must be different numbers above 0, 1 among them")
        return values
