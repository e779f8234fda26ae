"""Small graphs under the conditions of the daemon: what is requested when, and what is not requested again."""

from __future__ import annotations

import zlib

import dagster as dg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemotron_assets.conditions import follow_inputs, made_once, newer_inputs
from nemotron_assets.table.schema import Column, Table

SNAPSHOTS = dg.DynamicPartitionsDefinition(name="snapshot")
SCORER = Table("t", "scorer", "a scorer", (Column("id", "string", "id"),))
RAW = Table("t", "raw", "raw rows", (Column("id", "string", "id"),))


class Lake:
    """A graph of assets and the contents that a test gives them; `tick` runs what the conditions request.

    `evaluate` and `run` are `tick` in two steps: what is requested waits in a queue.
    """

    def __init__(self) -> None:
        self.instance, self.cursor = dg.DagsterInstance.ephemeral(), None
        self.assets, self.deps, self.followed = {}, {}, False
        # Dagster asks for the partitions some hundred times per evaluation.
        self.snapshots: list[str] = []
        self.instance.get_dynamic_partitions = lambda partitions_def_name: list(self.snapshots)
        self.contents: dict[str, str] = {}  # content of an asset other than the default
        self.during = {}  # called while an asset is being made
        self.meanwhile = None  # called once, while the conditions are being evaluated
        self.ran: list[str] = []  # every unit that was made by a request: "scores [S1]"
        self.queue: list[tuple[str, str | None, list[str]]] = []  # id, partition and assets of each run that waits

    def asset(self, name, deps=(), condition=None, partitions=None):
        def body(context):
            partition = context.partition_key if context.has_partition_key else None
            content = self.contents.get(name) or self.derived(name, partition)
            self.during.pop(name, lambda: None)()
            if content == "fails":
                raise ValueError("fails on purpose")
            return dg.MaterializeResult(data_version=dg.DataVersion(content))

        key = dg.AssetKey(["t", name])
        make = dg.asset(
            key=key, deps=[["t", dep] for dep in deps], automation_condition=condition, partitions_def=partitions
        )
        self.assets[name], self.deps[name] = make(body), deps

    def derived(self, name, partition=None) -> str:
        """The content that a test has not given. If the contents of inputs are `followed`, it names them all."""
        inputs = [self.newest(dep, partition) for dep in self.deps[name]] if self.followed else []
        return f"{name} {partition} {zlib.crc32(str(inputs).encode())}" if inputs else f"{name} {partition}"

    def newest(self, name, partition=None) -> dict[str | None, str]:
        """The newest content of an asset: of one partition, or of all."""
        key, found = dg.AssetKey(["t", name]), {}
        for record in self.instance.fetch_materializations(key, limit=999).records:
            if partition in (None, record.partition_key) or record.partition_key is None:
                found.setdefault(record.partition_key, record.asset_materialization.tags["dagster/data_version"])
        return dict(sorted(found.items(), key=str))

    def make(self, *names, partition=None, fails=False):
        """A run that nobody requested, as a person starts it."""
        selection = [dg.AssetKey(["t", name]) for name in names]
        result = dg.materialize(
            list(self.assets.values()), instance=self.instance, partition_key=partition, selection=selection,
            raise_on_error=False,
        )  # fmt: skip
        assert result.success != fails

    def plan(self, *names, partition=None) -> str:
        """A run that waits for its turn; returns its id. `instance.delete_run` ends the wait."""
        keys = frozenset(dg.AssetKey(["t", name]) for name in names)
        job = self.defs().resolve_implicit_global_asset_job_def().get_subset(asset_selection=keys)
        tags = {"dagster/partition": partition} if partition else {}
        return self.instance.create_run_for_job(job, asset_selection=keys, tags=tags).run_id

    def defs(self) -> dg.Definitions:
        return dg.Definitions(assets=list(self.assets.values()))

    def requests(self) -> dict[str | None, list[str]]:
        """What the conditions request. They begin with the newest record of every asset; `meanwhile` comes then."""
        storage = self.instance.event_log_storage
        read = storage.get_asset_records

        def read_then_meanwhile(keys):
            records, meanwhile, self.meanwhile = read(keys), self.meanwhile, None
            if meanwhile:
                meanwhile()
            return records

        storage.get_asset_records = read_then_meanwhile
        try:
            return self._requests(self.defs())
        finally:
            storage.get_asset_records = read

    def _requests(self, defs):
        result = dg.evaluate_automation_conditions(defs=defs, instance=self.instance, cursor=self.cursor)
        self.cursor, runs = result.cursor, {}
        for name, asset in self.assets.items():
            for partition in result.get_requested_partitions(asset.key):
                runs.setdefault(partition, []).append(name)
        return runs

    def evaluate(self) -> None:
        for partition, names in self.requests().items():
            self.queue.append((self.plan(*names, partition=partition), partition, names))

    def run(self, fails=False) -> list[str]:
        """The run that waits longest, if there is one."""
        if not self.queue:
            return []
        planned, partition, names = self.queue.pop(0)
        self.instance.delete_run(planned)
        self.make(*names, partition=partition, fails=fails)
        made = [f"{name} [{partition}]" if partition else name for name in names]
        self.ran += made
        return made

    def run_but_last_asset(self) -> None:
        """The first part of the run that waits longest. It goes on waiting, for `run` to make its last asset."""
        if self.queue:
            planned, partition, names = self.queue[0]
            if first := names[:-1]:
                self.make(*first, partition=partition)
                self.ran += [f"{name} [{partition}]" if partition else name for name in first]
            self.queue[0] = planned, partition, names[-1:]

    def tick(self, fails=False) -> list[str]:
        self.evaluate()
        made = []
        while self.queue:
            made += self.run(fails)
        return made

    def settle(self) -> list[str]:
        """Everything that is made until nothing is requested any more."""
        made = []
        for _ in range(20):
            if not (more := self.tick()):
                return made
            made += more
        raise AssertionError(f"the conditions never come to rest: {made}")

    def add_snapshot(self, snapshot) -> None:
        self.instance.add_dynamic_partitions("snapshot", [snapshot])
        self.snapshots.append(snapshot)

    def arrive(self, snapshot) -> None:
        if snapshot not in self.snapshots:
            self.add_snapshot(snapshot)
        self.make("raw", partition=snapshot)


