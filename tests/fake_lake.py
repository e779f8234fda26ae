"""A lake only in a Dagster instance: materialisations with data versions that follow from those of their inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import dagster as dg

from nemotron_assets.conditions import InputsMayChange
from nemotron_assets.dagster_private import input_tags

#: What a new snapshot makes again, because these assets hold all snapshots together.
TOGETHER = (
    "sft/seeds", "sft/stem_expansions", "sft/stem_questions", "sft/fundamental_reasoning", "sft/math_sft",
    "sft/code_sft", "sft/general_sft",
    "sft/academic_documents", "sft/academic_qa", "sft/longdoc_qa", "sft/multilingual_sft", "sft/contaminated",
    "sft/nemotron_sft",
    "align/conversations", "align/prompts",
    "blend/tokenizer", "blend/token_shards", "blend/sequences", "blend/categories", "blend/phases",
    "blend/dataset_sample", "models/base", "models/long_context", "align/token_shards", "align/sequences",
    "models/sft_1", "models/sft_2", "models/sft_3", "models/ifeval_rl", "models/dpo", "models/reward_model",
    "models/rlhf", "models/aligned", "compress/budget", "compress/importance",
    "compress/candidates",
    "models/compressed_base", "models/compressed",
    "evaluate/ruler_items", "evaluate/ruler_answers", "evaluate/bits_by_position", "evaluate/benchmark_scores",
    "audit/removals", "audit/thresholds",
    "evaluate/suite_answers", "evaluate/suite_comparisons", "evaluate/budget_answers", "evaluate/budget_control",
    "evaluate/item_results", "evaluate/throughput", "evaluate/report",
)  # fmt: skip

Unit = tuple[str, str | None]  # name of an asset, partition


def is_made_once(graph, key: dg.AssetKey) -> bool:
    """Whether a new snapshot does not change an asset: it has no inputs, or follows only some."""
    parts, condition = [], graph.get(key).automation_condition
    stack = [condition] if condition else []
    while stack:
        parts.append(stack.pop())
        stack += parts[-1].children
    follows = [part.follows for part in parts if isinstance(part, InputsMayChange)]
    return not graph.get(key).parent_keys or any(keys is not None for keys in follows)


class FakeLake:
    """Evaluates the conditions of all assets, and notes what they request as made."""

    def __init__(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.defs, self.instance, self.cursor = defs, instance, None
        self.graph = defs.resolve_asset_graph()
        self.keys = [key for key in self.graph.toposorted_asset_keys if key in self.graph.executable_asset_keys]
        self._made: dict[tuple[dg.AssetKey, str | None], dg.EventLogRecord] = {}
        # Dagster asks for the partitions some thousand times per evaluation.
        self._snapshots: list[str] = []
        instance.get_dynamic_partitions = lambda partitions_def_name: list(self._snapshots)

    def add_snapshot(self, snapshot: str) -> None:
        self.instance.add_dynamic_partitions("snapshot", [snapshot])
        self._snapshots.append(snapshot)

    def units(self, key: dg.AssetKey) -> Iterator[tuple[dg.AssetKey, str | None]]:
        """All partitions of an asset, or the asset itself."""
        partitions = self.graph.get(key).partitions_def
        dynamic = isinstance(partitions, dg.DynamicPartitionsDefinition)
        names = self._snapshots if dynamic else partitions.get_partition_keys() if partitions else [None]
        return ((key, name) for name in names)

    def make(self, key: dg.AssetKey, partition: str | None = None) -> None:
        """Note that a unit was made from the newest inputs. Its data version follows from theirs."""
        name, tags, versions = key.to_user_string(), {}, []
        for parent in sorted(self.graph.get(key).parent_keys):
            units = [unit for unit in self.units(parent) if unit[1] in (None, partition) or partition is None]
            records = [self._made[unit] for unit in units if unit in self._made]
            versions += [(record.asset_materialization.tags or {})["dagster/data_version"] for record in records]
            if records:
                tags |= input_tags(parent, max(records, key=lambda record: record.storage_id))
        version = name if is_made_once(self.graph, key) else str(hash((name, partition, *versions)))
        event = dg.AssetMaterialization(key, partition=partition, tags={**tags, "dagster/data_version": version})
        self.instance.report_runless_asset_event(event)
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition else None)
        self._made[key, partition] = self.instance.fetch_materializations(wanted, limit=1).records[0]
        for beside in self.graph.get(key).child_keys - self.graph.executable_asset_keys:
            self.make(beside, partition)  # the same step writes it

    def make_all(self, snapshot: str) -> None:
        """Note that everything that a new snapshot changes was made, in order and without a request."""
        for key in self.keys:
            asset = self.graph.get(key)
            if isinstance(asset.partitions_def, dg.DynamicPartitionsDefinition):
                if asset.automation_condition:
                    self.make(key, snapshot)
            elif key.to_user_string() in TOGETHER:
                self.make(key)

    def is_made(self, key: dg.AssetKey, partition: str | None) -> bool:
        return (key, partition) in self._made

    def tick(self) -> list[list[Unit]]:
        """One evaluation of the daemon; what it requests is made. One list per run."""
        result = dg.evaluate_automation_conditions(defs=self.defs, instance=self.instance, cursor=self.cursor)
        self.cursor = result.cursor
        runs: dict[tuple, list[Unit]] = {}
        for key in self.keys:
            for partition in result.get_requested_partitions(key):
                self.make(key, partition)
                run = (self.graph.get(key).partitions_def, partition)
                runs.setdefault(run, []).append((key.to_user_string(), partition))
        return list(runs.values())

    def settle(self, ticks: int = 30) -> list[list[Unit]]:
        """The runs until nothing more is requested."""
        runs = list(itertools.takewhile(bool, (self.tick() for _ in range(ticks))))
        assert len(runs) < ticks, f"the conditions never come to rest: {runs[-1]}"
        return [run for tick in runs for run in tick]
