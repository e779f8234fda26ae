"""Batches that would harm the model are left out, named and stored; the training goes on, also after a kill."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from nemotron_assets.blend.tables import PHASES, SEQUENCES, TOKEN_SHARDS
from nemotron_assets.models.tables import TRAINING_EVENTS, TRAINING_METRICS
from nemotron_assets.recipe.train import Guard
from nemotron_assets.training import metrics, stream
from nemotron_assets.training.guard import Watch
from nemotron_assets.training.loop import train
from nemotron_assets.training.losses import NextToken
from nemotron_assets.training.plan import train as train_plan
from nemotron_assets.training.ranks import Ranks
from nemotron_assets.training.worker import job_of, shards_of
from resources.gpu import Gpu
from resources.warehouse import Warehouse
from tests.pretrain.test_base import lake, small_recipe
from tests.training.test_loop import Killed, Memory, job

__all__ = ["lake"]
ONE = Ranks(0, 1, 1, torch.device("cpu"))


def test_a_spike_is_far_above_the_steps_before_and_not_above_a_fall():
    watch = Watch(Guard(window=20, sigmas=6, least_rise=1.5), {})
    rng = np.random.default_rng(0)
    for step in range(200):
        verdict = watch.judge(5 * 0.99**step + rng.normal(0, 0.1), 1 + rng.normal(0, 0.1), ONE)
        assert verdict.kind is None, "the usual noise"
        watch.accept(verdict)
    assert watch.judge(9.0, 1.0, ONE).kind == watch.judge(0.7, 3.0, ONE).kind == "spike"
    assert watch.judge(math.nan, 1.0, ONE).kind == watch.judge(0.7, math.inf, ONE).kind == "nan"
    assert watch.judge(0.7, 1.0, ONE).kind is None


def test_losses_that_hardly_vary_do_not_make_spikes_of_small_rises():
    watch = Watch(Guard(window=20, least_rise=1.5), {})
    for _ in range(20):
        watch.accept(watch.judge(1.0, 1.0, ONE))
    assert watch.judge(1.49, 1.0, ONE).kind is None and watch.judge(1.51, 1.0, ONE).kind == "spike"


def test_too_few_steps_are_no_measure():
    watch = Watch(Guard(window=20), {})
    for step in range(10):
        assert (watch.judge(1e9, 1.0, ONE).kind, step) == (None, step)
        watch.accept(watch.judge(1.0, 1.0, ONE))
    assert watch.judge(1e9, 1.0, ONE).kind == "spike"


def test_the_limit_counts_the_last_thousand_steps():
    watch = Watch(Guard(most_per_1000_steps=2), {})
    assert [watch.leave_out(step) for step in (1, 500, 1001, 1002, 2600)] == [True, True, True, False, True]


MARK = 63  # a token that only the planted sequences have


class Planted(Memory):
    """Sequences that count upwards, up to 62, and two planted ones: one that has the token MARK, and one of random
    tokens, which a model that has learned to count does not expect."""

    BROKEN, RANDOM = (1, 2), (2, 4)

    def __init__(self):
        super().__init__(shards=3, rows=20)
        for rows in self.content.values():
            rows[:] = [dataclasses.replace(row, tokens=(row.tokens % 62).astype(np.int32)) for row in rows]
        for (shard, row), tokens in (
            (self.BROKEN, np.array([MARK] * 48)),
            (self.RANDOM, np.random.default_rng(1).integers(0, 62, 48)),
        ):
            self.content[f"{shard:08d}"][row] = stream.PackedSequence(tokens.astype(np.int32), (48,))


class Breaks(NextToken):
    """A loss that is not a number for sequences with the token MARK."""

    def forward(self, batch):
        loss = super().forward(batch)
        marked = (batch.tokens == MARK).any(1)
        self.by_row = torch.where(marked, torch.nan, self.by_row)
        return loss * torch.where(marked.any(), torch.nan, 1.0)


def planted(small, folder, action="skip", steps=36, **values):
    guard = Guard(action=action, window=10, sigmas=6.0, least_rise=1.5, most_per_1000_steps=values.pop("most", 8))
    made = job(small, folder, tokens=steps * 4 * 48, peak_lr=5e-3, guard=guard, **values)
    return dataclasses.replace(made, loss=Breaks)


def split(rows):
    return {row["step"]: row for row in rows if "kind" not in row}, [row for row in rows if "kind" in row]


def run(a_job, shards, kill_at=()):
    """The metrics and events of a training that is stopped at some steps and goes on."""
    rows, kill_at = [], list(kill_at)

    def emit(new):
        rows.extend(new)
        if kill_at and new[-1]["step"] >= kill_at[0]:
            kill_at.pop(0)
            raise Killed

    while True:
        try:
            return train(a_job, shards, emit), *split(rows)
        except Killed:
            pass


def assert_a_killed_one_is_the_same(a_job, straight, rows, events):
    """A training that is killed before and after such a batch ends with the same weights and the same events."""
    stops = [event["step"] for event in events[:2]]
    resumed, again, repeated = run(a_job, Planted(), stops)
    assert resumed.final_loss == straight.final_loss
    assert {step: row["loss"] for step, row in again.items()} == {step: row["loss"] for step, row in rows.items()}
    assert {event["message"] for event in repeated} == {event["message"] for event in events}


def test_planted_batches_are_left_out_and_named(small, tmp_path):
    shards = Planted()
    trained, rows, events = run(planted(small, tmp_path / "straight"), shards)
    assert math.isfinite(trained.final_loss) and trained.steps == 36
    of = {kind: [event for event in events if event["kind"] == kind] for kind in ("nan", "spike")}
    assert len(of["nan"]) in (2, 3), "36 steps of 4 sequences are 2.4 epochs of 60"
    for event in events:
        assert event["action"] == "skip" and event["step"] not in rows
        assert len(event["positions"]) == len(event["sequence_losses"]) == 4 and set(event["data_sets"]) == {"memory"}
    for kind, (shard, row) in (("nan", shards.BROKEN), ("spike", shards.RANDOM)):
        named = [list(zip(e["shards"], e["positions"], strict=True)) for e in of[kind]]
        assert named and all((f"memory/{shard:06d}", row) in places for places in named), (kind, named)
        assert all(f"sequence {row} of shard memory/{shard:06d}" in e["message"] for e in of[kind])
    place = of["nan"][0]["positions"].index(shards.BROKEN[1])
    assert of["nan"][0]["loss"] is None and of["nan"][0]["sequence_losses"][place] is None
    spike = of["spike"][-1]
    assert spike["loss"] > spike["loss_limit"] or spike["grad_norm"] > spike["grad_norm_limit"]
    assert sorted([*rows, *(event["step"] for event in events)]) == list(range(1, 37)), "every batch is read once"
    assert_a_killed_one_is_the_same(planted(small, tmp_path / "killed"), trained, rows, events)


def test_a_roll_back_takes_the_weights_of_the_last_checkpoint(small, tmp_path):
    """A roll-back before the first checkpoint goes to the starting weights: the next loss is the loss of an untrained
    model."""
    never = {"action": "roll_back", "checkpoint_every": 1_000}
    trained, rows, events = run(planted(small, tmp_path / "never", **never), Planted())
    step = events[-1]["step"]
    assert {event["action"] for event in events} == {"roll_back"} and step > 12
    assert rows[step - 1]["loss"] < 3.9 and rows[step + 1]["loss"] == pytest.approx(np.log(64), rel=0.1)
    often, rows, events = run(planted(small, tmp_path / "often", "roll_back"), Planted())
    assert events and often.final_loss < trained.final_loss - 0.3, "less is lost"
    assert_a_killed_one_is_the_same(planted(small, tmp_path / "killed", "roll_back"), often, rows, events)


def test_one_bad_batch_too_many_stops_the_training(small, tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"diverged at step \d+: .*most_per_1000_steps is 0.*train.base.peak_lr"
    ):
        run(planted(small, tmp_path, most=0), Planted())


def entry(config, emit):
    """Trains on the lake's sequences; the batches of two of them are bad."""

    class Bad(NextToken):
        batches = 0

        def forward(self, batch):
            self.batches += 1
            return super().forward(batch) * {5: math.nan, 15: 50.0}.get(self.batches, 1.0)

    return train(job_of(config, loss=Bad), shards_of(config), emit).as_dict()


