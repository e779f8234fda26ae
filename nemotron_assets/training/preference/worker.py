"""Runs in the training process: one round of DPO, with TRL's DPOTrainer, on pairs of answers.

The trainer gets the tokens as they were sampled: they are neither rendered nor tokenised again, so no token is scored
that the policy did not write. Log-probabilities of the reference, the policy that the round starts from, are computed
once, so that no second model is in memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from datasets import Dataset
from transformers import NemotronHForCausalLM, PreTrainedTokenizerFast, PrinterCallback
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from nemotron_assets.model.nemotron_h import attach
from nemotron_assets.model.scored import score_labels
from nemotron_assets.recipe.align.preference import DpoTraining
from nemotron_assets.text.tokenizer import PAD
from nemotron_assets.training.job import FromFolder
from nemotron_assets.training.with_trl import Emit, HouseRules, Reporter, arguments, finished, quiet, trained
from resources.store import dataset_at

#: The logs of the trainer that become rows of models.training_metrics, beside the loss.
MEASURES = (
    "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected",
    "entropy",
)  # fmt: skip
_TOKENS = {"prompt_tokens": "prompt_ids", "chosen_tokens": "chosen_ids", "rejected_tokens": "rejected_ids"}


class PairTrainer(HouseRules, DPOTrainer):
    """TRL's trainer for pairs that are tokens already, and a model that scores them with the scan of this project."""

    def _prepare_dataset(self, dataset: Dataset, *args: Any) -> Dataset:
        return dataset

    def _precompute_ref_logps(self, *args: Any) -> Dataset:
        if not getattr(self, "_scores_labels", False):
            score_labels(self.model)
            self._scores_labels = True
        return super()._precompute_ref_logps(*args)


def pair_trainer(
    model: NemotronHForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    pairs: dict[str, Dataset],
    run: DpoTraining,
    folder: Path,
    steps: int,
) -> PairTrainer:
    """The trainer of a round. `pairs` are those of the splits train and held_out, with prompt_ids, chosen_ids and
    rejected_ids; held_out may have no rows."""
    shared = arguments(run, folder, steps, run.batch_pairs, run.micro_batch_pairs)
    settings = DPOConfig(
        **shared,
        beta=run.beta,
        loss_type=[run.loss],
        max_length=None,  # longer pairs were left out: a cut answer would lose its end
        precompute_ref_log_probs=True,
    )
    trainer = PairTrainer(
        attach(model),
        args=settings,
        train_dataset=pairs["train"],
        eval_dataset=pairs["held_out"] if len(pairs["held_out"]) else None,
        processing_class=tokenizer,
        data_collator=DataCollatorForPreference(PAD),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train_dpo(config: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Train a round of DPO. `config` has folder, start (with the folder of the policy), training (`DpoTraining`),
    section, round, steps and pairs. Returns steps, tokens, parameters, final_loss, weights, precision, and how it
    judges the held-out pairs."""
    folder, run = Path(config["folder"]), DpoTraining.model_validate(config["training"])
    if result := finished(folder):
        return result
    quiet()
    start = config["start"]["folder"]
    model = NemotronHForCausalLM.from_pretrained(start, dtype="float32", local_files_only=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(start, local_files_only=True)
    trainer = pair_trainer(model, tokenizer, read_pairs(**config["pairs"]), run, folder, config["steps"])
    trainer.add_callback(Reporter(emit, f"round-{config['round']}", config["section"], MEASURES))
    return trained(trainer, folder, FromFolder(Path(start)).config(0), run.precision, lambda: held_out(trainer))


def held_out(trainer: PairTrainer) -> dict[str, Any]:
    """How the trained model judges the held-out pairs by its implicit reward: the share with the better answer ahead,
    and the mean margin; None without held-out pairs."""
    if trainer.eval_dataset is None:
        return {"held_out_accuracy": None, "held_out_margin": None}
    found = trainer.evaluate()
    return {
        "held_out_accuracy": found["eval_rewards/accuracies"],
        "held_out_margin": found["eval_rewards/margins"],
    }


def read_pairs(path: str, version: int, part: str, storage_options: dict[str, str]) -> dict[str, Dataset]:
    """The tokens of the pairs of a part of `align.preferences`, at a version of the table, by split."""
    dataset = dataset_at(path, version, storage_options)
    rows = dataset.to_table(["id", "split", *_TOKENS], filter=pc.field("part") == part).sort_by("id")
    return {split: _tokens(rows.filter(pc.field("split") == split)) for split in ("train", "held_out")}


def _tokens(rows: Any) -> Dataset:
    return Dataset.from_dict({name: rows[column].to_pylist() for column, name in _TOKENS.items()})
