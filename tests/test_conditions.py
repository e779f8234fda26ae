"""Small graphs under the conditions of the daemon: what is requested when, and what is not requested again."""

from __future__ import annotations

import dagster as dg
import pytest

from nemotron_assets.conditions import follow_inputs, made_once
from nemotron_assets.table.schema import Column, Table

SNAPSHOTS = dg.DynamicPartitionsDefinition(name="snapshot")
SCORER = Table("t", "scorer", "a scorer", (Column("id", "string", "id"),))
RAW = Table("t", "raw", "raw rows", (Column("id", "string", "id"),))


class Lake:
    """A graph of assets and the contents that a test gives them; `tick` runs what the conditions request."""

    def __init__(self) -> None:
        self.instance, self.assets, self.cursor = dg.DagsterInstance.ephemeral(), {}, None
        self.contents: dict[str, str] = {}  # content of an asset other than the default
        self.during = {}  # called while an asset is being made
        self.ran: list[str] = []  # every unit that was made by a request: "scores [S1]"

    def asset(self, name, deps=(), condition=None, partitions=None):
        def body(context):
            partition = context.partition_key if context.has_partition_key else None
            self.during.pop(name, lambda: None)()
            content = self.contents.get(name) or f"{name} {partition}"
            if content == "fails":
                raise ValueError("fails on purpose")
            return dg.MaterializeResult(data_version=dg.DataVersion(content))

        key = dg.AssetKey(["t", name])
        make = dg.asset(
            key=key, deps=[["t", dep] for dep in deps], automation_condition=condition, partitions_def=partitions
        )
        self.assets[name] = make(body)

    def make(self, *names, partition=None, fails=False):
        """A run that nobody requested, as a person starts it."""
        selection = [dg.AssetKey(["t", name]) for name in names]
        result = dg.materialize(
            list(self.assets.values()), instance=self.instance, partition_key=partition, selection=selection,
            raise_on_error=False,
        )  # fmt: skip
        assert result.success != fails

    def requests(self) -> dict[str | None, list[str]]:
        defs = dg.Definitions(assets=list(self.assets.values()))
        result = dg.evaluate_automation_conditions(defs=defs, instance=self.instance, cursor=self.cursor)
        self.cursor, runs = result.cursor, {}
        for name, asset in self.assets.items():
            for partition in result.get_requested_partitions(asset.key):
                runs.setdefault(partition, []).append(name)
        return runs

    def tick(self, fails=False) -> list[str]:
        runs = self.requests()
        for partition, names in runs.items():
            self.make(*names, partition=partition, fails=fails)
        made = [f"{name} [{partition}]" if partition else name for partition, names in runs.items() for name in names]
        self.ran += made
        return made

    def settle(self) -> list[str]:
        """Everything that is made until nothing is requested any more."""
        made = []
        for _ in range(20):
            if not (more := self.tick()):
                return made
            made += more
        raise AssertionError(f"the conditions never come to rest: {made}")

    def arrive(self, snapshot) -> None:
        self.instance.add_dynamic_partitions("snapshot", [snapshot])
        self.make("raw", partition=snapshot)


@pytest.fixture
def lake():
    """raw -> texts -> scores -> blend -> model, where scores also need a scorer that is trained once on texts."""
    lake = Lake()
    lake.asset("raw", partitions=SNAPSHOTS)
    lake.asset("texts", ["raw"], follow_inputs(), SNAPSHOTS)
    lake.asset("scorer", ["texts"], made_once())
    lake.asset("cuts", ["scores", "scorer"], made_once(SCORER))
    lake.asset("scores", ["texts", "scorer"], follow_inputs(), SNAPSHOTS)
    lake.asset("levels", ["scores", "cuts"], follow_inputs(), SNAPSHOTS)
    lake.asset("blend", ["levels"], follow_inputs())
    lake.asset("model", ["blend", "texts"], follow_inputs())
    with lake.instance:
        yield lake


def test_an_empty_lake_requests_nothing_and_the_first_snapshot_everything_once(lake):
    assert lake.settle() == []
    lake.arrive("S1")
    made = lake.settle()
    assert sorted(made) == sorted(["texts [S1]", "scorer", "scores [S1]", "cuts", "levels [S1]", "blend", "model"]), (
        "each once"
    )


