"""What a step is expected to take stands in its log, and for a long step in the UI, before it begins."""

import dagster as dg

from nemotron_assets.planning import steps
from nemotron_assets.planning.steps import expected
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.load import changed_recipe
from nemotron_assets.table.asset import table_asset
from nemotron_assets.table.columns import ID
from nemotron_assets.table.schema import Table

LAPTOP = load_recipe("laptop")


def test_a_step_has_its_share_of_the_partitions():
    one = expected(LAPTOP, "snapshots.pages")
    assert one.figures["rows"] == "441" and not one.is_long
    assert expected(LAPTOP, "web.annotations").is_long
    assert "LLM tokens out" in expected(LAPTOP, "web.annotations").figures


def test_what_is_not_known_is_said():
    own = changed_recipe(LAPTOP, {"snapshots.crawl.source": "/data/own-crawl"})
    assert "not known: how much snapshots.crawl.source holds" in str(expected(own, "web.documents"))
    assert str(expected(LAPTOP, "links.counts")) == "estimate not known: links.counts has no estimator"


def run(asset, instance):
    """Run an asset that returns nothing to store; the messages of its log, and what was observed."""
    result = dg.materialize([asset], instance=instance, resources={"io_manager": dg.mem_io_manager})
    messages = [entry.user_message for entry in instance.all_logs(result.run_id)]
    observed = instance.fetch_observations(asset.key, limit=10).records
    return messages, observed


def asset_of(name: str):
    table = Table(name.partition(".")[0], name.partition(".")[2], "A table of a test.", (ID,))

    @table_asset(table, recipe="web.quality.annotations")
    def made():
        """A test."""
        return None

    return made


def test_the_log_and_the_ui_have_the_figures_before_a_long_step_begins():
    with dg.DagsterInstance.ephemeral() as instance:
        messages, observed = run(asset_of("web.annotations"), instance)
        assert any("expected: rows 96" in message and "CPU time" in message for message in messages)
        assert observed[0].asset_observation.metadata["expected rows"].value == "96"
        made = instance.get_latest_materialization_event(dg.AssetKey(["web", "annotations"]))
        assert observed[0].timestamp < made.timestamp
    with dg.DagsterInstance.ephemeral() as instance:
        messages, observed = run(asset_of("web.quality_thresholds"), instance)
        assert any("expected: rows 57" in message for message in messages) and not observed, "a short step"


def test_an_estimate_that_fails_does_not_stop_the_step(monkeypatch):
    def broken(recipe, asset):
        raise KeyError("a typo in an estimator")

    monkeypatch.setattr(steps, "expected", broken)
    with dg.DagsterInstance.ephemeral() as instance:
        messages, _ = run(asset_of("web.annotations"), instance)
        assert any("could not be estimated: KeyError" in message for message in messages)
