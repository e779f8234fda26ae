"""Data with a mask: what is not trained teaches nothing, counts nowhere, and a killed training goes on bit for bit."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nemotron_assets.model.nemotron_h import packed_hidden
from nemotron_assets.training.job import FromFolder
from nemotron_assets.training.loop import train
from nemotron_assets.training.losses import NextToken
from nemotron_assets.training.stream import NO_TARGET, ByLength, PackedSequence, as_batch
from tests.training.test_loop import Killed, Memory, job

LENGTH = 48


class Answers(Memory):
    """Sequences of different lengths, of which the second half of each document is trained."""

    def __init__(self, shards=3, rows=7, length=LENGTH):
        super().__init__(shards, rows, length)
        rng = np.random.default_rng(1)
        self.content = {
            name: [self._masked(row, int(rng.integers(8, length + 1))) for row in rows]
            for name, rows in self.content.items()
        }

    @staticmethod
    def _masked(row: PackedSequence, size: int) -> PackedSequence:
        ends = np.minimum(np.cumsum((0, *row.lengths)), size)
        lengths = tuple(int(n) for n in np.diff(ends) if n)
        trained = np.concatenate([np.arange(n) >= n / 2 for n in lengths])
        return PackedSequence(row.tokens[:size], lengths, trained)


class Sorted(ByLength, Answers):
    """The same, padded by length."""


@pytest.mark.parametrize("data", [Answers, Sorted])
def test_a_killed_training_gives_the_same_weights(small, tmp_path, data):
    def dying(rows):
        if rows[-1]["step"] == 12:
            raise Killed

    straight_rows, resumed_rows = [], []
    straight = train(job(small, tmp_path / "straight"), data(), straight_rows.extend)
    with pytest.raises(Killed):
        train(job(small, tmp_path / "killed"), data(), dying)
    resumed = train(job(small, tmp_path / "killed"), data(), resumed_rows.extend)
    old, new = (load_file(folder.weights / "model.safetensors") for folder in (straight, resumed))
    assert all(torch.equal(old[name], new[name]) for name in old)
    losses = {row["step"]: (row["loss"], row["category_losses"], row["category_tokens"]) for row in straight_rows}
    assert {
        row["step"]: (row["loss"], row["category_losses"], row["category_tokens"]) for row in resumed_rows
    } == losses


def test_padding_by_length_changes_the_time_and_not_the_training(small, tmp_path):
    rows, sorted_rows = [], []
    train(job(small, tmp_path / "whole", tokens=8 * 4 * LENGTH), Answers(), rows.extend)
    train(job(small, tmp_path / "sorted", tokens=8 * 4 * LENGTH), Sorted(), sorted_rows.extend)
    for one, other in zip(rows, sorted_rows, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)
        assert one["category_losses"] == pytest.approx(other["category_losses"], rel=1e-5)
        assert one["category_tokens"] == other["category_tokens"]


def test_the_loss_of_every_sequence_keeps_its_place():
    """The guard names the sequence with the worst loss, so sorting by length must not mix them up."""
    rows = [row for name in ("00000000", "00000001") for row in Answers().content[name]][:8]
    divided = Sorted().micro_batches(rows, 2)
    assert sorted(k for numbers in divided for k in numbers) == list(range(8))
    sizes = [[len(rows[k].tokens) for k in numbers] for numbers in divided]
    assert [n for pair in sizes for n in pair] == sorted((len(row.tokens) for row in rows), reverse=True)


def test_tokens_that_are_not_trained_teach_nothing(student):
    """Other tokens in the place of an untrained last token change neither the loss nor the gradients."""
    tokens = np.arange(20, dtype=np.int32)
    mask = np.arange(20) >= 10
    mask[-1] = False
    other = tokens.copy()
    other[-1] = 63
    found = []
    for row in (tokens, other):
        student.zero_grad()
        loss = NextToken(student)(as_batch([PackedSequence(row, (20,), mask)], 32))
        loss.backward()
        found.append((loss.item(), student.model.layers[0].mixer.in_proj.weight.grad.clone()))
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])


def test_the_loss_of_masked_tokens_is_that_of_the_plain_definition(student):
    rng = np.random.default_rng(2)
    rows = [PackedSequence(rng.integers(0, 64, 30).astype(np.int32), (12, 18), rng.random(30) < 0.4) for _ in range(3)]
    batch = as_batch(rows, 32)
    module = NextToken(student)
    loss = module(batch)
    hidden = packed_hidden(student, batch.tokens, batch.packing)
    plain = torch.nn.functional.cross_entropy(
        student.lm_head(hidden).flatten(0, 1), batch.targets.flatten(), ignore_index=NO_TARGET, reduction="none"
    )
    assert loss.item() == pytest.approx(plain.sum().item(), rel=1e-5)
    assert torch.allclose(module.by_row, plain.view(3, -1).sum(1), rtol=1e-4)


def test_rows_of_special_tokens_are_drawn_again(small, tmp_path):
    """In both embeddings, for these tokens alone; the same seed draws the same rows."""
    first = train(job(small, tmp_path / "first", tokens=4 * 4 * LENGTH), Memory(), lambda rows: None)
    still = job(small, tmp_path / "still", tokens=4 * LENGTH, peak_lr=1e-12, weight_decay=0.0)
    started = train(dataclasses.replace(still, start=FromFolder(first.weights, (10, 12))), Memory(), lambda rows: None)
    old, new = (load_file(folder.weights / "model.safetensors") for folder in (first, started))
    for name in ("backbone.embeddings.weight", "lm_head.weight"):
        moved = ((old[name] - new[name]).abs().max(1).values > 1e-6).nonzero().flatten().tolist()
        assert moved == [10, 12]
        spread = new[name][[10, 12]].std().item()
        assert spread == pytest.approx(0.02, rel=0.5), "as fresh weights of this configuration"
    others = [name for name in old if "embeddings" not in name and "lm_head" not in name]
    assert all(torch.allclose(old[name], new[name], atol=1e-6) for name in others)