def test_a_snapshot_that_was_there_before_the_daemon_is_brought_to_the_end(lake):
    lake.arrive("S1")
    lake.make("texts", partition="S1")
    assert sorted(lake.settle()) == sorted(["scorer", "scores [S1]", "cuts", "levels [S1]", "blend", "model"])


def test_a_new_snapshot_makes_nothing_of_the_others_again(lake):
    lake.arrive("S1")
    lake.settle()
    for number in range(2, 6):
        lake.contents |= {"blend": f"blend {number}", "model": f"model {number}"}
        lake.arrive(f"S{number}")
        new = [f"{name} [S{number}]" for name in ("texts", "scores", "levels")]
        assert sorted(lake.settle()) == sorted([*new, "blend", "model"])


def test_an_input_that_is_made_again_with_the_same_content_requests_nothing(lake):
    for snapshot in ("S1", "S2"):
        lake.arrive(snapshot)
    lake.settle()
    lake.make("scorer")
    lake.make("cuts")
    lake.make("texts", partition="S1")
    assert lake.settle() == []


def test_another_scorer_makes_everything_below_it_once_for_every_snapshot(lake):
    for snapshot in ("S1", "S2"):
        lake.arrive(snapshot)
    lake.settle()
    lake.contents |= dict.fromkeys(("scorer", "scores", "cuts", "levels", "blend"), "other")
    lake.make("scorer")
    scored = [f"{name} [{snapshot}]" for name in ("scores", "levels") for snapshot in ("S1", "S2")]
    assert sorted(lake.settle()) == sorted([*scored, "cuts", "blend", "model"])


def test_a_change_stops_where_the_content_stays_the_same(lake):
    for snapshot in ("S1", "S2"):
        lake.arrive(snapshot)
    lake.settle()
    lake.contents["texts"] = "other"
    lake.make("texts", partition="S1")
    lake.contents["scores"] = "scores S1"
    assert sorted(lake.settle()) == ["model", "scores [S1]"]


def test_a_partition_that_a_run_of_another_partition_rewrites_is_followed(lake):
    """Deduplication rewrites partitions of other snapshots, in a run that holds the same assets."""
    for snapshot in ("S1", "S2"):
        lake.arrive(snapshot)
    lake.settle()
    rewritten = dg.AssetMaterialization(["t", "texts"], partition="S1", tags={"dagster/data_version": "rewritten"})
    lake.during["texts"] = lambda: lake.instance.report_runless_asset_event(rewritten)
    lake.arrive("S3")
    assert "scores [S1]" in lake.settle()


def test_an_input_that_changes_while_it_is_read_is_read_again(lake):
    lake.arrive("S1")
    lake.settle()

    def arrives():
        lake.contents["levels"] = "levels of another day"
        lake.make("levels", partition="S1")

    lake.contents |= {"blend": "blend 2", "levels": "levels 2"}
    lake.during["blend"] = arrives
    lake.make("levels", partition="S1")
    made = lake.settle()
    assert made.count("blend") == 2, "the first blend was too early for the newest levels"


def test_a_failed_partition_is_left_to_a_person_and_goes_on_once_it_is_made(lake):
    lake.arrive("S1")
    lake.contents["texts"] = "fails"
    assert lake.tick(fails=True) == ["texts [S1]"]
    assert lake.settle() == []
    del lake.contents["texts"]
    lake.make("texts", partition="S1")
    assert sorted(lake.settle()) == sorted(["scorer", "scores [S1]", "cuts", "levels [S1]", "blend", "model"])


def test_what_has_no_inputs_waits_for_the_first_snapshot():
    lake = Lake()
    lake.asset("raw", partitions=SNAPSHOTS)
    lake.asset("generator", condition=follow_inputs(after=RAW))
    lake.asset("answers", ["raw", "generator"], follow_inputs(), SNAPSHOTS)
    with lake.instance:
        assert lake.settle() == []
        lake.instance.add_dynamic_partitions("snapshot", ["S1"])
        assert lake.settle() == [], "the snapshot has no rows yet"
        lake.arrive("S1")
        assert lake.settle() == ["generator", "answers [S1]"]
        lake.make("generator")
        lake.arrive("S2")
        assert lake.settle() == ["answers [S2]"]
