"""A second kind of model, as a later stage would add it: it has another shape, another loss and another table."""

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
import torch

from nemotron_assets.blend.tables import SEQUENCES, TOKEN_SHARDS
from nemotron_assets.model.nemotron_h import load_report
from nemotron_assets.models.registry import by_id, newest
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import load_recipe
from nemotron_assets.training.job import FromCheckpoint, FromFolder
from nemotron_assets.training.loop import train as train_loop
from nemotron_assets.training.losses import NextToken
from nemotron_assets.training.plan import Plan, train
from nemotron_assets.training.stream import NO_TARGET
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.pretrain.test_base import write_shards
from tests.sql.lake import frame
from tests.training import calm_stage
from tests.training.calm_stage import CALM, plan
from tests.training.test_loop import SPECIAL, Memory, job


def test_the_stage_is_short():
    lines = Path(calm_stage.__file__).read_text().splitlines()
    assert len([line for line in lines if line.strip()]) < 40


def narrower(small):
    """A shape that the recipe does not have: another width, depth, and head count."""
    return small.model_copy(update={"pattern": "M-M*-", "hidden_size": 24, "ffn_size": 40, "mamba_heads": 2})


@pytest.fixture
def base(small, tmp_path) -> Path:
    """The folder with the finished weights of a small training."""
    small_job = job(narrower(small), tmp_path / "base", tokens=8 * 4 * 48)
    small_job = dataclasses.replace(small_job, start=dataclasses.replace(small_job.start, vocabulary=128))
    return train_loop(small_job, Memory(), lambda rows: None).weights


@pytest.fixture
def lake(base, tmp_path, monkeypatch) -> Lakehouse:
    """A lake with the model `base` and packed sequences."""
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    lake = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    (base / "tokenizer.json").write_text("{}")
    uri, sha256 = lake.put_weights(base, "base")
    row = {"id": "base-1", "name": "small-base", "version": "1", "uri": uri, "sha256": sha256, "at": datetime.now(UTC)}
    lake.write(BASE, frame(BASE, [row]))
    write_shards(lake, [0, 1])
    return lake


@pytest.fixture
def recipe():
    """Six steps."""
    recipe = load_recipe("laptop")
    values = {"tokens": 6 * 4 * 64, "batch_sequences": 4, "micro_batch_sequences": 2, "log_every": 1}
    return recipe.with_sections({"train.base": recipe.train.base.model_copy(update=values)})


@pytest.fixture
def calm(lake, recipe) -> Plan:
    return plan(lake, recipe.train.base, lake.read(BASE), lake.read(TOKEN_SHARDS), lake.read(SEQUENCES))


def trained(calm: Plan, lake: Lakehouse):
    return train(calm, lake, Gpu(), "run", lambda line: None)


def steps(lake: Lakehouse, model_id: str) -> list[int]:
    return sorted(lake.read(TRAINING_METRICS).scan().filter(pl.col("model_id") == model_id).collect()["step"])


def test_another_kind_of_model_from_a_folder_of_another_shape(calm, lake, recipe, monkeypatch):
    parent = lake.get_weights(newest(lake.read(BASE))["uri"])
    before = {p.name: p.stat().st_mtime_ns for p in parent.iterdir()}

    tables = {table.full_name: table for table in (CALM, BASE, TOKEN_SHARDS, SEQUENCES)}
    monkeypatch.setattr("resources.lakehouse.lake.all_tables", lambda: tables)
    sources = [dg.AssetSpec(table.asset_key) for table in (BASE, TOKEN_SHARDS, SEQUENCES)]
    resources = {"io_manager": lake, "lake": lake, "recipe": recipe, "gpu": Gpu()}
    assert dg.materialize([calm_stage.calm, *sources], resources=resources, selection=[CALM.asset_key]).success

    row = by_id(lake.read(CALM), calm.id)
    assert (row["parents"], row["sources"]) == (["base-1"], ["models.base"])
    assert steps(lake, row["id"]) == [1, 2, 3, 4, 5, 6] and row["steps"] == 6
    weights = lake.get_weights(row["uri"])
    assert json.loads((weights / "config.json").read_text())["hidden_size"] == 24
    assert load_report(weights) == (row["parameters"], [])
    assert {p.name: p.stat().st_mtime_ns for p in parent.iterdir()} == before, "the parent is untouched"
    again, _ = trained(calm, lake)
    assert again == row, "found, not trained"


def test_two_runs_that_want_the_same_model_train_it_once(calm, lake):
    """The second run gets the device before the lake has the row of the first one."""
    first, second = trained(calm, lake), trained(calm, lake)
    for _, parts in (first, second):
        lake.write(CALM, parts)
    assert lake.read(CALM).rows == 1
    assert first[0]["sha256"] == second[0]["sha256"] and steps(lake, calm.id) == [1, 2, 3, 4, 5, 6]
    assert Path(calm.config["folder"]).exists()
    trained(calm, lake)
    assert not Path(calm.config["folder"]).exists(), "the weights are in the lake"


