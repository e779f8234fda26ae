"""A second kind of model, as a later stage would add it: a folder of another shape, another loss, another table."""

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
from nemotron_assets.training.plan import train
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
    """The finished weights of a small training, as a folder and as a model row would name it."""
    weights = train_loop(
        job(narrower(small), tmp_path / "base", tokens=8 * 4 * 48), Memory(), lambda rows: None
    ).weights
    return {"id": "base-1", "sha256": "0123456789", "folder": str(weights)}


def test_another_kind_of_model_from_a_folder_of_another_shape(base, tmp_path, monkeypatch):
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    lake, folder = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0), tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{}")
    values = {"tokens": 6 * 4 * 48, "batch_sequences": 4, "micro_batch_sequences": 2, "log_every": 1}
    settings = load_recipe("laptop").train.base.model_copy(update=values)
    before = {p.name: p.stat().st_mtime_ns for p in Path(base["folder"]).iterdir()}

    registry = train(plan(base, folder, settings), lake, Gpu(), "run", lambda line: None)
    lake.write(CALM, registry.parts())

    row = by_id(lake.read(CALM), plan(base, folder, settings).id)
    assert (row["parents"], row["sources"]) == (["base-1"], ["models.base"])
    metrics = lake.read(TRAINING_METRICS).scan().filter(pl.col("model_id") == row["id"]).sort("step").collect()
    assert metrics["step"].to_list() == [1, 2, 3, 4, 5, 6] and row["steps"] == 6
    weights = lake.get_weights(row["uri"])
    assert json.loads((weights / "config.json").read_text())["hidden_size"] == 24
    assert load_report(weights) == (row["parameters"], [])
    assert {p.name: p.stat().st_mtime_ns for p in Path(base["folder"]).iterdir()} == before, "the parent is untouched"
    again = train(plan(base, folder, settings), lake, Gpu(), "run", lambda line: None)
    assert again.newest()["at"] == row["at"], "found, not trained"


def test_training_goes_on_from_the_folders_weights(base, small, tmp_path):
    """With a learning rate of next to nothing the weights stay what they were in the folder."""
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
    words = {"missing": "lacks the weights", "shape": "has model.* of shape", "empty": "no safetensors files"}
    bad = dataclasses.replace(job(narrower(small), tmp_path / "bad"), start=FromFolder(Path(base["folder"])))
    with pytest.raises(ValueError, match=words[damage]):
        train_loop(bad, Memory(), lambda rows: None)
