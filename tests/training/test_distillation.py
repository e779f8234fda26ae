"""Distillation: the student comes near its teacher, a kill changes no bit, and a cached teacher says the same."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nemotron_assets.model.nemotron_h import packed_hidden
from nemotron_assets.training.distillation import Joined, distil
from nemotron_assets.training.loop import train
from nemotron_assets.training.losses import FromTeacher
from nemotron_assets.training.mixture import Entry, Mixture
from nemotron_assets.training.stream import as_batch
from nemotron_assets.training.teacher import HiddenCache, Teacher
from tests.training.test_loop import Killed, Memory, job
from tests.training.test_masked import LENGTH, Answers


@pytest.fixture(scope="module")
def teacher(small, tmp_path_factory):
    """The folder of a model that has learned to count."""
    folder = tmp_path_factory.mktemp("teacher")
    return train(job(small, folder, tokens=30 * 4 * LENGTH), Memory(), lambda rows: None).weights


@pytest.fixture(scope="module")
def start(small, tmp_path_factory):
    """The folder of a narrower model that has learned nothing."""
    narrow = small.model_copy(update={"pattern": "M-*-", "hidden_size": 24, "ffn_size": 40, "mamba_heads": 2})
    folder = tmp_path_factory.mktemp("start")
    return train(job(narrow, folder, tokens=4 * LENGTH, peak_lr=1e-9), Memory(), lambda rows: None).weights


class Talk(Answers):
    """Conversations: of each document only the second half counts."""

    @property
    def sources(self):
        return [dataclasses.replace(source, name="talk", category="chat") for source in super().sources]


MIXED = [Entry("distillation", 1, {"sft/chat": 0.7, "pretraining/text": 0.3})]


def distilled(small, start, teacher, folder, emit=lambda rows: None, steps=20, cache=None, **changed):
    settings = job(small, folder, tokens=steps * 4 * LENGTH, **changed).settings
    data = Joined({"sft": Talk(), "pretraining": Memory()})
    return distil(start, teacher, data, settings, LENGTH, folder, emit, entries=MIXED, cache=cache)


def test_the_student_comes_near_its_teacher_on_both_streams(small, start, teacher, tmp_path):
    rows = []
    done = distilled(small, start, teacher, tmp_path, rows.extend, steps=40)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"] and rows[-1]["loss"] > 0
    assert rows[-1]["categories"] == ["pretraining/text", "sft/chat"]
    assert all(loss is not None and loss >= 0 for loss in rows[-1]["category_losses"] if loss is not None)
    old, new = (load_file(folder / "model.safetensors") for folder in (start, done.weights))
    assert {name: value.shape for name, value in old.items()} == {name: value.shape for name, value in new.items()}


def test_sequences_come_in_the_shares_of_the_entries():
    data = Joined({"sft": Talk(), "pretraining": Memory()})
    assert [(source.name, source.category) for source in data.sources] == [
        ("talk", "sft/chat"), ("memory", "pretraining/text"),
    ]  # fmt: skip
    assert data.read(0, 0, 1).trained is not None and data.read(1, 0, 1).trained is None
    mixture = Mixture(1, MIXED, data.sources, batch=4)
    chosen = np.concatenate([mixture.rows(step).sources for step in range(1, 26)])
    assert np.bincount(chosen).tolist() == [70, 30]


@pytest.mark.parametrize("cached", [False, True])
def test_a_killed_distillation_ends_with_the_same_weights(small, start, teacher, tmp_path, cached):
    def of(name):
        return HiddenCache(tmp_path / f"cache-{name}", 1e9) if cached else None

    def dying(rows):
        if rows[-1]["step"] == 7:
            raise Killed

    straight = distilled(small, start, teacher, tmp_path / "straight", steps=8, cache=of("straight"))
    with pytest.raises(Killed):
        distilled(small, start, teacher, tmp_path / "killed", dying, steps=8, cache=of("killed"))
    rows = []
    resumed = distilled(small, start, teacher, tmp_path / "killed", rows.extend, steps=8, cache=of("killed"))
    first, second = (load_file(done.weights / "model.safetensors") for done in (straight, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert sorted(row["step"] for row in rows) == list(range(1, 9))


def batch_of(data):
    rows = [data.read(0, 0, number) for number in range(3)]
    return as_batch(rows, LENGTH), rows


@pytest.mark.parametrize("data", [Talk(), Memory()], ids=["with a mask", "without one"])
def test_the_loss_is_the_plain_divergence_at_the_targets_alone(start, teacher, data):
    from nemotron_assets.rollouts.transformers_engine import load

    student, taught = load(start), FromTeacher(load(start), Teacher.load(teacher, "fp32"))
    batch, rows = batch_of(data)
    loss = taught(batch)
    logits = [
        model.lm_head(packed_hidden(model, batch.tokens, batch.packing)).log_softmax(-1)
        for model in (student, taught.teacher.model)
    ]
    each = (logits[1].exp() * (logits[1] - logits[0])).sum(-1) * (batch.targets != -100)
    assert loss.item() == pytest.approx(each.sum().item(), rel=1e-4)
    assert torch.allclose(taught.by_row, each.sum(1), rtol=1e-3) and data.targets(rows) == (batch.targets != -100).sum()
    loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in taught.teacher.parameters())


def test_a_cache_gives_what_was_computed_and_keeps_its_limit(teacher, tmp_path):
    batch, _ = batch_of(Talk())
    places = batch.places
    computed = Teacher.load(teacher, "fp32")(batch, places)
    cache = HiddenCache(tmp_path / "cache", 1e9)
    taught = Teacher.load(teacher, "fp32", cache)
    assert torch.equal(taught(batch, places), computed) and (cache.found, cache.missed) == (0, 3)
    taught.model = None  # the second time, nothing is computed
    assert torch.equal(taught(batch, places), computed) and cache.found == 3
    (tmp_path / "cache" / "half.1.partial").write_text("")
    again = HiddenCache(tmp_path / "cache", 1e9)
    assert again.bytes > 0 and not list((tmp_path / "cache").glob("*.partial"))
    full = HiddenCache(tmp_path / "full", 10)
    assert torch.equal(Teacher.load(teacher, "fp32", full)(batch, places), computed)
    assert full.bytes == 0 and not list((tmp_path / "full").iterdir())
    half = torch.ones(2, 3, dtype=torch.bfloat16)
    cache.put("half", half)
    assert cache.get("half").dtype == torch.bfloat16 and torch.equal(cache.get("half"), half)


def test_a_cache_tells_sequences_apart():
    tokens = torch.arange(6)
    keys = [
        HiddenCache.key(tokens, (6,), torch.arange(3)), HiddenCache.key(tokens, (3, 3), torch.arange(3)),
        HiddenCache.key(tokens, (6,), torch.arange(4)), HiddenCache.key(tokens + 1, (6,), torch.arange(3)),
    ]  # fmt: skip
    assert len(set(keys)) == 4


def test_a_student_with_another_vocabulary_is_refused(small, teacher, tmp_path):
    other = job(small, tmp_path / "other", tokens=4 * LENGTH)
    start = train(
        dataclasses.replace(other, start=dataclasses.replace(other.start, vocabulary=65)), Memory(), lambda rows: None
    ).weights
    with pytest.raises(ValueError, match="the student has 65 tokens and the teacher 64"):
        distilled(small, start, teacher, tmp_path / "refused")