def test_training_starts_from_the_weights_of_the_folder(base, small, tmp_path):
    """With a tiny learning rate the weights stay as they were in the folder."""
    from safetensors.torch import load_file

    still = job(narrower(small), tmp_path / "still", tokens=2 * 4 * 48, peak_lr=1e-12, weight_decay=0.0)
    trained = train_loop(dataclasses.replace(still, start=FromFolder(base)), Memory(), lambda rows: None)
    old, new = (load_file(folder / "model.safetensors") for folder in (base, trained.weights))
    assert old.keys() == new.keys() and all(torch.allclose(old[name], new[name], atol=1e-6) for name in old)


def test_training_starts_from_a_checkpoint_of_another_training(small, tmp_path):
    class Stop(Exception):
        pass

    def emit(rows):
        if rows[-1]["step"] == 6:
            raise Stop

    with pytest.raises(Stop):
        train_loop(job(narrower(small), tmp_path / "first"), Memory(), emit)
    (checkpoint,) = (tmp_path / "first").glob("step-*")
    rows = []
    second = job(narrower(small), tmp_path / "second", tokens=3 * 4 * 48)
    trained = train_loop(dataclasses.replace(second, start=FromCheckpoint(checkpoint)), Memory(), rows.extend)
    fresh = []
    train_loop(job(narrower(small), tmp_path / "fresh", tokens=3 * 4 * 48), Memory(), fresh.extend)
    assert [row["step"] for row in rows] == [1, 2, 3] and rows[0]["loss"] < fresh[0]["loss"] - 0.1
    assert json.loads((trained.weights / "config.json").read_text())["eos_token_id"] == SPECIAL["eos"]


@pytest.mark.parametrize("damage", ["missing", "shape", "empty"])
def test_a_folder_that_does_not_fit_its_configuration_is_refused(base, small, tmp_path, damage):
    from safetensors.torch import load_file, save_file

    path = base / "model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[0]
    if damage == "missing":
        del tensors[name]
    elif damage == "shape":
        tensors[name] = tensors[name][:-1].contiguous()
    path.unlink()
    if damage != "empty":
        save_file(tensors, path)
    words = {"missing": "lacks weights", "shape": "has model.* of shape", "empty": "no safetensors files"}
    bad = dataclasses.replace(job(narrower(small), tmp_path / "bad"), start=FromFolder(base))
    with pytest.raises(ValueError, match=words[damage]):
        train_loop(bad, Memory(), lambda rows: None)


class Taught(NextToken):
    """The next token, and a frozen teacher that the loss brings along."""

    def __init__(self, student, frozen=True):
        super().__init__(student)
        self.teacher = torch.nn.Linear(2, 2).requires_grad_(not frozen)
        torch.nn.init.constant_(self.teacher.weight, 7.0)

    def forward(self, batch):
        assert (self.teacher.weight == 7.0).all(), "the teacher keeps its weights"
        return super().forward(batch)


def test_a_loss_may_hold_a_frozen_model(small, tmp_path):
    taught, plain = (job(narrower(small), tmp_path / name, tokens=2 * 4 * 48) for name in ("taught", "plain"))
    results = [train_loop(j, Memory(), lambda rows: None) for j in (dataclasses.replace(taught, loss=Taught), plain)]
    assert results[0].final_loss == results[1].final_loss and results[0].parameters == results[1].parameters


def test_a_loss_with_another_model_to_train_is_refused(small, tmp_path):
    bad = dataclasses.replace(
        job(narrower(small), tmp_path / "bad"), loss=lambda student: Taught(student, frozen=False)
    )
    with pytest.raises(ValueError, match=r"holds teacher\.weight beside the student, which is not frozen"):
        train_loop(bad, Memory(), lambda rows: None)


class Masked(Memory):
    """Data of which only the first half of every sequence is predicted, as a stage with answers would give."""

    def batch(self, rows, length, device):
        batch = super().batch(rows, length, device)
        batch.targets[:, length // 2 :] = NO_TARGET
        return batch

    def targets(self, rows):
        return sum(int((self.batch([row], 48, "cpu").targets != NO_TARGET).sum()) for row in rows)


def test_data_may_say_which_tokens_are_predicted(small, tmp_path):
    rows = []
    train_loop(job(narrower(small), tmp_path / "masked", tokens=2 * 4 * 48), Masked(), rows.extend)
    assert rows[0]["loss"] == pytest.approx(np.log(64), rel=0.05), "per predicted token"
