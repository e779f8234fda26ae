"""Training on several machines: how torchrun is started on each, and which trainings the other machines join."""

from __future__ import annotations

import itertools

import pytest

from nemotron_assets.recipe.lake import Machines as MachinesRecipe
from resources import join, torchrun
from resources.torchrun import Machines


def test_one_machine_needs_no_meeting_place():
    assert Machines().options(8) == ["--standalone", "--nnodes=1", "--nproc-per-node=8"]


def test_machines_meet_for_one_training_at_an_address():
    options = [Machines(2, "gpu-0:29400", 60).options(8, machine, "job-1") for machine in range(2)]
    assert options[0] == [
        "--nnodes=2", "--node-rank=0", "--rdzv-backend=static", "--rdzv-endpoint=gpu-0:29400", "--rdzv-id=job-1",
        "--rdzv-conf=timeout=60", "--nproc-per-node=8",
    ]  # fmt: skip
    assert set(options[1]) - set(options[0]) == {"--node-rank=1"}


def test_machines_without_a_meeting_place_are_refused():
    with pytest.raises(ValueError, match="2 machines need a rendezvous, such as gpu-0:29400"):
        MachinesRecipe(nodes=2)
    for wrong in ("gpu-0", "gpu-0:port", "http://gpu-0:29400", "user@gpu-0:29400"):
        with pytest.raises(ValueError, match="rendezvous"):
            MachinesRecipe(nodes=2, rendezvous=wrong)


class Agent:
    """Stands in for a process of torchrun, which ends when it is told to."""

    def __init__(self) -> None:
        self.returncode = None

    def poll(self):
        return self.returncode

    def send_signal(self, signal) -> None:
        self.returncode = -signal

    def wait(self, timeout=None) -> int:
        return self.returncode


def test_a_machine_joins_one_training_after_the_other(tmp_path, monkeypatch):
    """A training that has ended is left alone, also if its folder stays; a training that gives way is left."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    jobs, agents, said, looks = torchrun._jobs(), {}, [], itertools.count()

    def begin(name: str) -> None:
        (jobs / name).mkdir()
        (jobs / name / "job.json").write_text("{}")
        (jobs / "current").write_text(name)

    def start(folder, options):
        assert folder.name not in agents and options[1] == "--node-rank=3"
        agents[folder.name] = Agent()
        return agents[folder.name]

    def later(seconds: float) -> None:
        match next(looks):
            case 1:
                begin("first")
            case 4:
                agents["first"].returncode = 0
            case 7:
                begin("second")
            case 10:
                begin("third")

    monkeypatch.setattr(torchrun.time, "sleep", later)
    monkeypatch.setattr(torchrun, "_start", start)
    torchrun.follow(3, 8, Machines(4, "gpu-0:29400"), said.append, stopped=lambda: "third" in agents)
    assert said == [
        "machine 3 joins first", "machine 3 has left first (exit status 0)", "machine 3 joins second",
        "machine 3 has left second (exit status -15)", "machine 3 joins third",
    ]  # fmt: skip
    assert agents["third"].returncode == -15


def test_a_machine_that_does_not_belong_to_the_recipe_is_told_so(monkeypatch):
    with pytest.raises(SystemExit, match="so no training can be joined"):
        join.main(["1"])