def small_lake() -> Lake:
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
    return lake


@pytest.fixture
def lake():
    with (lake := small_lake()).instance:
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


def test_a_run_that_waits_for_its_turn_counts_as_being_made(lake):
    lake.arrive("S1")
    lake.settle()
    waiting = lake.plan("texts", partition="S1")
    lake.contents |= {"cuts": "cuts 2", "texts": "texts 2", "scores": "scores 2"}
    lake.make("cuts")
    assert lake.settle() == [], "the levels wait for the scores of the new texts"
    lake.instance.delete_run(waiting)
    lake.make("texts", partition="S1")
    assert lake.settle().count("levels [S1]") == 1


def test_a_run_that_ends_during_the_evaluation_is_not_repeated(lake):
    """The evaluation then sees that the run is over, and not yet what it made."""
    lake.arrive("S1")
    lake.settle()
    lake.contents["scores"] = "scores 2"
    lake.make("scores", partition="S1")
    lake.meanwhile = lambda: lake.make("levels", partition="S1")
    assert lake.settle() == []
    assert "levels [S1]" not in lake.settle() + lake.settle()


def test_what_is_made_during_the_evaluation_is_awaited_by_everything_below(lake):
    lake.arrive("S1")
    lake.settle()
    lake.contents |= {"cuts": "cuts 2", "texts": "texts 2", "scores": "scores 2"}
    lake.make("cuts")
    lake.meanwhile = lambda: lake.make("texts", partition="S1")
    assert (lake.tick() + lake.settle()).count("levels [S1]") == 1


@pytest.mark.timeout(900)  # a busy machine; an example takes about three CPU seconds
@settings(max_examples=2)
@example(["evaluate", "evaluate while a run ends", "evaluate", "run", "evaluate while a run ends", "evaluate"])
@given(
    st.lists(
        st.sampled_from(["evaluate", "run", "evaluate during a run", "evaluate while a run ends", "another text"]),
        min_size=6,
        max_size=12,
    )
)
def test_in_any_order_of_runs_and_evaluations_nothing_is_made_twice_or_from_older_inputs(steps):
    with (lake := small_lake()).instance:
        lake.followed, lake.contents = True, {"scorer": "scorer", "cuts": "cuts"}
        lake.arrive("S1")
        for names, partition in (("texts", "S1"), ("scorer", None), ("scores", "S1"), ("cuts", None), ("levels", "S1")):
            lake.make(names, partition=partition)
        lake.make("blend", "model")
        assert lake.settle() == []
        lake.arrive("S2")
        for number, step in enumerate(steps):
            if step == "another text":
                lake.contents["raw"] = f"raw {number}"
                lake.make("raw", partition="S1")
            elif step == "evaluate":
                lake.evaluate()
            elif step == "evaluate while a run ends":
                lake.run_but_last_asset()
                lake.meanwhile = lake.run
                lake.evaluate()
            else:
                if step == "evaluate during a run" and lake.queue:
                    lake.during[lake.queue[0][2][-1]] = lake.evaluate
                lake.run()
        while lake.queue:
            lake.run()
        lake.settle()
        units = [(name, partition) for name in ("texts", "scores", "levels") for partition in ("S1", "S2")]
        for name, partition in [*units, ("blend", None), ("model", None)]:
            assert lake.newest(name, partition) == {partition: lake.derived(name, partition)}, "of the newest inputs"
        if "another text" not in steps:
            new = [f"{name} [S2]" for name in ("texts", "scores", "levels")]
            assert sorted(lake.ran) == sorted([*new, "blend", "model"]), "each once"


def test_the_newest_of_many_partitions_is_noticed(lake):
    levels, blend = dg.AssetKey(["t", "levels"]), dg.AssetKey(["t", "blend"])

    def note(snapshot, version):
        tags = {"dagster/data_version": version}
        lake.instance.report_runless_asset_event(dg.AssetMaterialization(levels, partition=snapshot, tags=tags))

    for number in range(120):
        lake.add_snapshot(f"S{number}")
        note(f"S{number}", "levels")
    lake.make("blend")
    graph = lake.defs().resolve_asset_graph()
    note("S7", "levels")
    assert newer_inputs(lake.instance, graph, blend, None) == set(), "it was made again with the same content"
    note("S7", "levels 2")
    assert newer_inputs(lake.instance, graph, blend, None) == {levels}


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
        lake.add_snapshot("S1")
        assert lake.settle() == [], "the snapshot has no rows yet"
        lake.arrive("S1")
        assert lake.settle() == ["generator", "answers [S1]"]
        lake.make("generator")
        lake.arrive("S2")
        assert lake.settle() == ["answers [S2]"]
