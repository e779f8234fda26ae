"""Runs in the training process: trains the reward model with TRL's RewardTrainer, on pairs of token ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoTokenizer, PrinterCallback
from trl import RewardConfig, RewardTrainer

from nemotron_assets.align.preference.tables import PREFERENCES
from nemotron_assets.align.reinforcement.pairs import read_pairs
from nemotron_assets.recipe.align.reinforcement import RewardTraining
from nemotron_assets.training.job import FromFolder
from nemotron_assets.training.reinforcement.reward import begin, empty_reward_model, reward_config, scores
from nemotron_assets.training.with_trl import Emit, HouseRules, Reporter, arguments, finished, quiet, trained
from resources.lakehouse import Lakehouse

#: The logs of the trainer that become rows of models.training_metrics, beside the loss.
MEASURES = ("accuracy", "margin", "mean_reward")


class PairTrainer(HouseRules, RewardTrainer):
    """TRL's trainer by the rules of this project."""


def train_reward(config: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train a reward model. `config` has start (with a folder), training, folder, steps, section, lake and
    pairs_version. Returns what
    `with_trl.trained` returns, and held_out_accuracy (None without held-out pairs) and held_out_pairs."""
    folder, run = Path(config["folder"]), RewardTraining.model_validate(config["training"])
    if result := finished(folder):
        return result
    quiet()
    start = Path(config["start"]["folder"])
    preferences = Lakehouse(**config["lake"]).read(PREFERENCES).at(config["pairs_version"])
    pairs = read_pairs(preferences, run.max_tokens)
    trainer = PairTrainer(
        begin(start, run.seed),
        args=RewardConfig(**arguments(run, folder, config["steps"], run.batch_pairs, run.micro_batch), max_length=None),
        train_dataset=Dataset.from_dict(pairs["train"]),
        processing_class=AutoTokenizer.from_pretrained(start, local_files_only=True),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Reporter(emit, config["stage"], config["section"], MEASURES))
    shape = reward_config(FromFolder(start).config(0))

    def judged() -> dict[str, Any]:
        trainer.model.eval()
        return held_out(trainer.model, pairs["held_out"], run.micro_batch)

    return trained(trainer, folder, shape, run.precision, judged, empty_reward_model)


def held_out(model: Any, pairs: dict[str, list[list[int]]], batch: int) -> dict[str, Any]:
    """How a model judges pairs that it was not trained on. Equal numbers count as half right."""
    better, worse = (scores(model, pairs[name], batch) for name in ("chosen_ids", "rejected_ids"))
    right = [(first > second) + (first == second) / 2 for first, second in zip(better, worse, strict=True)]
    return {"held_out_accuracy": sum(right) / len(right) if right else None, "held_out_pairs": len(right)}