def test_the_documents_of_a_bad_batch_are_found_in_sql(lake):
    from nemotron_assets.pretrain.training import base as plan

    recipe = small_recipe(guard=Guard(window=6))
    planned = dataclasses.replace(plan(recipe, lake), entry=f"{__name__}:{entry.__name__}")
    lines = []
    model, _ = train_plan(planned, lake, Gpu(), "run", lines.append)
    curve, events = (metrics.stored(lake, model["id"], table) for table in (TRAINING_METRICS, TRAINING_EVENTS))
    assert events.select("step", "kind", "action").rows() == [(5, "nan", "skip"), (15, "spike", "skip")]
    assert set(range(1, 21)) - set(curve["step"]) == {5, 15}
    assert sum("was left out" in line for line in lines) == 2
    facts = metrics.facts(model, curve, events)
    assert facts["left_out_batches"] == 2 and facts["events"].count("was left out") == 2
    assert model["precision"] == "fp32" and curve["phase"].unique().sort().to_list() == [
        "phase-1",
        "phase-2",
        "phase-3",
    ]

    warehouse = Warehouse(root=lake.root, catalog=f"{lake.root}/../lake.duckdb")
    warehouse.refresh()
    found = warehouse.connect().sql("select * from lake.models.left_out_documents order by step, place").pl()
    assert set(found["step"]) == {5, 15} and set(found["place"]) == {1, 2, 3, 4}
    packed = {row["id"]: row for row in lake.read(SEQUENCES).scan().collect().to_dicts()}
    tokens = {row["id"]: row for row in lake.read(TOKEN_SHARDS).scan().collect().to_dicts()}
    for row in found.to_dicts():
        sequence = packed[row["sequence"]]
        assert (sequence["shard"], sequence["position"]) == (row["shard"], row["position"])
        assert row["tokens_id"] in sequence["parents"]
        assert row["document"] == tokens[row["tokens_id"]]["parents"][0]
    for (step, place), of in found.group_by("step", "place"):
        assert set(of["tokens_id"]) == set(packed[of["sequence"][0]]["parents"]), (step, place)
    assert lake.read(PHASES).exists
