"""A round of DPO: its loss is that of the paper, on answers alone; it raises the margins; a killed one goes on."""

import copy
import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from deltalake import write_deltalake
from transformers import NemotronHForCausalLM, PreTrainedTokenizerFast

from nemotron_assets.recipe.align.preference import DpoTraining
from nemotron_assets.training.checkpoint import folder_tensors
from nemotron_assets.training.preference import worker
from tests.imports import PROJECT

END = 12  # <SPECIAL_12> ends a turn
#: A training process that is killed after step 5, when the checkpoint of step 4 is complete.
KILLED = """
import json, os, signal, sys
import torch
from nemotron_assets.training.preference.worker import train_dpo

def emit(rows):
    if rows[-1]["step"] == 5:
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
train_dpo(json.loads(sys.argv[1]), emit)
"""
RUN = DpoTraining(
    beta=0.3, epochs=4, batch_pairs=4, micro_batch_pairs=2, max_tokens=64, peak_lr=2e-3, min_lr_ratio=0.1,
    warmup_share=0.1, weight_decay=0.0, beta1=0.9, beta2=0.98, grad_clip=1.0, precision="fp32", recompute=False,
    log_every=1, checkpoint_every=2, seed=5,
)  # fmt: skip


def pairs(count: int, seed: int) -> list[dict]:
    """Prompts whose better answer repeats the last token of the prompt, and whose worse answer is another token."""
    numbers = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        size = int(torch.randint(3, 9, (1,), generator=numbers))
        prompt = torch.randint(40, 300, (size,), generator=numbers).tolist()
        other = int(torch.randint(40, 300, (1,), generator=numbers))
        found.append({"prompt": prompt, "chosen": [prompt[-1], END], "rejected": [other, other, END]})
    return found


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A table with the token columns of `align.preferences`."""
    path = str(tmp_path_factory.mktemp("pairs") / "table")
    rows = [("train", row) for row in pairs(16, 0)] + [("held_out", row) for row in pairs(4, 1)]
    tokens = {f"{name}_tokens": pa.array([row[name] for _, row in rows], pa.list_(pa.int32())) for name in rows[0][1]}
    names = {"id": [f"{n:02}" for n in range(20)], "part": ["tools-1"] * 20, "split": [split for split, _ in rows]}
    write_deltalake(path, pa.table(names | tokens))
    return {"path": path, "version": 0, "part": "tools-1", "storage_options": {}}


def loaded(folder):
    model = NemotronHForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, PreTrainedTokenizerFast.from_pretrained(folder)


def by_hand(model, tokens: list[int], first: int) -> torch.Tensor:
    """The log-probability of the tokens from number `first` on, from the logits of plain transformers."""
    logits = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return sum(logits[at - 1, tokens[at]] for at in range(first, len(tokens)))


def test_loss_is_that_of_the_paper(policy_folder, stored, tmp_path):
    """Equation 7 of Rafailov et al. 2023, computed pair by pair without padding and without TRL. The reference is
    another model than the policy, so every term counts."""
    model, tokenizer = loaded(policy_folder)
    reference = copy.deepcopy(model)
    data = worker.read_pairs(**stored)
    trainer = worker.pair_trainer(model, tokenizer, data, RUN, tmp_path, 4)
    policy = trainer.model
    with torch.no_grad():
        for number, parameter in enumerate(policy.parameters()):
            parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
    plain = NemotronHForCausalLM(reference.config)
    plain.load_state_dict(policy.state_dict())
    plain.eval()
    reference.eval()
    rows = [trainer.train_dataset[number] for number in range(4)]
    loss = trainer.compute_loss(policy, trainer.data_collator(rows))
    terms = []
    with torch.no_grad():
        for row in rows:
            ratio = {}
            for side in ("chosen", "rejected"):
                tokens = row["prompt_ids"] + row[f"{side}_ids"]
                first = len(row["prompt_ids"])
                ratio[side] = by_hand(plain, tokens, first) - by_hand(reference, tokens, first)
            terms.append(-torch.nn.functional.logsigmoid(RUN.beta * (ratio["chosen"] - ratio["rejected"])))
    assert abs(loss.item() - math.log(2)) > 1e-3, "the policy has left the reference"
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), abs=1e-5)


def test_only_answers_are_scored_and_their_last_token_is(policy_folder, stored, tmp_path):
    """The answers, the token that ends the turn included, are labels; prompts and padding are not."""
    model, tokenizer = loaded(policy_folder)
    trainer = worker.pair_trainer(model, tokenizer, worker.read_pairs(**stored), RUN, tmp_path, 4)
    rows = [trainer.train_dataset[number] for number in range(3)]
    batch = trainer.data_collator(rows)
    expected = [row[side] for side in ("chosen_ids", "rejected_ids") for row in rows]
    found = [
        tokens[mask.bool()].tolist() for tokens, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)
    ]
    assert found == expected and all(answer[-1] == END for answer in found)
    logps = trainer.compute_ref_log_probs(trainer.model, batch)
    longer = [row | {"prompt_ids": row["prompt_ids"][:-1] + [41]} for row in rows]
    assert not torch.allclose(logps[0], trainer.compute_ref_log_probs(trainer.model, trainer.data_collator(longer))[0])
    without_end = [row | {"chosen_ids": row["chosen_ids"][:-1]} for row in rows]
    shorter = trainer.compute_ref_log_probs(trainer.model, trainer.data_collator(without_end))
    assert (shorter[0] > logps[0] + 0.1).all(), "the token that ends the turn has a share in the score"


def config(folder, start, stored, steps=16):
    return {
        "folder": str(folder), "start": {"folder": str(start)}, "training": RUN.model_dump(), "section": "align.dpo",
        "round": 1, "steps": steps, "pairs": stored,
    }  # fmt: skip


def test_margins_rise_and_a_killed_round_ends_with_the_same_weights(policy_folder, stored, tmp_path):
    rows = []
    done = worker.train_dpo(config(tmp_path / "whole", policy_folder, stored), rows.extend)
    assert [row["step"] for row in rows] == list(range(1, 17)) and done["steps"] == 16
    measures = [dict(zip(row["measures"], row["measured"], strict=True)) for row in rows]
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-4), "the policy begins as its own reference"
    margins = [row["rewards/margins"] for row in measures]
    assert sum(margins[-4:]) > sum(margins[:4]) + 1
    assert 0 <= done["held_out_accuracy"] <= 1

    command = [sys.executable, "-c", KILLED, json.dumps(config(tmp_path / "killed", policy_folder, stored))]
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr[-2000:]
    half = tmp_path / "killed" / "checkpoint-6"  # as a kill in the middle of a checkpoint leaves it
    shutil.copytree(tmp_path / "killed" / "checkpoint-4", half, ignore=shutil.ignore_patterns("complete", "*.pt"))
    again = []
    resumed = worker.train_dpo(config(tmp_path / "killed", policy_folder, stored), again.extend)
    assert [row["step"] for row in again][4:] == list(range(5, 17)), "the rows before the checkpoint, then new steps"
    assert resumed["final_loss"] == done["final_loss"]
    whole, other = (dict(folder_tensors(Path(result["weights"]))) for result in (done, resumed))
    assert whole.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in whole.items())
    assert worker.train_dpo(config(tmp_path / "killed", policy_folder, stored), pytest.fail) == resumed


def test_a_loss_that_is_no_number_stops_the_training(policy_folder, stored, tmp_path):
    broken = RUN.model_copy(update={"peak_lr": 0.9, "grad_clip": 1e9, "warmup_share": 0.0, "beta": 5e37})
    with pytest.raises(FloatingPointError, match=r"loss of step \d+ is .*lower align.dpo.peak_lr"):
        worker.train_dpo(config(tmp_path, policy_folder, stored) | {"training": broken.model_dump()}, lambda rows: None)
