"""The whole graph: it has every asset, each has a description and an owner, and a new snapshot triggers its assets."""

import dagster as dg
import pytest

from nemotron_assets.definitions import defs
from nemotron_assets.stages import all_tables

# The full list, because Dagster reports nothing when a module leaves an asset out of its definitions.
KEYS = [
    "blend/token_shards",
    "blend/tokenizer",
    "code/annotations",
    "code/attributions",
    "code/contents",
    "code/curated",
    "code/dropped",
    "code/duplicates",
    "code/files",
    "code/licenses",
    "code/metadata",
    "code/qa",
    "code/rejected_files",
    "code/repositories",
    "code/screened",
    "code/snippets",
    "evaluate/benchmark_scores",
    "evaluate/benchmarks",
    "lake/maintenance",
    "math/candidate_pages",
    "math/cleaned",
    "math/contamination",
    "math/duplicates",
    "math/extraction_examples",
    "math/mind",
    "math/near_duplicates",
    "math/nemotron_cc_math",
    "math/quality",
    "math/rendered",
    "math/signatures",
    "models/base",
    "models/generator",
    "models/math_scorers",
    "models/math_writer",
    "models/perplexity",
    "models/quality_scorers",
    "models/training_metrics",
    "snapshots/catalog",
    "snapshots/pages",
    "snapshots/records",
    "web/annotations",
    "web/curated",
    "web/diverse_qa",
    "web/documents",
    "web/duplicates",
    "web/extraction",
    "web/measures",
    "web/multilingual",
    "web/near_duplicates",
    "web/nemotron_cc_v2",
    "web/privacy",
    "web/quality",
    "web/quality_scores",
    "web/quality_thresholds",
    "web/repeated_spans",
    "web/rephrased",
    "web/signatures",
    "web/translated_diverse_qa",
    "web/translation_outcomes",
    "web/unique_documents",
    "web/verdicts",
]


@pytest.fixture
def graph():
    # Built for every test, because the fixture in conftest.py forgets Dagster instances after every test.
    return defs.get_repository_def().asset_graph


def test_every_asset_is_in_the_graph(graph):
    assert sorted(key.to_user_string() for key in graph.get_all_asset_keys()) == KEYS


def test_every_asset_has_a_description_an_owner_and_kinds(graph):
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description and node.owners and node.kinds, key
        assert node.group_name == key.path[0]


def test_an_asset_has_the_key_and_columns_of_its_table(graph):
    tables = all_tables()
    for key in graph.get_all_asset_keys() - {dg.AssetKey(["lake", "maintenance"])}:
        table = tables[".".join(key.path)]
        assert graph.get(key).metadata["dagster/table_name"] == table.full_name
        assert all(column.meaning for column in table.columns)
        parents = {tuple(parent.split(".")) for parent in table.parents}
        above = {tuple(k.path) for k in graph.get_ancestor_asset_keys(key)}
        assert parents <= above, f"{table.full_name} names parents that are not above it in the graph"


def test_a_new_snapshot_triggers_all_assets_downstream():
    instance = dg.DagsterInstance.ephemeral()
    cursor = dg.evaluate_automation_conditions(defs=defs, instance=instance).cursor
    instance.add_dynamic_partitions("snapshot", ["S1"])
    graph = defs.get_repository_def().asset_graph
    once = (  # made only when they are missing; an asset comes after those that it is made from
        "models/generator", "models/math_writer", "models/quality_scorers", "models/math_scorers", "models/perplexity",
        "web/annotations", "web/quality_thresholds", "evaluate/benchmarks",
    )  # fmt: skip
    for name in once:
        instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(name.split("/"))))
    # Code belongs to no snapshot. It is materialised here, and nothing requests it again.
    for key in (key for key in graph.toposorted_asset_keys if key.path[0] == "code"):
        partitions = graph.get(key).partitions_def
        for partition in partitions.get_partition_keys() if partitions else [None]:
            instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
    pages = dg.AssetKey(["snapshots", "pages"])
    instance.report_runless_asset_event(dg.AssetMaterialization(pages, partition="S1"))

    def requested():
        nonlocal cursor
        result = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=cursor)
        cursor = result.cursor
        return {key.to_user_string() for key in graph.executable_asset_keys if result.get_num_requested(key)}

    web = {key.to_user_string() for key in graph.executable_asset_keys if graph.get(key).is_partitioned}
    web = {name for name in web if name.startswith(("web/", "math/"))}
    assert web >= {"web/unique_documents", "web/curated", "web/multilingual", "web/nemotron_cc_v2"}
    assert requested() == web
    for name in sorted(web):
        instance.report_runless_asset_event(dg.AssetMaterialization(dg.AssetKey(name.split("/")), partition="S1"))
    assert requested() == {"blend/tokenizer", "blend/token_shards", "models/base", "evaluate/benchmark_scores"}
