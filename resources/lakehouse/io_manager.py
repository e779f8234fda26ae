"""The lake as Dagster's IO manager, which writes what an asset returns and gives it readers of its inputs."""

from __future__ import annotations

import time
from typing import Any

import dagster as dg
from pydantic import Field, field_validator

from nemotron_assets.recipe.addresses import redacted
from nemotron_assets.table.parts import Batches, Parts
from resources.contract import CommitConflict
from resources.lakehouse.lake import Lake
from resources.lakehouse.reader import Reader
from resources.lakehouse.removing import wait_for_removal

_SECRETS = ("secret", "password", "token", "credential", "account_key", "sas", "access_key")


class Lakehouse(dg.ConfigurableIOManager, Lake):
    """Delta tables under `root`. Dagster uses it as IO manager; assets and commands also use it directly."""

    root: str = Field(description="folder or object-store URL (s3://, gs://) of the lake")
    storage_options: dict[str, str] = Field(
        default_factory=dict, description="endpoint, region and the like; never credentials"
    )
    row_group_rows: int = Field(
        default=Lake.row_group_rows, description="maximum number of rows in a Parquet row group"
    )
    row_group_mb: int = Field(
        default=Lake.row_group_mb, description="maximum size of a row group before compression, in MB"
    )
    compression_level: int = Field(default=Lake.compression_level, description="ZSTD compression level")
    free_disk_mb: int = Field(
        default=Lake.free_disk_mb, description="a write is refused when less disk than this is free, in MB"
    )

    @field_validator("storage_options")
    @classmethod
    def _no_secrets(cls, options: dict[str, str]) -> dict[str, str]:
        secret = [key for key in options if any(word in key.lower() for word in _SECRETS)]
        secret += [key for key, value in options.items() if redacted(value) != value]
        if secret:
            raise ValueError(
                f"storage_options must not contain {', '.join(secret)}, because Dagster shows and stores the options: "
                "set the provider's environment variables instead (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...)"
            )
        return options

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Called at the begin of every run: wait for a removal that is going on."""
        wait_for_removal(self, context.log.info if context.log else lambda line: None)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        from nemotron_assets.table.asset import column_lineage

        table = self.declared(".".join(context.asset_key.path))
        partition = context.asset_partition_key if context.has_asset_partitions else None
        step = context.step_context
        code_version = step.job_def.asset_layer.get(context.asset_key).code_version or ""
        started = time.perf_counter()
        try:
            result = self.write(
                table,
                obj,
                partition,
                run_id=context.run_id,
                code_version=code_version,
                force=step.dagster_run.tags.get("nemotron/force") == "true",
                log=context.log.info,
            )
        except CommitConflict as error:
            raise dg.RetryRequested(max_retries=3, seconds_to_wait=5) from error
        except BaseException as error:  # a panic of polars is not an Exception
            parents = step.job_def.asset_layer.get(context.asset_key).parent_keys
            inputs = [found for key in parents if (found := self.declared(".".join(key.path)))]
            if damage := self.damage_behind(error, inputs, partition):
                raise damage from None
            raise
        step.set_data_version(context.asset_key, dg.DataVersion(result.data_version))
        row_count = "dagster/partition_row_count" if partition else "dagster/row_count"
        context.add_output_metadata(
            {
                row_count: result.rows,
                "bytes": result.bytes,
                "delta_version": result.version,
                "seconds": round(time.perf_counter() - started, 2),
                "rejected": dg.MetadataValue.json(result.rejected),
                "dagster/column_lineage": column_lineage(table),
                "preview": dg.MetadataValue.md(result.preview or "Nothing was written: the lake held every part."),
            }
        )
        if table.part_by:
            context.add_output_metadata({"parts_written": result.parts_written, "parts_skipped": result.parts_skipped})
        if isinstance(obj, Batches | Parts):
            context.add_output_metadata(dict(obj.metadata()))
        for other in obj.beside if isinstance(obj, Parts) else ():
            metadata = {row_count: self.read(other, partition).rows, "dagster/column_lineage": column_lineage(other)}
            context.log_event(dg.AssetMaterialization(other.asset_key, partition=partition, metadata=metadata))

    def load_input(self, context: dg.InputContext) -> Reader:
        table = self.declared(".".join(context.asset_key.path))
        partitions = list(context.asset_partition_keys) if context.has_asset_partitions else None
        return Reader(self, table, partitions)
