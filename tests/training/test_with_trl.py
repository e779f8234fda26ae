"""Trainers of TRL under the rules of this project report to nobody and are split over devices in the open."""

import pytest

from nemotron_assets.recipe.align.preference import DpoTraining
from nemotron_assets.training import with_trl
from nemotron_assets.training.with_trl import HouseRules


def test_nothing_is_reported_to_anybody(monkeypatch):
    from trl import DPOTrainer

    class Trainer(HouseRules, DPOTrainer): ...

    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", lambda *a, **k: pytest.fail("telemetry was sent"))
    Trainer._send_telemetry(object())
    assert Trainer._send_telemetry is HouseRules._send_telemetry
    assert Trainer.create_model_card is HouseRules.create_model_card


def test_batches_are_split_over_devices_or_refused(monkeypatch, tmp_path):
    run = DpoTraining(
        beta=0.1, epochs=1, batch_pairs=8, micro_batch_pairs=2, max_tokens=64, peak_lr=1e-4, min_lr_ratio=0.1,
        warmup_share=0.1, weight_decay=0.0, beta1=0.9, beta2=0.98, grad_clip=1.0, precision="fp32", recompute=False,
        log_every=1, checkpoint_every=2, seed=5,
    )  # fmt: skip
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert with_trl.arguments(run, tmp_path, 10, 8, 2)["gradient_accumulation_steps"] == 2
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match=r"8 samples cannot be split over 3 devices .*multiple of 6"):
        with_trl.arguments(run, tmp_path, 10, 8, 2)


def test_unfinished_checkpoints_are_deleted(tmp_path):
    for name in ("checkpoint-9", "checkpoint-10", "checkpoint-11"):
        (tmp_path / name).mkdir()
        if name != "checkpoint-11":
            (tmp_path / name / with_trl.COMPLETE).touch()
    assert with_trl.newest_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert not (tmp_path / "checkpoint-11").exists()
    assert with_trl.newest_checkpoint(tmp_path / "nothing") is None
