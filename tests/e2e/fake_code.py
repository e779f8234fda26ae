"""The project's graph with bodies that only name their content: the code location of the test of the daemon.

Keys, inputs, partitions, code versions and automation conditions are those of the project.
"""

from __future__ import annotations

import hashlib

import dagster as dg

from nemotron_assets import definitions as real
from tests.fake_lake import is_made_once

GRAPH = real.defs.resolve_asset_graph()


def fake(spec: dg.AssetSpec) -> dg.AssetsDefinition:
    @dg.multi_asset(name=spec.key.to_python_identifier(), specs=[spec])
    def body(context):
        partition = context.partition_key if context.has_partition_key else None
        version = content(context.instance, spec, partition)
        for beside in GRAPH.get(spec.key).child_keys - GRAPH.executable_asset_keys:  # the same step writes it
            tags = {"dagster/data_version": version}
            context.log_event(dg.AssetMaterialization(beside, partition=partition, tags=tags))
        yield dg.MaterializeResult(spec.key, data_version=dg.DataVersion(version))

    return body


def content(instance: dg.DagsterInstance, spec: dg.AssetSpec, partition: str | None) -> str:
    """A hash of the newest contents of the inputs, as a real asset's content would follow from them."""
    if is_made_once(GRAPH, spec.key):
        return spec.key.to_user_string()
    seen = [spec.key.to_user_string(), str(partition)]
    for key in sorted(GRAPH.get(spec.key).parent_keys):
        parts = None
        if GRAPH.get(key).partitions_def is not None:
            mine = partition is not None and GRAPH.get(key).partitions_def == spec.partitions_def
            parts = [partition] if mine else sorted(instance.get_materialized_partitions(key))
        for part in parts if parts is not None else [None]:
            wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[part] if part else None)
            for record in instance.fetch_materializations(wanted, limit=1).records:
                seen.append((record.asset_materialization.tags or {})["dagster/data_version"])
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]


def specs() -> list[dg.AssetSpec]:
    """The project's assets that the daemon makes, and those that a test makes in their stead."""
    assets = [asset for asset in real.defs.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    found = [spec for asset in assets for spec in asset.specs]
    return [spec.replace_attributes(deps=sorted(GRAPH.get(spec.key).parent_keys)) for spec in found]


defs = dg.Definitions(
    assets=[fake(spec) for spec in specs()],
    sensors=[
        dg.AutomationConditionSensorDefinition(
            real.follow.name,
            target=dg.AssetSelection.all(),
            use_user_code_server=True,
            emit_backfills=False,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=1,
        )
    ],
    executor=dg.in_process_executor,
)
