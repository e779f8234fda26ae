"""Trainings that tests run in one process and in two. Under torchrun, trains all of them, one after the other, and
writes their rows."""

import dataclasses
import json
import sys
import time
from pathlib import Path

import torch

from nemotron_assets.recipe.model import Model
from nemotron_assets.recipe.train import Fp8
from nemotron_assets.training import checkpoint
from nemotron_assets.training.job import FromFolder
from nemotron_assets.training.loop import train
from nemotron_assets.training.losses import FromTeacher
from nemotron_assets.training.teacher import Teacher
from tests.training.test_guard import Planted, planted
from tests.training.test_loop import Killed, Memory, job
from tests.training.test_precision import wider


def _steps(number: int) -> dict:
    return {"tokens": number * 4 * 48, "peak_lr": 3e-3, "checkpoint_every": 4}


def trainings(small: Model, folder: Path, weights: Path, context: int) -> dict:
    """{name: (job, shards)}. The training "folder" starts from weights in BF16, "context" splits the sequences,
    "distilled" has a teacher, which is sharded too."""
    fp8 = {"precision": "fp8", "fp8": Fp8(scaling="rowwise")}
    of = {
        "folder": dataclasses.replace(
            job(small, folder / "folder", **_steps(20), micro_batch_sequences=1), start=FromFolder(weights)
        ),
        "fp8": job(wider(small), folder / "fp8", **_steps(4), **fp8),
        "context": job(small, folder / "context", **_steps(20), context_parallel=context),
        "distilled": dataclasses.replace(
            job(small, folder / "distilled", **_steps(4), micro_batch_sequences=1),
            loss=lambda student: FromTeacher(student, Teacher.load(weights, "fp32")),
        ),
        "bad batches": planted(small, folder / "bad batches", steps=12, micro_batch_sequences=1),
        "roll back": planted(small, folder / "roll back", "roll_back", 12, micro_batch_sequences=1, checkpoint_every=1),
        "stopped": job(small, folder / "stopped", **_steps(6)),
    }
    return {name: (each, Planted() if name in ("bad batches", "roll back") else Memory()) for name, each in of.items()}


class Stops(checkpoint.Checkpoints):
    """Checkpoints that end a training on all ranks after the first one, that of step 4."""

    def save(self, step, tensors, state):
        super().save(step, tensors, state)
        self.wait()
        raise Killed


class Slow(checkpoint.Checkpoints):
    """Rank 0 publishes the checkpoint before the bad batch, that of step 8, long after rank 1 has written its file."""

    def _publish(self, partial, step, state):
        time.sleep(5 if step == 7 else 0)
        super()._publish(partial, step, state)


def main(folder: Path, small: Model) -> None:
    torch.set_num_threads(1)
    results = {}
    for name, (a_job, shards) in trainings(small, folder, folder / "bf16", 2).items():
        results[name] = []
        checkpoint.Checkpoints = {"roll back": Slow, "stopped": Stops}.get(name, checkpoint.Checkpoints)
        if name != "stopped":
            train(a_job, shards, results[name].extend)
            continue
        try:
            train(a_job, shards, results[name].extend)
        except Killed:
            checkpoint.barrier()
    if checkpoint.rank_and_world()[0] == 0:
        (folder / "rows.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Model.model_validate_json(sys.argv[2]))
