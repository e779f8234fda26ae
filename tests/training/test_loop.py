"""Training learns, a resumed training gives the same weights bit for bit, and errors say what cannot be trained."""

import dataclasses
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nemotron_assets.model import fused
from nemotron_assets.recipe import load_recipe
from nemotron_assets.training import stream
from nemotron_assets.training.job import Fresh, Job
from nemotron_assets.training.loop import train
from nemotron_assets.training.mixture import Entry, Source


class Memory(stream.Shards):
    """Shards of packed sequences that count upwards, so that a model can learn them."""

    def __init__(self, shards=3, rows=7, length=48):
        rng = np.random.default_rng(0)
        self.content = {}
        for shard in range(shards):
            self.content[f"{shard:08d}"] = [
                stream.PackedSequence(np.concatenate([self._document(rng, n) for n in pieces]), pieces)
                for pieces in [(length // 3, length // 2), (length,), (1, length - 1)] * rows
            ][:rows]

    @staticmethod
    def _document(rng, length):
        return ((rng.integers(64) + np.arange(length)) % 64).astype(np.int32)

    @property
    def sources(self):
        return [Source("memory", "text", tuple(len(rows) for rows in self.content.values()))]

    def read(self, source, shard, row):
        return self.content[f"{shard:08d}"][row]


SPECIAL = {"pad": 4, "bos": 1, "eos": 2}


def job(small, folder, **pretrain) -> Job:
    values = {
        "tokens": 24 * 4 * 48, "batch_sequences": 4, "micro_batch_sequences": 2, "peak_lr": 1e-2,
        "log_every": 1, "checkpoint_every": 5,
    }  # fmt: skip
    recipe = load_recipe("laptop").train.base.model_copy(update=values | pretrain)
    return Job(Fresh(small.model_copy(update={"init_std": 0.02}), 64, SPECIAL), recipe, 48, Path(folder))


def test_learns_and_saves_what_plain_transformers_loads(small, tmp_path):
    from transformers import AutoModelForCausalLM

    rows = []
    trained = train(job(small, tmp_path / "run", tokens=80 * 4 * 48), Memory(), rows.extend)
    assert [row["step"] for row in rows] == list(range(1, 81))
    assert rows[0]["loss"] == pytest.approx(np.log(64), rel=0.05)
    assert rows[-1]["loss"] < 0.7
    assert trained.final_loss == rows[-1]["loss"]
    assert trained.tokens == rows[-1]["tokens"] == 80 * 4 * 48
    model = AutoModelForCausalLM.from_pretrained(trained.weights)
    assert model.num_parameters() == trained.parameters
    assert (model.config.pad_token_id, model.config.eos_token_id) == (4, 2)
    document = torch.arange(40)[None] % 64
    with torch.no_grad():
        assert model(document, labels=document).loss < 0.7
    again = []
    assert train(job(small, tmp_path / "run", tokens=80 * 4 * 48), Memory(), again.extend) == trained
    assert again == []  # a finished training does not run again


class Killed(Exception):
    pass


@pytest.mark.parametrize(("at", "moved"), [(3, False), (12, True)])
def test_interrupted_and_resumed_equals_uninterrupted(small, tmp_path, at, moved):
    """With `moved`, on another machine: only the checkpoints in the object store are left."""
    whole, parts = [], []
    store = f"file://{tmp_path}/store" if moved else ""
    straight = train(job(small, tmp_path / "straight"), Memory(), whole.extend)

    def emit(rows):
        parts.extend(rows)
        if rows[-1]["step"] == at:
            raise Killed

    with pytest.raises(Killed):
        train(replace(job(small, tmp_path / "resumed"), checkpoints=store), Memory(), emit)
    if moved:
        shutil.rmtree(tmp_path / "resumed")
    resumed = train(replace(job(small, tmp_path / "resumed"), checkpoints=store), Memory(), parts.extend)
    assert moved == any(path.name == "state.json" for path in tmp_path.glob("store/*/*"))
    a, b = (load_file(run.weights / "model.safetensors") for run in (straight, resumed))
    assert all(torch.equal(a[name], b[name]) for name in a)
    losses = {row["step"]: row["loss"] for row in parts}
    assert losses == {row["step"]: row["loss"] for row in whole}
    assert not list((tmp_path / "resumed").glob("step-*"))


def test_bf16_trains(small, tmp_path):
    rows = []
    trained = train(job(small, tmp_path, precision="bf16", tokens=40 * 4 * 48), Memory(), rows.extend)
    assert rows[-1]["loss"] < rows[0]["loss"] - 1
    assert load_file(trained.weights / "model.safetensors")["lm_head.weight"].dtype == torch.bfloat16


def test_slices_of_logits_and_recomputed_activations_change_nothing(small, tmp_path, monkeypatch):
    whole, sliced = [], []
    train(job(small, tmp_path / "whole", tokens=3 * 4 * 48), Memory(), whole.extend)
    monkeypatch.setitem(fused.LOGIT_BYTES, "cpu", 1)
    monkeypatch.setattr(fused, "SMALLEST_SLICE", 20)
    train(job(small, tmp_path / "sliced", tokens=3 * 4 * 48, recompute=True), Memory(), sliced.extend)
    assert [r["loss"] for r in whole] == pytest.approx([r["loss"] for r in sliced], rel=1e-5)


def test_divergence_is_an_error_that_says_what_to_change(small, tmp_path):
    with pytest.raises(FloatingPointError, match=r"diverged at step \d+.*train.base.peak_lr"):
        train(job(small, tmp_path, peak_lr=1e30, warmup_share=0.0), Memory(), lambda rows: None)


def test_training_without_data_is_an_error(small, tmp_path):
    with pytest.raises(ValueError, match="token shards are empty"):
        train(job(small, tmp_path), Memory(shards=0), lambda rows: None)


def test_a_document_has_the_same_loss_alone_and_packed(small):
    """Its tokens see no other document of the sequence, whatever stands before it, and padding counts for nothing."""
    from nemotron_assets.model.nemotron_h import empty_model, fresh_weights
    from nemotron_assets.training.losses import NextToken

    config = Fresh(small, 64, SPECIAL).config(96)
    model = empty_model(config).to_empty(device="cpu")
    parameters = dict(model.named_parameters())
    for name, value in fresh_weights(parameters, config, 3):
        parameters[name].data.copy_(value)
    loss, rng = NextToken(model.eval()), np.random.default_rng(5)
    document, others = rng.integers(5, 64, 31).astype(np.int32), rng.integers(5, 64, 40).astype(np.int32)

    def total(tokens, lengths) -> float:
        with torch.no_grad():
            return loss(stream.as_batch([stream.PackedSequence(tokens, lengths)], 96)).item()

    alone = total(document, (31,))
    assert alone > 30 * 3, "nothing is learned yet"
    rest = total(others, (15, 25))
    packed = total(np.concatenate([others[:15], document, others[15:]]), (15, 31, 25))
    assert packed - rest == pytest.approx(alone, rel=1e-5)
    twice = total(np.concatenate([document, document, document]), (31, 31, 31))
    assert twice == pytest.approx(3 * alone, rel=1e-5), "a document that is repeated gains nothing"
    assert loss.by_row.tolist() == pytest.approx([twice])


class Labelled(Memory):
    """Two categories: one of the shards is another kind of text."""

    @property
    def sources(self):
        sizes = [len(rows) for rows in self.content.values()]
        return [Source("first", "text", tuple(sizes[:2])), Source("other", "rare", tuple(sizes[2:]))]

    def read(self, source, shard, row):
        return self.content[f"{2 * source + shard:08d}"][row]


class Counted(Labelled):
    """Remembers the source of every sequence that is read."""

    def __init__(self):
        super().__init__(shards=3, rows=13)
        self.read_sources = []

    def read(self, source, shard, row):
        self.read_sources.append(source)
        return super().read(source, shard, row)


def test_every_phase_has_its_shares_within_one_sequence(small, tmp_path):
    """Counted where the loop reads. The phase stands in the metrics; its switch costs no restart."""
    entries = (
        Entry("phase-1", 1, {"text": 5, "rare": 2}),
        Entry("phase-2", 8, {"text": 1, "rare": 6}),
        Entry("phase-3", 11, {"rare": 1}),
    )
    shards, rows = Counted(), []
    train(dataclasses.replace(job(small, tmp_path, tokens=12 * 4 * 48), entries=entries), shards, rows.extend)
    assert [row["phase"] for row in rows] == ["phase-1"] * 7 + ["phase-2"] * 3 + ["phase-3"] * 2
    assert len(shards.read_sources) == 12 * 4, "every sequence is read once"
    for first, last, share in ((0, 28, 2 / 7), (28, 40, 6 / 7), (40, 48, 1.0)):
        of = shards.read_sources[first:last]
        for given in range(1, len(of) + 1):
            assert abs(sum(of[:given]) - share * given) < 1, (first, given)


@pytest.mark.parametrize("at", [3, 12])
def test_categories_are_read_by_their_shares_and_counted_through_a_resume(small, tmp_path, at):
    """The weights change at step 11. A killed training goes on with the same sequences, losses and counts."""
    entries = (Entry("first", 1, {"text": 3, "rare": 1}), Entry("second", 11, {"text": 1, "rare": 3}))
    values = {"log_every": 2, "tokens": 20 * 4 * 48}
    whole, parts = [], []
    train(dataclasses.replace(job(small, tmp_path / "straight", **values), entries=entries), Labelled(), whole.extend)
    assert [row["category_tokens"][0] for row in whole][-1] > 0
    full = 48 * 4 * 10  # tokens of ten steps; sequences of 40 tokens have less than that
    rare, text = ([row["category_tokens"][k] for row in whole] for k in range(2))
    assert 0.7 * full / 4 <= rare[4] <= full / 4 and 0.7 * full * 3 / 4 <= text[4] <= full * 3 / 4
    assert 0.7 * full * 3 / 4 <= rare[9] - rare[4] <= full * 3 / 4

    def emit(rows):
        parts.extend(rows)
        if rows[-1]["step"] > at:
            raise Killed

    resumed = dataclasses.replace(job(small, tmp_path / "resumed", **values), entries=entries)
    with pytest.raises(Killed):
        train(resumed, Labelled(), emit)
    train(resumed, Labelled(), parts.extend)
    fields = ("loss", "category_losses", "category_tokens")
    straight = {row["step"]: [row[name] for name in fields] for row in whole}
    assert {row["step"]: [row[name] for name in fields] for row in parts} == straight
