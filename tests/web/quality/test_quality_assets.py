"""The assets of the ensemble as Dagster runs them, over two snapshots that arrive one after the other.

The annotator is a stand-in behind a local OpenAI-compatible endpoint, so that marks mean something; one test asks the
embedded model itself through vLLM.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from nemotron_assets.models.assets import generator
from nemotron_assets.models.tables import GENERATOR
from nemotron_assets.recipe import load_recipe
from nemotron_assets.snapshots.partitions import snapshot_partitions
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.web.dedup.tables import UNIQUE_DOCUMENTS
from nemotron_assets.web.quality import assets as made
from nemotron_assets.web.quality import checks
from nemotron_assets.web.quality.ensemble import SCORERS
from nemotron_assets.web.quality.tables import ANNOTATIONS, QUALITY, QUALITY_SCORERS, QUALITY_SCORES, QUALITY_THRESHOLDS
from resources.compute import Compute
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.resources.endpoint import Endpoint

FIRST, SECOND = "CC-MAIN-2024-51", "CC-MAIN-2025-08"
ONCE = (made.annotations, made.quality_scorers, made.quality_thresholds)
MINE = (made.annotations, made.quality_scorers, made.quality_scores, made.quality_thresholds, made.quality)
MY_CHECKS = (
    checks.annotators_know_good_text,
    checks.scores_in_range,
    checks.cuts_ascend,
    checks.every_document_judged,
    checks.level_shares,
    checks.scorers_tell_documents_apart,
)
WORDS = """
water rain cloud light energy plant cell heart blood river rock metal number angle force sound planet orbit seed leaf
root magnet current atom molecule salt ice wind pressure heat motion mass speed friction lens mirror nerve
""".split()  # noqa: SIM905 (a list of forty strings is no easier to read)


def text(seed: int) -> str:
    """A lesson (even seed) or a shop page (odd seed). Every seed gives another length and other words."""
    some = [WORDS[(seed * 7 + 5 * i) % len(WORDS)] for i in range(12)]
    if seed % 2:
        return "\n".join(f"Buy {w} now! Best {w} offer, free shipping, login, cart." for w in some[: 3 + seed % 9])
    return "\n".join(f"The {w} explains why {v} changes: it depends on {w}." for w, v in itertools.pairwise(some))


def documents(snapshot: str, seeds: range) -> pl.DataFrame:
    rows = []
    for seed in seeds:
        body = text(seed)
        rows.append(
            {
                "id": row_id(UNIQUE_DOCUMENTS.full_name, seed),
                "parents": ["document"],
                "snapshot": snapshot,
                "url": f"http://example.org/{seed}",
                "host": "example.org",
                "fetched_at": datetime(2024, 12, 1, tzinfo=UTC),
                "language": "de" if seed % 10 == 3 else "en",
                "text": body,
                "characters": len(body),
                "content_hash": content_hash(body),
            }
        )
    return pl.DataFrame(rows)


def mark(body: dict) -> str:
    """The answer of an annotator that gives lessons a high score. The second wording gets one point more."""
    system, user = (message["content"] for message in body["messages"])
    good = 4 if "explains why" in user else 2 if "Buy" not in user else 0
    return str(good + (system.startswith("You are an experienced teacher")))


class House:
    """A lake with unique documents, and the assets under test."""

    def __init__(self, root, instance, base_url: str) -> None:
        self.lake, self.instance = Lakehouse(root=str(root / "lake"), free_disk_mb=0), instance
        recipe = load_recipe("laptop")
        llm = recipe.llm.model_copy(update={"engine": "openai", "base_url": base_url, "model": "canned"})
        sizes = {"documents": 20, "controls": 4, "text_tokens": 400, "min_over_shuffled": 0.5}
        scorers = recipe.web.quality.scorers.model_copy(update={"crawl_documents": 40, "features_log2": 12})
        quality = recipe.web.quality.model_copy(
            update={"annotations": recipe.web.quality.annotations.model_copy(update=sizes), "scorers": scorers}
        )
        self.recipe = recipe.with_sections({"llm": llm, "web.quality": quality})
        self.gpu = Gpu.from_recipe(llm)
        self.compute = Compute(workers=1)

    @property
    def resources(self) -> dict:
        return {
            "io_manager": self.lake,
            "lake": self.lake,
            "gpu": self.gpu,
            "recipe": self.recipe,
            "compute": self.compute,
        }

    @property
    def graph(self) -> list:
        source = dg.AssetSpec(UNIQUE_DOCUMENTS.asset_key, partitions_def=snapshot_partitions)
        return [*MINE, generator, *MY_CHECKS, source.with_io_manager_key("io_manager")]

    def add(self, snapshot: str, seeds: range) -> None:
        result = self.lake.write(UNIQUE_DOCUMENTS, documents(snapshot, seeds), snapshot)
        self.instance.add_dynamic_partitions("snapshot", [snapshot])
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                UNIQUE_DOCUMENTS.asset_key, partition=snapshot, tags={"dagster/data_version": result.data_version}
            )
        )

    def run(self, *assets, snapshot: str | None = None) -> dict:
        """Materialise; {asset name: data version}. Every blocking check must pass."""
        result = dg.materialize(
            self.graph,
            instance=self.instance,
            resources=self.resources,
            partition_key=snapshot,
            selection=dg.AssetSelection.assets(*(asset.key for asset in assets)),
        )
        self.evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
        events = [e.step_materialization_data.materialization for e in result.all_events if e.is_step_materialization]
        return {event.asset_key.path[-1]: event.tags["dagster/data_version"] for event in events}

    def run_all(self, *snapshots: str) -> dict:
        """Run each asset in turn over the snapshots, as `nemotron run` does."""
        versions = {}
        for asset in MINE:
            for snapshot in snapshots if asset.partitions_def else (None,):
                for name, version in self.run(asset, snapshot=snapshot).items():
                    versions[name, snapshot] = version
        return versions

    def rows(self, table, snapshot: str | None = None) -> pl.DataFrame:
        return self.lake.read(table, snapshot).scan().collect()

    def stale(self, *units) -> list:
        graph = dg.Definitions(assets=[a for a in self.graph if a not in MY_CHECKS], resources=self.resources)
        resolver = CachingStaleStatusResolver(
            self.instance, graph.get_repository_def().asset_graph, LoadingContextForTest(self.instance)
        )
        return [unit for unit in units if resolver.get_status(unit[0].key, unit[1]).value != "FRESH"]


@pytest.fixture(scope="module")
def endpoint():
    endpoint = Endpoint(mark)
    with endpoint.serve() as url:
        endpoint.url = url
        yield endpoint


@pytest.fixture(scope="module")
def house(tmp_path_factory, endpoint):
    patch = pytest.MonkeyPatch()
    root = tmp_path_factory.mktemp("quality")
    patch.setenv("NEMOTRON_HOME", str(root))
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(root, instance, endpoint.url)
        house.add(FIRST, range(60))
        house.run(generator)
        house.first = house.run_all(FIRST)
        yield house
        house.compute.close()
    patch.undo()


def test_every_english_document_has_a_level(house):
    house.run(made.quality, snapshot=FIRST)
    assert {name: e.passed for name, e in house.evaluations.items()} == {
        "every_document_judged": True,
        "level_shares": True,
        "scorers_tell_documents_apart": True,
    }
    rows, unique = house.rows(QUALITY, FIRST), documents(FIRST, range(60)).filter(language="en")
    assert set(rows["parents"].list.first()) == set(unique["id"]) and rows.height == unique.height
    sizes = dict(zip(unique["id"], unique["text"].str.len_bytes(), strict=True))
    assert all(sizes[parents[0]] == size for parents, size in rows.select("parents", "bytes").iter_rows())
    assert "data:image/png;base64," in house.evaluations["level_shares"].metadata["buckets"].value


def test_scorers_learned_what_the_annotator_knows(house):
    models = {row["name"]: row for row in house.rows(QUALITY_SCORERS).iter_rows(named=True)}
    assert set(models) == set(SCORERS)
    for slot in ("edu_a", "edu_b"):
        assert json.loads(models[slot]["metrics"])["rank_correlation"] > 0.6
        assert (house.lake.get_weights(models[slot]["uri"]) / "weights.safetensors").is_file()
    assert json.loads(models["reference"]["metrics"])["auc"] > 0.9
    assert models["edu_a"]["input_versions"][0].startswith("web.annotations@")
    good = {row_id(UNIQUE_DOCUMENTS.full_name, seed) for seed in range(0, 60, 2)}
    rows = house.rows(QUALITY, FIRST).with_columns(good=pl.col("parents").list.first().is_in(good))
    means = dict(rows.group_by("good").agg(pl.col("edu_a_score").mean()).iter_rows())
    assert means[True] > means[False] + 2


def test_annotations_say_who_judged_what(house):
    rows = house.rows(ANNOTATIONS)
    assert rows.height == 2 * (20 + 2 * 4)
    assert rows["generator"].unique().to_list() == ["canned"]
    assert set(rows["generation_id"]) <= set(house.rows(GENERATIONS)["id"])
    assert set(rows.filter(source="crawl")["parents"].list.first()) <= set(documents(FIRST, range(60))["id"])


def test_running_again_changes_nothing_and_asks_nobody(house, endpoint):
    asked = len(endpoint.bodies)
    before = {table.full_name: house.rows(table) for table in (ANNOTATIONS, QUALITY_SCORERS, QUALITY_THRESHOLDS)}
    assert house.run_all(FIRST) == house.first
    assert len(endpoint.bodies) == asked
    for table in (ANNOTATIONS, QUALITY_SCORERS, QUALITY_THRESHOLDS):
        assert house.rows(table).equals(before[table.full_name])
    units = [(asset, FIRST if asset.partitions_def else None) for asset in MINE]
    assert house.stale(*units) == []


def test_published_scorers_need_no_annotations(house, endpoint):
    recipe, asked = house.recipe, len(endpoint.bodies)
    scorers = recipe.web.quality.scorers.model_copy(update={"edu_a": "a/b", "edu_b": "c/d"})
    house.recipe = recipe.with_sections({"web.quality.scorers": scorers})
    try:
        house.run(made.annotations)
        assert house.rows(ANNOTATIONS).is_empty() and len(endpoint.bodies) == asked
    finally:
        house.recipe = recipe
    house.run(made.annotations)  # from the ledger
    assert house.rows(ANNOTATIONS).height == 56 and len(endpoint.bodies) == asked


def test_a_second_snapshot_uses_what_there_is(house, endpoint):
    asked, quality = len(endpoint.bodies), house.rows(QUALITY, FIRST)
    once = {table.full_name: house.rows(table) for table in (ANNOTATIONS, QUALITY_SCORERS, QUALITY_THRESHOLDS)}
    house.add(SECOND, range(60, 90))
    second = house.run_all(SECOND)  # this also runs the assets that are made once; they must not change
    for asset in ONCE:
        assert second[asset.key.path[-1], None] == house.first[asset.key.path[-1], None]
    assert len(endpoint.bodies) == asked
    for table in (ANNOTATIONS, QUALITY_SCORERS, QUALITY_THRESHOLDS):
        assert house.rows(table).equals(once[table.full_name])
    assert house.stale(*[(a, s) for a in (made.quality_scores, made.quality) for s in (FIRST, SECOND)]) == []
    assert house.rows(QUALITY, FIRST).equals(quality)
    assert house.rows(QUALITY_THRESHOLDS)["snapshots"].list.join(",").unique().to_list() == [FIRST]
    assert house.rows(QUALITY, SECOND).height == documents(SECOND, range(60, 90)).filter(language="en").height
    # The same text would have the same level in either snapshot: cut points are shared.
    assert house.rows(QUALITY)["thresholds"].n_unique() == 1


def test_cut_points_are_computed_again_on_purpose(house):
    """The second snapshot is there, so the new set is computed from both snapshots. The old set stays."""
    assert house.rows(QUALITY, SECOND).height, "the test above brings the second snapshot in"
    before, recipe = house.rows(QUALITY_THRESHOLDS), house.recipe
    thresholds = recipe.web.quality.thresholds.model_copy(update={"version": 2})
    house.recipe = recipe.with_sections({"web.quality.thresholds": thresholds})
    try:
        house.run(made.quality_thresholds)
        after = house.rows(QUALITY_THRESHOLDS)
        assert after.height == 2 * before.height == 2 * 3 * 19
        new = after.filter(~pl.col("id").is_in(before["id"].to_list()))
        assert new["version"].unique().to_list() == [2] and new["snapshots"][0].to_list() == [FIRST, SECOND]
        house.run(made.quality, snapshot=FIRST)
        assert house.rows(QUALITY, FIRST)["thresholds"].unique().to_list() == new["thresholds"].unique().to_list()
    finally:
        house.recipe = recipe
    assert house.run(made.quality_thresholds) and house.rows(QUALITY_THRESHOLDS).height == after.height
    assert house.run(made.quality, snapshot=FIRST)["quality"] == house.first["quality", FIRST]


def test_another_version_of_a_scorer_makes_earlier_scores_unusable_until_scored_again(house):
    recipe = house.recipe
    scorers = recipe.web.quality.scorers.model_copy(update={"version": 2})
    house.recipe = recipe.with_sections({"web.quality.scorers": scorers})
    try:
        house.run(made.quality_scorers)
        assert house.rows(QUALITY_SCORERS).sort("name", "version")["version"].to_list() == ["1", "2"] * 3
        with pytest.raises(Exception, match="materialise web/quality_scores first"):
            house.run(made.quality, snapshot=FIRST)
    finally:
        house.recipe = recipe
    house.run(made.quality_scorers)  # the first version is in use again, without training
    assert house.rows(QUALITY_SCORERS).height == 6
    assert house.run(made.quality, snapshot=FIRST)["quality"] == house.first["quality", FIRST]


def test_a_new_snapshot_does_not_ask_for_what_is_made_once(tmp_path):
    """Automation of a running lake: a new snapshot gets scores and levels, but annotations and cut points stay."""
    recipe = load_recipe("laptop")
    lake = Lakehouse(root=str(tmp_path))
    resources = {"io_manager": lake, "lake": lake, "gpu": Gpu(), "recipe": recipe, "compute": Compute()}
    sources = [
        dg.AssetSpec(GENERATOR.asset_key),
        dg.AssetSpec(UNIQUE_DOCUMENTS.asset_key, partitions_def=snapshot_partitions),
    ]
    defs = dg.Definitions(assets=[*MINE, *sources], resources=resources)
    instance = dg.DagsterInstance.ephemeral()
    cursor = dg.evaluate_automation_conditions(defs=defs, instance=instance).cursor

    def materialised(table, partition=None, version="1") -> None:
        tags = {"dagster/data_version": version}
        event = dg.AssetMaterialization(table.asset_key, partition=partition, tags=tags)
        instance.report_runless_asset_event(event)

    def requested() -> set[str]:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(defs=defs, instance=instance, cursor=cursor)
        cursor = result.cursor
        return {a.key.path[-1] for a in MINE if result.get_num_requested(a.key)}

    instance.add_dynamic_partitions("snapshot", [FIRST])
    materialised(GENERATOR)
    materialised(UNIQUE_DOCUMENTS, FIRST)
    followed = []
    for _ in range(8):  # an empty lake: one asset after the other is requested
        found = requested()
        for table in (ANNOTATIONS, QUALITY_SCORERS, QUALITY_SCORES, QUALITY_THRESHOLDS, QUALITY):
            if table.name in found:
                materialised(table, FIRST if table.partition_by else None)
        followed += sorted(found)
    assert set(followed) == {"annotations", "quality_scorers", "quality_scores", "quality_thresholds", "quality"}
    assert requested() == set()
    instance.add_dynamic_partitions("snapshot", [SECOND])
    materialised(UNIQUE_DOCUMENTS, SECOND)
    found = requested()
    assert "quality_scores" in found and not found & {"annotations", "quality_scorers", "quality_thresholds"}
    materialised(QUALITY_SCORES, SECOND)
    found |= requested()
    assert found == {"quality_scores", "quality"}
    materialised(QUALITY, SECOND)
    assert requested() == set()
    # Other annotations make new scorers.
    materialised(ANNOTATIONS, version="2")
    assert requested() == {"quality_scorers"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_embedded_model_answers_with_marks(tmp_path, monkeypatch):
    """Real vLLM and grammar: even the smallest model gives every text a digit. The scores need not be good."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(tmp_path, instance, "http://unused")
        quality = house.recipe.web.quality
        sizes = {"documents": 10, "controls": 1, "text_tokens": 40}
        annotations = quality.annotations.model_copy(update=sizes)
        house.recipe = load_recipe("laptop").with_sections(
            {"web.quality": quality.model_copy(update={"annotations": annotations})}
        )
        house.gpu = Gpu.from_recipe(house.recipe.llm)
        house.add(FIRST, range(24))
        house.run(generator)
        try:
            house.run(made.annotations)
        finally:
            house.gpu.release()
        rows = house.rows(ANNOTATIONS)
        assert rows.height == 2 * (10 + 2) and rows["score"].is_between(0, 5).all()
        assert rows["generator"].unique().to_list() == ["SmolLM2-135M-Instruct"]
        assert house.evaluations["annotators_know_good_text"].metadata["rejected_share"].value == 0
