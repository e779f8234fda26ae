"""The whole graph: it has every asset, and each has a description, an owner, kinds and the columns of its table."""

import graphlib

import dagster as dg
import pytest

from nemotron_assets.definitions import defs
from nemotron_assets.stages import all_tables

# The full list, because Dagster reports nothing when a module leaves an asset out of its definitions.
KEYS = [
    "align/conversations",
    "align/merge_scores",
    "align/preferences",
    "align/prompts",
    "align/rollouts",
    "align/sequences",
    "align/suite_items",
    "align/token_shards",
    "audit/removals",
    "audit/thresholds",
    "blend/categories",
    "blend/dataset_sample",
    "blend/phases",
    "blend/sequences",
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
    "compress/budget",
    "compress/candidates",
    "compress/importance",
    "compress/preferences",
    "compress/rollouts",
    "evaluate/benchmark_scores",
    "evaluate/benchmarks",
    "evaluate/bits_by_position",
    "evaluate/budget_answers",
    "evaluate/budget_control",
    "evaluate/item_results",
    "evaluate/report",
    "evaluate/ruler_answers",
    "evaluate/ruler_items",
    "evaluate/suite_answers",
    "evaluate/suite_comparisons",
    "evaluate/throughput",
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
    "models/aligned",
    "models/base",
    "models/compressed",
    "models/compressed_base",
    "models/compression_steps",
    "models/dpo",
    "models/generator",
    "models/ifeval_rl",
    "models/long_context",
    "models/math_scorers",
    "models/math_writer",
    "models/perplexity",
    "models/quality_scorers",
    "models/reward_model",
    "models/rlhf",
    "models/sft_1",
    "models/sft_2",
    "models/sft_3",
    "models/sft_writers",
    "models/training_events",
    "models/training_metrics",
    "sft/academic_documents",
    "sft/academic_qa",
    "sft/code_sft",
    "sft/contaminated",
    "sft/fundamental_reasoning",
    "sft/general_sft",
    "sft/longdoc_qa",
    "sft/math_sft",
    "sft/multilingual_sft",
    "sft/nemotron_sft",
    "sft/procedural",
    "sft/seeds",
    "sft/stem_expansions",
    "sft/stem_questions",
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
    "web/native_qa",
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


def test_groups_read_from_raw_data_to_scores(graph):
    """No two groups are made from each other, directly or through others, so the lineage view has no cycle."""
    above: dict[str, set[str]] = {}
    for key in graph.get_all_asset_keys():
        group = graph.get(key).group_name
        above.setdefault(group, set()).update({graph.get(p).group_name for p in graph.get(key).parent_keys} - {group})
    order = list(graphlib.TopologicalSorter(above).static_order())  # raises an error that names a cycle
    assert order.index("snapshots") < order.index("web") < order.index("math") < order.index("blend")
    assert order.index("blend") < order.index("pretrain") < order.index("evaluate")
    assert all(above[group] for group in ("web", "math", "code", "blend", "pretrain", "evaluate"))


def test_what_starts_runs_says_what_it_does():
    repository = defs.get_repository_def()
    automatic = [*repository.schedule_defs, *repository.sensor_defs]
    assert {one.name for one in automatic} >= {"follow_new_data", "new_snapshots", "weekly_maintenance"}
    for one in automatic:
        assert one.description and one.description.endswith("."), one.name
    for schedule in repository.schedule_defs:
        assert schedule.job_name in {"ingest_snapshots", "maintain"}, "a job of its own, which runs are named after"
    for job in ("ingest_snapshots", "fetch_pages", "maintain"):
        assert repository.get_job(job).description


def test_what_a_schedule_feeds_has_a_freshness_policy(graph):
    for name in ("snapshots/catalog", "snapshots/pages", "lake/maintenance", "code/repositories"):
        assert graph.get(dg.AssetKey(name.split("/"))).freshness_policy, name


def test_each_group_has_an_owner(graph):
    owners = {graph.get(key).group_name: set() for key in graph.get_all_asset_keys()}
    for key in graph.get_all_asset_keys():
        owners[graph.get(key).group_name].update(graph.get(key).owners)
    assert owners == {group: {f"team:{group}"} for group in owners}


def test_an_asset_has_the_key_and_columns_of_its_table(graph):
    tables = all_tables()
    for key in graph.get_all_asset_keys() - {dg.AssetKey(["lake", "maintenance"])}:
        table = tables[".".join(key.path)]
        assert graph.get(key).metadata["dagster/table_name"] == table.full_name
        assert graph.get(key).group_name == table.group_name
        assert all(column.meaning for column in table.columns)
        parents = {tuple(parent.split(".")) for parent in table.parents}
        above = {tuple(k.path) for k in graph.get_ancestor_asset_keys(key)}
        assert parents <= above, f"{table.full_name} names parents that are not above it in the graph"


def test_no_schema_is_called_like_the_catalog():
    """DuckDB cannot tell `lake.documents` of a schema from that of the catalog, and then no table can be read."""
    from resources.warehouse.warehouse import CATALOG

    assert CATALOG not in {table.schema for table in all_tables().values()}
