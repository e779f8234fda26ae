"""models.base on a small lake: a model is trained once, resumed after a kill, and kept when the recipe changes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from nemotron_assets.blend.tables import PHASES, SEQUENCES, TOKEN_SHARDS, TOKENIZER
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.pretrain.tables import BASE
from nemotron_assets.recipe import Recipe, load_recipe
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.blend.packed_lake import documents, write_packed

ROOT = Path(__file__).parents[2]
VOCABULARY = 1_024
INPUTS = (TOKENIZER, TOKEN_SHARDS, SEQUENCES, PHASES)


def small_recipe(**pretrain) -> Recipe:
    recipe = load_recipe("laptop")
    model = {
        "hidden_size": 32, "ffn_size": 64, "head_dim": 8, "mamba_heads": 4, "mamba_head_dim": 16, "mamba_state": 8,
        "chunk_size": 16,
    }  # fmt: skip
    values = {"tokens": 20 * 4 * 64, "batch_sequences": 4, "micro_batch_sequences": 4, "checkpoint_every": 4}
    return recipe.with_sections(
        {
            "model": recipe.model.model_copy(update=model),
            "train.base": recipe.train.base.model_copy(update=values | pretrain),
            "tokenizer.vocabulary": VOCABULARY,
            "blend.sequence_length": 64,
            "blend.max_epochs": 100.0,
        }
    )


def shard(number: int) -> pl.DataFrame:
    """Nine pairs of documents that fill sequences of 64 tokens, with a data set of their own for each number."""
    rng = np.random.default_rng(number)
    lengths = [20, 44, 64, 10, 50] * 3
    tokens = [((rng.integers(50) + np.arange(length - 1)) % 50 + 32).tolist() for length in lengths]
    return documents(NAMES[number], tokens, ["code.curated@3", f"web.nemotron_cc_v2@{number}"])


NAMES = [f"web.nemotron_cc_v2/{subset}/S1/000000" for subset in ("High-Quality", "Medium-Quality", "Diverse-QA")]


def write_shards(lake: Lakehouse, numbers, recipe: Recipe | None = None) -> None:
    write_packed(lake, {NAMES[n]: shard(n) for n in numbers}, recipe or small_recipe())


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lakehouse:
    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    return lake_with_shards(tmp_path)


def lake_with_shards(folder: Path, root: str = "", recipe: Recipe | None = None) -> Lakehouse:
    """A lake with a tokenizer and two shards, by default in the folder."""
    from nemotron_assets.text import tokenizer as bpe

    lake = Lakehouse(root=root or str(folder / "lake"))
    made = bpe.train([["some words to learn pieces from, and some more words"]], VOCABULARY, 32, 2)
    bpe.save(made, folder / "tokenizer", 64)
    uri, sha256 = lake.put_weights(folder / "tokenizer", "tokenizer")
    row = {"id": "t", "name": "bpe", "vocabulary": made.get_vocab_size(), "special_tokens": 32, "uri": uri}
    row |= {"sha256": sha256, "training_documents": 1, "training_bytes": 1, "bytes_per_token": 1.0}
    lake.write(TOKENIZER, pl.DataFrame([row], schema=TOKENIZER.empty().schema))
    write_shards(lake, [0, 1], recipe)
    return lake


def materialize(lake: Lakehouse, recipe: Recipe, gpu: Gpu | None = None) -> dg.ExecuteInProcessResult:
    from nemotron_assets.pretrain.assets import ASSETS
    from nemotron_assets.pretrain.checks import CHECKS

    sources = [dg.AssetSpec(table.asset_key) for table in INPUTS]
    resources = {"io_manager": lake, "lake": lake, "recipe": recipe, "gpu": gpu or Gpu()}
    return dg.materialize([*ASSETS, *CHECKS, *sources], resources=resources, selection=[BASE.asset_key])


def models(lake: Lakehouse) -> pl.DataFrame:
    return lake.read(BASE).scan().sort("at").collect()


def test_trains_once_and_shows_what_it_did(lake, tmp_path):
    from transformers import AutoTokenizer

    result = materialize(lake, small_recipe())
    assert result.success
    assert all(check.passed for check in result.get_asset_check_evaluations())
    assert len(result.get_asset_check_evaluations()) == 2
    (row,) = models(lake).to_dicts()
    assert (row["name"], row["version"], row["parents"], row["sources"]) == ("laptop-base", "1", [], [])
    assert row["input_versions"] == [f"{t.full_name}@{lake.open(t).version()}" for t in INPUTS]
    assert row["source_versions"] == ["code.curated@3", "web.nemotron_cc_v2@0", "web.nemotron_cc_v2@1"]
    assert row["tokens_seen"] == 20 * 4 * 64
    metrics = lake.read(TRAINING_METRICS).scan().collect()
    assert sorted(metrics["step"]) == list(range(1, 21))
    assert set(metrics["model_id"]) == {row["id"]}
    folder = lake.get_weights(row["uri"])
    assert AutoTokenizer.from_pretrained(folder).eos_token_id == 2
    assert json.loads((folder / "config.json").read_text())["eos_token_id"] == 2
    logged = {m.asset_key: m.metadata for m in result.asset_materializations_for_node("models__base")}
    assert "data:image/png;base64," in logged[BASE.asset_key]["loss"].value
    assert logged[BASE.asset_key]["parameters"].value == row["parameters"]
    assert logged[TRAINING_METRICS.asset_key]["steps"].value == 20

    before = lake.open(TRAINING_METRICS).version()
    assert materialize(lake, small_recipe()).success  # the same recipe and data: nothing is trained, the row stays
    assert models(lake).to_dicts() == [row]
    assert lake.open(TRAINING_METRICS).version() == before
    assert not list((tmp_path / "cache" / "training").iterdir())  # the checkpoints are deleted


def test_another_recipe_or_other_data_make_another_version(lake):
    assert materialize(lake, small_recipe()).success
    assert materialize(lake, small_recipe(seed=7)).success
    write_shards(lake, [0, 1])  # identical content: another Delta version, the same model
    assert materialize(lake, small_recipe(seed=7)).success
    assert models(lake)["version"].to_list() == ["1", "2"]
    write_shards(lake, [0, 1, 2])
    assert materialize(lake, small_recipe(seed=7)).success
    assert models(lake)["version"].to_list() == ["1", "2", "3"]
    assert materialize(lake, small_recipe(seed=7, log_every=3)).success  # does not decide the weights
    assert models(lake)["version"].to_list() == ["1", "2", "3"]


def test_the_model_of_an_earlier_recipe_is_in_use_again(lake):
    for seed in (1, 2, 1):
        assert materialize(lake, small_recipe(seed=seed)).success
    assert models(lake)["version"].to_list() == ["2", "1"]


@pytest.mark.faults
def test_kill_9_during_training_neither_loses_nor_repeats_a_row(lake, tmp_path):
    """The whole run is killed. The next run resumes from the checkpoint, and the metrics have every step once."""
    script = (
        "import sys, time\n"
        "from nemotron_assets.training import loop\n"
        "from tests.pretrain.test_base import *\n"
        "rate = loop.learning_rate\n"
        "def slowly(*a): time.sleep(0.15); return rate(*a)\n"
        "loop.learning_rate = slowly\n"
        "materialize(Lakehouse(root=sys.argv[1]), small_recipe())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, lake.root],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "cache" / "training").glob("*/step-0000000012")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = lake.read(TRAINING_METRICS).scan().collect()["step"]
    assert len(stored) < 20 and not lake.read(BASE).exists
    assert materialize(lake, small_recipe()).success
    metrics = lake.read(TRAINING_METRICS).scan().sort("step").collect()
    assert metrics["step"].to_list() == list(range(1, 21))
    assert metrics["run_id"].n_unique() == (2 if len(stored) else 1)
    (killed,) = models(lake).to_dicts()

    undisturbed = Lakehouse(root=str(tmp_path / "other"))
    undisturbed.write(TOKENIZER, lake.read(TOKENIZER).scan().collect())
    write_shards(undisturbed, [0, 1])
    uri = lake.read(TOKENIZER).only_row()["uri"]
    assert undisturbed.put_weights(lake.get_weights(uri), "tokenizer")[0] == uri
    assert materialize(undisturbed, small_recipe()).success
    (straight,) = models(undisturbed).to_dicts()
    assert (killed["sha256"], killed["final_loss"]) == (straight["sha256"], straight["final_loss"])
    assert killed["id"] == straight["id"]


def test_missing_token_shards_are_an_error(tmp_path, monkeypatch):
    from nemotron_assets.pretrain.training import TrainingError
    from nemotron_assets.pretrain.training import base as plan

    monkeypatch.setenv("NEMOTRON_HOME", str(tmp_path))
    with pytest.raises(
        TrainingError, match="materialise blend/tokenizer, blend/token_shards, blend/sequences, blend/phases first"
    ):
        plan(small_recipe(), Lakehouse(root=str(tmp_path / "lake")))


def test_the_phases_decide_what_is_read(lake):
    """Three phases of 12, 6 and 2 steps. Medium quality leaves the last one; the metrics tell tokens and loss."""
    assert materialize(lake, small_recipe()).success
    rows = lake.read(TRAINING_METRICS).scan().sort("step").collect()
    tokens = pl.DataFrame(rows["category_tokens"].list.to_struct(fields=["crawl-high", "crawl-medium"]).to_list())
    assert rows["categories"][0].to_list() == ["crawl-high", "crawl-medium"]
    given = tokens.with_columns(step=rows["step"]).rows_by_key("step", named=True, unique=True)
    assert given[20]["crawl-medium"] == given[18]["crawl-medium"] > given[12]["crawl-medium"] > 0
    assert given[20]["crawl-high"] - given[18]["crawl-high"] > 7 * 60, "all eight sequences of the last phase"
    shares = {(p, c): s for p, c, s in lake.read(PHASES).scan().select("phase", "category", "share").collect().rows()}
    assert shares["phase-1", "crawl-high"] == pytest.approx(6.5 / 13.3)
    first = given[12]["crawl-high"] / (given[12]["crawl-high"] + given[12]["crawl-medium"])
    assert first == pytest.approx(6.5 / 13.3, abs=0.05)
    assert all(loss is None or 0 < loss < 9 for losses in rows["category_losses"] for loss in losses)
    both = [(row["loss"], row["category_losses"]) for row in rows.to_dicts() if None not in row["category_losses"]]
    assert len(both) > 10 and all(min(losses) <= loss <= max(losses) for loss, losses in both)


def test_other_weights_or_phases_are_another_model(lake):
    from nemotron_assets.pretrain.training import base as plan

    recipe = small_recipe()
    one = plan(recipe, lake).id
    phase = recipe.blend.phases["phase-1"]
    heavier = phase.model_copy(update={"weights": {**phase.weights, "crawl-medium": 20.0}})
    phases = {**recipe.blend.phases, "phase-1": heavier}
    write_shards(lake, [0, 1], recipe.with_sections({"blend.phases": phases}))
    assert plan(recipe, lake).id != one
    write_shards(lake, [0, 1], recipe)
    assert plan(recipe, lake).id == one


def test_a_data_set_that_is_left_out_is_not_trained_on(lake):
    """The other data set of the category takes its place, so the shares of the phases stay as they are."""
    from nemotron_assets.pretrain.training import base as plan
    from nemotron_assets.training.worker import shards_of

    subsets = [f"web.nemotron_cc_v2/{subset}" for subset in ("Diverse-QA", "High-Quality-Synthetic")]
    shards = {f"{name}/S1/000000": shard(2).with_columns(data_set=pl.lit(name)) for name in subsets}
    shards = {name: rows.with_columns(part=pl.lit(name)) for name, rows in shards.items()}
    plans = []
    for recipe in (small_recipe(), small_recipe().with_sections({"blend.left_out": (subsets[0],)})):
        write_packed(lake, shards, recipe)
        plans.append(plan(recipe, lake))
    sources = [[source.name for source in shards_of(made.config).sources] for made in plans]
    assert sources == [subsets, subsets[1:]]
    assert plans[0].config["entries"] == plans[1].config["entries"] and plans[0].id != plans[1].id


def test_phases_of_another_training_are_an_error(lake):
    from nemotron_assets.pretrain.training import TrainingError
    from nemotron_assets.pretrain.training import base as plan

    with pytest.raises(TrainingError, match="the phases are for 20 steps, but the recipe's training has 10"):
        plan(small_recipe(tokens=10 * 4 * 64), lake)
    longer = small_recipe(tokens=20 * 4 * 96).with_sections({"blend.sequence_length": 96})
    with pytest.raises(TrainingError, match=r"has no sequences of 96 tokens \(blend.sequence_length\)"):
        plan(longer, lake)


def test_a_tokenizer_with_too_many_entries_is_an_error(lake):
    from nemotron_assets.pretrain.training import TrainingError
    from nemotron_assets.pretrain.training import base as plan

    recipe = small_recipe()
    recipe = recipe.model_copy(update={"tokenizer": recipe.tokenizer.model_copy(update={"vocabulary": 288})})
    with pytest.raises(TrainingError, match=r"the tokenizer has \d+ entries, but tokenizer.vocabulary is 288"):
        plan(recipe, lake)
