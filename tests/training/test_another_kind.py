"""A second kind of model, as a later stage would add it: it has another shape, another loss and another table."""

import dataclasses
import json
from pathlib import Path

import polars as pl
import pytest
import torch

from nemotron_assets.model.nemotron_h import load_report
from nemotron_assets.models.registry import by_id
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.recipe import load_recipe
from nemotron_assets.training.job import FromCheckpoint
from nemotron_assets.training.loop import train as train_loop
from nemotron_assets.training.plan import Plan, train
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
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
def base(small, tmp_path):
    """A row of a model, with the finished weights of a small training."""
    weights = train_loop(
        job(narrower(small), tmp_path / "base", tokens=8 * 4 * 48), Memory(), lambda rows: None
    ).weights
    return {"id": "base-1", "sha256": "0123456789", "folder": str(weights)}


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lakehouse:
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    return Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)


@pytest.fixture
def calm(base, lake, tmp_path) -> Plan:
    """The plan of six steps from the weights of `base`."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    values = {"tokens": 6 * 4 * 48, "batch_sequences": 4, "micro_batch_sequences": 2, "log_every": 1}
    return plan(base, folder, load_recipe("laptop").train.base.model_copy(update=values))


def trained(calm: Plan, lake: Lakehouse):
    return train(calm, lake, Gpu(), "run", lambda line: None)


def steps(lake: Lakehouse, model_id: str) -> list[int]:
    return sorted(lake.read(TRAINING_METRICS).scan().filter(pl.col("model_id") == model_id).collect()["step"])


def test_another_kind_of_model_from_a_folder_of_another_shape(base, calm, lake):
    before = {p.name: p.stat().st_mtime_ns for p in Path(base["folder"]).iterdir()}

    made, parts = trained(calm, lake)
    lake.write(CALM, parts)

    row = by_id(lake.read(CALM), calm.id)
    assert row == made
    assert (row["parents"], row["sources"]) == (["base-1"], ["models.base"])
    assert steps(lake, row["id"]) == [1, 2, 3, 4, 5, 6] and row["steps"] == 6
    weights = lake.get_weights(row["uri"])
    assert json.loads((weights / "config.json").read_text())["hidden_size"] == 24
    assert load_report(weights) == (row["parameters"], [])
    assert {p.name: p.stat().st_mtime_ns for p in Path(base["folder"]).iterdir()} == before, "the parent is untouched"
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

    from nemotron_assets.training.job import FromFolder

    still = job(narrower(small), tmp_path / "still", tokens=2 * 4 * 48, peak_lr=1e-12, weight_decay=0.0)
    trained = train_loop(
        dataclasses.replace(still, start=FromFolder(Path(base["folder"]))), Memory(), lambda rows: None
    )
    old, new = (load_file(Path(folder) / "model.safetensors") for folder in (base["folder"], trained.weights))
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

    from nemotron_assets.training.job import FromFolder

    path = Path(base["folder"]) / "model.safetensors"
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
    bad = dataclasses.replace(job(narrower(small), tmp_path / "bad"), start=FromFolder(Path(base["folder"])))
    with pytest.raises(ValueError, match=words[damage]):
        train_loop(bad, Memory(), lambda rows: None)
