"""Which units run next: inputs first, one at a time in a pool, snapshots in order, chains in one run."""

from __future__ import annotations

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.commands.schedule import Schedule, Unit, by_key

SNAPSHOTS = dg.DynamicPartitionsDefinition(name="snapshot")


def asset(name: str, *deps: str, pool: str | None = None, whole: bool = False) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=deps, pool=pool, partitions_def=None if whole else SNAPSHOTS)
    def made() -> None: ...

    return made


#: Pages feed two branches. One compares snapshots (pool "duplicates"); both end in a model.
GRAPH = [
    asset("pages"),
    asset("documents", "pages"),
    asset("signatures", "documents"),
    asset("pairs", "signatures", pool="duplicates"),
    asset("kept", "pairs", "documents", pool="duplicates"),
    asset("formulas", "pages"),
    asset("cleaned", "formulas", pool="gpu"),
    asset("counts", "formulas"),
    asset("base", "kept", "cleaned", pool="gpu", whole=True),
    asset("scores", "base", whole=True),
]


@pytest.fixture(scope="module")
def schedule() -> Schedule:
    return Schedule(dg.Definitions(assets=GRAPH).resolve_asset_graph())


def unit(name: str, partition: str | None = None) -> Unit:
    return Unit(dg.AssetKey(name), partition)


def units(*partitions: str) -> set[Unit]:
    whole = {unit("base"), unit("scores")}
    return whole | {unit(a.key.to_user_string(), p) for a in GRAPH for p in partitions if a.partitions_def}


def names(batch: list[Unit]) -> list[str]:
    return [str(unit) for unit in batch]


def test_a_unit_runs_alone_if_several_wait_for_it(schedule):
    due = units("A")
    assert names(schedule.next_batch(due, due, set())) == ["pages [A]"]
    assert schedule.next_batch(due, due, {unit("pages", "A")}) == []


def test_a_chain_is_one_run_up_to_a_step_on_the_device(schedule):
    due = units("A") - {unit("pages", "A"), unit("formulas", "A"), unit("cleaned", "A")}
    assert names(schedule.next_batch(due, due, set())) == ["documents [A]", "signatures [A]", "pairs [A]", "kept [A]"]
    assert names(schedule.next_batch(due - {unit("counts", "A")}, due, {unit("documents", "A")})) == []
    device = units("A") - {unit("pages", "A"), unit("formulas", "A"), unit("documents", "A")}
    assert names(schedule.next_batch(device, device, set()))[0] == "cleaned [A]", "the longest way to the end"


def test_a_stale_unit_waits_because_it_may_turn_out_to_be_up_to_date(schedule):
    due = {unit("documents", "A"), unit("signatures", "A")}
    assert names(schedule.next_batch(due, {unit("documents", "A")}, set())) == ["documents [A]"]
    assert names(schedule.next_batch({unit("signatures", "A")}, set(), set(), {unit("documents", "A")})) == []


def test_snapshots_keep_their_order_in_a_pool_that_compares_them(schedule):
    pairs = {unit("pairs", "A"), unit("pairs", "B")}
    assert names(schedule.next_batch(pairs, set(), set())) == ["pairs [A]"]
    assert names(schedule.next_batch({unit("pairs", "B")}, set(), set(), {unit("kept", "A")})) == []
    assert names(schedule.next_batch({unit("pairs", "B"), unit("documents", "A")}, set(), set())) != ["pairs [B]"]
    both = {unit("cleaned", "A"), unit("cleaned", "B"), unit("formulas", "A")}
    assert names(schedule.next_batch(both, set(), set())) == ["cleaned [B]"], "any order on the device, which is free"
    assert names(schedule.next_batch(both, set(), {unit("cleaned", "B")})) == ["formulas [A]"]


def test_one_job_runs_all_that_can_follow_in_one_run(schedule):
    due = units("A") - {unit("pages", "A")} | {unit("counts", "B")}
    batch = names(schedule.next_batch(due, due - {unit("counts", "A")}, set(), alone=True))
    assert {"documents [A]", "signatures [A]", "pairs [A]", "kept [A]", "formulas [A]", "cleaned [A]"} <= set(batch)
    assert not {"counts [A]", "counts [B]", "base", "scores"} & set(batch), "stale, of another snapshot, or without one"
    assert batch.index("documents [A]") < batch.index("signatures [A]") < batch.index("pairs [A]")


@given(st.sets(st.sampled_from("ABC"), min_size=1), st.integers(1, 4), st.randoms(use_true_random=False))
def test_every_unit_runs_once_after_its_inputs_whatever_ends_first(schedule, partitions, jobs, random):
    due = units(*partitions)
    settled: list[Unit] = []
    running: list[list[Unit]] = []
    left = set(due)
    while left or running:
        busy = {unit for batch in running for unit in batch}
        while len(running) < jobs and (batch := schedule.next_batch(left, left, busy, alone=jobs == 1)):
            for member in batch:
                above = set(schedule.above(member, by_key(due)))
                assert above <= set(settled) | set(batch[: batch.index(member)])
            pools = [pool for unit in busy for pool in schedule._pools[unit.key]]
            assert not set(pools) & {pool for unit in batch for pool in schedule._pools[unit.key]}
            running.append(batch)
            busy |= set(batch)
            left -= set(batch)
        assert running, f"nothing runs although {left} is left"
        settled += running.pop(random.randrange(len(running)))
    assert len(settled) == len(set(settled)) and set(settled) == due
    in_order = [u.partition for u in settled if u.key.path == ["pairs"]]
    assert in_order == sorted(in_order)
