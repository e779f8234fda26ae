"""TRL's SFTTrainer as an independent reference: the same loss and gradients of the same packed conversations."""

import numpy as np
import pytest
import torch

from nemotron_assets.training.losses import NextToken
from nemotron_assets.training.stream import PackedSequence, as_batch, predictions


def tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({f"w{k}": k for k in range(64)}, unk_token="w0"))
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0", eos_token="w2", pad_token="w4")


def conversations() -> list[tuple[list[int], list[bool]]]:
    """Rows of tokens with a mask: a prompt, and an answer that is trained; one has two answers."""
    rng = np.random.default_rng(3)
    masks = [[False] * 5 + [True] * 4, [False] * 3 + [True] * 2 + [False] * 4 + [True] * 6, [False] * 9 + [True]]
    return [(rng.integers(5, 64, len(mask)).tolist(), mask) for mask in masks]


def test_trl_gives_the_same_loss_and_gradients(student, tmp_path):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = conversations()
    together = PackedSequence(
        np.array([token for ids, _ in rows for token in ids], np.int32),
        tuple(len(ids) for ids, _ in rows),
        np.array([value for _, mask in rows for value in mask]),
    )
    ours = NextToken(student)(as_batch([together], 48)) / predictions([together])
    ours.backward()
    gradients = {name: p.grad.clone() for name, p in student.named_parameters()}
    student.zero_grad()

    data = Dataset.from_list([{"input_ids": ids, "assistant_masks": [int(v) for v in mask]} for ids, mask in rows])
    settings = SFTConfig(
        output_dir=str(tmp_path), padding_free=True, max_length=None, per_device_train_batch_size=len(rows),
        use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[], loss_type="nll", shuffle_dataset=False,
    )  # fmt: skip
    trainer = SFTTrainer(student, settings, train_dataset=data, processing_class=tokenizer())
    batch = next(iter(trainer.get_train_dataloader()))
    assert batch["input_ids"].shape[0] == 1 and int((batch["labels"] != -100).sum()) == predictions([together])
    theirs = trainer.compute_loss(student, dict(batch))
    theirs.backward()
    assert theirs.item() == pytest.approx(ours.item(), rel=1e-4)
    for name, p in student.named_parameters():
        scale = max(gradients[name].abs().max().item(), 1e-6)
        assert torch.allclose(p.grad, gradients[name], atol=1e-4 * scale), name
