"""Checkpoints: written while the training goes on, seen only when complete, and enough to go on bit for bit."""

import dataclasses
import json
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nemotron_assets.training import checkpoint, conditions
from nemotron_assets.training.loop import train
from nemotron_assets.training.losses import NextToken
from tests.training.test_loop import Killed, Memory, job


def test_the_caller_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    """It may change the tensors meanwhile. The folder appears with its last file, and the next one waits for it."""
    written, save = threading.Event(), checkpoint.save_file

    def slowly(tensors, path):
        written.wait(30)
        save(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", slowly)
    with checkpoint.Checkpoints(tmp_path, keep=2) as saved:
        tensor = torch.zeros(3)
        saved.save(1, {"weights/a": tensor}, {"loss": 1.0})
        tensor += 7
        saved.check()
        assert checkpoint.latest(tmp_path) is None and (tmp_path / "writing-0000000001").is_dir()
        second = threading.Thread(target=saved.save, args=(2, {"weights/a": tensor}, {"loss": 2.0}))
        second.start()
        second.join(0.3)
        assert second.is_alive(), "one checkpoint at a time"
        written.set()
        second.join()
        saved.save(3, {"weights/a": tensor}, {"loss": 3.0})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-0000000002", "step-0000000003"]
    assert dict(checkpoint.read_tensors(tmp_path / "step-0000000003"))["weights/a"].tolist() == [7.0] * 3
    assert checkpoint.read_state(tmp_path / "step-0000000002") == {"loss": 2.0, "step": 2}


def test_a_checkpoint_holds_the_values_of_its_step(tmp_path, monkeypatch):
    written, save = threading.Event(), checkpoint.save_file
    monkeypatch.setattr(checkpoint, "save_file", lambda *a: (written.wait(30), save(*a)))
    tensor = torch.zeros(3)
    with checkpoint.Checkpoints(tmp_path) as saved:
        saved.save(1, {"weights/a": tensor}, {})
        tensor += 7
        written.set()
    assert dict(checkpoint.read_tensors(tmp_path / "step-0000000001"))["weights/a"].tolist() == [0.0] * 3


def test_a_checkpoint_that_cannot_be_written_stops_the_training(small, tmp_path, monkeypatch):
    def full(tensors, path):
        raise OSError(28, "No space left on device")

    rows = []
    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(checkpoint.CheckpointError, match=r"could not be written to .*No space left.*make room"):
        train(job(small, tmp_path, checkpoint_every=2), Memory(), rows.extend)
    assert 2 <= rows[-1]["step"] <= 4, "at the next step, or at the next checkpoint at the latest"
    assert not list(tmp_path.glob("step-*"))


def test_an_incomplete_checkpoint_is_refused(tmp_path):
    (tmp_path / "step-1").mkdir()
    with pytest.raises(ValueError, match="0 of"):
        list(checkpoint.read_tensors(tmp_path / "step-1"))


class Draws(NextToken):
    """A loss that draws random numbers, as one with dropout does."""

    def forward(self, batch):
        return super().forward(batch) * (1 + 0.1 * torch.rand(()))


def stopped(a_job, at, rows):
    """Train until step `at`, and stop there."""

    def emit(new):
        rows.extend(new)
        if new[-1]["step"] == at:
            raise Killed

    with pytest.raises(Killed):
        train(a_job, Memory(), emit)


def test_random_numbers_go_on_where_they_were(small, tmp_path):
    straight, resumed = (
        dataclasses.replace(job(small, tmp_path / name, tokens=12 * 4 * 48), loss=Draws) for name in "ab"
    )
    whole, parts = [], []
    torch.manual_seed(1)
    train(straight, Memory(), whole.extend)
    before = torch.get_rng_state()
    torch.manual_seed(2)
    stopped(resumed, 7, parts)
    train(resumed, Memory(), parts.extend)
    assert {row["step"]: row["loss"] for row in parts} == {row["step"]: row["loss"] for row in whole}
    torch.manual_seed(1)
    assert torch.equal(before, torch.get_rng_state()), "the numbers of the caller are left alone"


def test_a_resume_under_other_conditions_says_so(small, tmp_path, monkeypatch):
    rows = []
    stopped(job(small, tmp_path, tokens=9 * 4 * 48), 6, rows)
    monkeypatch.setattr(conditions.torch, "get_num_threads", lambda: 7)
    train(job(small, tmp_path, tokens=9 * 4 * 48, micro_batch_sequences=4), Memory(), rows.extend)
    (event,) = (row for row in rows if "kind" in row)
    assert (event["kind"], event["step"], event["action"]) == ("resumed", 5, "continue")
    assert "threads is 7 instead of 1, micro_batch_sequences is 4 instead of 2" in event["message"]


def test_equal_conditions_are_not_worth_a_word(small, tmp_path):
    rows = []
    stopped(job(small, tmp_path, tokens=9 * 4 * 48), 6, rows)
    train(job(small, tmp_path, tokens=9 * 4 * 48), Memory(), rows.extend)
    assert not [row for row in rows if "kind" in row]


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("exp_avg_sq/model.norm_f.weight", lambda value: None, "lacks weights.*exp_avg_sq/model.norm_f.weight"),
        ("weights/model.norm_f.weight", lambda value: value[:1].clone(), r"norm_f.weight of shape \(1,\)"),
        ("weights/extra.weight", lambda value: torch.ones(1), "has the weight weights/extra.weight"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(small, tmp_path, name, change, problem):
    """A missing tensor would leave what stands in memory, and one value would be copied to a whole vector."""
    stopped(job(small, tmp_path, tokens=9 * 4 * 48), 6, [])
    (path,) = tmp_path.glob("step-*/rank-*.safetensors")
    tensors = load_file(path)
    changed = change(tensors.pop(name, None))
    save_file(tensors if changed is None else tensors | {name: changed}, path)
    with pytest.raises(ValueError, match=problem):
        train(job(small, tmp_path, tokens=9 * 4 * 48), Memory(), lambda rows: None)


@pytest.mark.faults
def test_kill_9_at_three_random_steps(small, tmp_path):
    """Three processes are killed, one after the other, while they train or write a checkpoint. The last one ends with
    the curve and the weights of an unbroken training, bit for bit."""
    script = (
        "import sys, json, time, torch; torch.set_num_threads(1)\n"
        "from tests.training.test_loop import Memory, job, train\n"
        "from nemotron_assets.recipe.model import Model\n"
        "kill = int(sys.argv[3])\n"
        "def emit(rows):\n"
        "    print(json.dumps([[row['step'], row['loss']] for row in rows]), flush=True)\n"
        "    if rows[-1]['step'] >= kill: time.sleep(0.2)  # until the signal arrives\n"
        "train(job(Model.model_validate(json.loads(sys.argv[2])), sys.argv[1], checkpoint_every=3), Memory(), emit)\n"
    )
    whole, curve = [], {}
    straight = train(job(small, tmp_path / "straight", checkpoint_every=3), Memory(), whole.extend)
    for kill in sorted(random.Random(0).sample(range(3, 23), 3)):
        command = [sys.executable, "-c", script, str(tmp_path / "killed"), small.model_dump_json(), str(kill)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for line in process.stdout:
            curve |= dict(json.loads(line))
            if max(curve) >= kill:
                process.send_signal(signal.SIGKILL)
                break
        assert process.wait() == -signal.SIGKILL
    (tmp_path / "killed" / "writing-0000000099").mkdir()  # left by a process that was killed
    calls = []
    resumed = train(job(small, tmp_path / "killed", checkpoint_every=3), Memory(), calls.append)
    assert len(calls[0]) >= 6, "it did not start from step 1"
    curve |= {row["step"]: row["loss"] for rows in calls for row in rows}
    assert curve == {row["step"]: row["loss"] for row in whole}
    assert not (tmp_path / "killed" / "writing-0000000099").exists()
    a, b = (load_file(run.weights / "model.safetensors") for run in (straight, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)
