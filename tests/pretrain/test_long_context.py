"""models.long_context on a small lake: it continues the newest base model with longer sequences of its own phase."""

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.blend.tables import PHASES, TOKENIZER
from nemotron_assets.models.registry import ModelError
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.pretrain.tables import BASE, LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.pretrain import test_base
from tests.pretrain.test_base import INPUTS, VOCABULARY, lake, small_recipe, write_shards  # noqa: F401 - `lake` is a fixture

LONG = 256


def recipe_with(**changed) -> Recipe:
    """The small recipe with six steps of the long-context training, each one sequence of 256 tokens."""
    values = {"tokens": 6 * LONG, "batch_sequences": 1, "peak_lr": 1e-3, "checkpoint_every": 2}
    recipe = small_recipe()
    run = recipe.train.long_context.model_copy(update=values | changed)
    return recipe.with_sections({"train.long_context": run, "blend.long_context.sequence_length": LONG})


@pytest.fixture
def long_lake(lake) -> Lakehouse:  # noqa: F811
    write_shards(lake, [0, 1], recipe_with())
    assert test_base.materialize(lake, recipe_with()).success
    return lake


def materialize(lake: Lakehouse, recipe: Recipe) -> dg.ExecuteInProcessResult:  # noqa: F811
    from nemotron_assets.pretrain.assets import ASSETS
    from nemotron_assets.pretrain.checks import CHECKS

    sources = [dg.AssetSpec(table.asset_key) for table in INPUTS]
    resources = {"io_manager": lake, "lake": lake, "recipe": recipe, "gpu": Gpu()}
    return dg.materialize([*ASSETS, *CHECKS, *sources], resources=resources, selection=[LONG_CONTEXT.asset_key])


def stored(lake: Lakehouse) -> pl.DataFrame:  # noqa: F811
    return lake.read(LONG_CONTEXT).scan().sort("at").collect()


def test_it_continues_the_base_model_at_a_constant_learning_rate(long_lake):
    import json

    from nemotron_assets.training.checkpoint import folder_tensors

    result = materialize(long_lake, recipe_with())
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert result.success and checks == {"loss_is_finite": True, "loads_with_transformers": True}
    (base,) = long_lake.read(BASE).scan().collect().to_dicts()
    (row,) = stored(long_lake).to_dicts()
    assert (row["name"], row["parents"], row["sources"]) == ("laptop-long-context", [base["id"]], ["models.base"])
    read = [f"{t.full_name}@{long_lake.open(t).version()}" for t in (*INPUTS, BASE)]
    assert row["input_versions"] == read and row["source_versions"] == base["source_versions"]
    assert (row["steps"], row["tokens_seen"], row["parameters"]) == (6, 6 * LONG, base["parameters"])
    metrics = long_lake.read(TRAINING_METRICS).scan().filter(model_id=row["id"]).sort("step").collect()
    assert metrics["step"].to_list() == list(range(1, 7)) and set(metrics["lr"]) == {1e-3}
    shares = long_lake.read(PHASES).scan().filter(phase="long-context").collect()
    assert set(shares.filter(pl.col("sequences") > 0)["category"]) <= set(metrics["categories"][0])

    # Six steps at this rate move no weight by more than about 6 x 1e-3: the training did not start afresh.
    folders = [long_lake.get_weights(model["uri"]) for model in (base, row)]
    before, after = (dict(folder_tensors(folder)) for folder in folders)
    moved = {name: (after[name] - before[name]).abs().max().item() for name in before}
    assert before.keys() == after.keys() and 1e-4 < max(moved.values()) < 2e-2
    contexts = [json.loads((folder / "config.json").read_text())["max_position_embeddings"] for folder in folders]
    assert contexts == [64, LONG]


def test_it_is_trained_again_for_another_base_model_only(long_lake):
    assert materialize(long_lake, recipe_with()).success
    assert materialize(long_lake, recipe_with()).success
    assert stored(long_lake)["version"].to_list() == ["1"]
    newer = recipe_with().with_sections({"train.base.seed": 7})
    assert test_base.materialize(long_lake, newer).success
    assert materialize(long_lake, newer).success
    made = stored(long_lake)
    assert made["version"].to_list() == ["1", "2"] and made["parents"].explode().n_unique() == 2
    assert materialize(long_lake, newer.with_sections({"train.long_context.log_every": 2})).success
    assert stored(long_lake).height == 2, "how often metrics are stored does not decide the weights"


def test_without_a_base_model_it_cannot_be_trained(lake):  # noqa: F811
    from nemotron_assets.pretrain.training import long_context

    with pytest.raises(ModelError, match=r"does not have the model laptop-base .* materialise models/base first"):
        long_context(recipe_with(), lake)


def test_it_continues_the_base_model_of_its_own_recipe(long_lake):
    """Somebody trains a base model with another recipe meanwhile: it is newer, but not the one to continue."""
    from nemotron_assets.pretrain.training import long_context

    (own,) = long_lake.read(BASE).scan().collect()["id"]
    assert test_base.materialize(long_lake, recipe_with().with_sections({"train.base.seed": 7})).success
    assert long_context(recipe_with(), long_lake).identity.parents[0].id == own


def test_inputs_that_do_not_fit_are_an_error(long_lake, tmp_path):
    from nemotron_assets.pretrain.training import TrainingError, long_context
    from nemotron_assets.text import tokenizer as bpe

    with pytest.raises(TrainingError, match="the phases are for 6 steps, but the recipe's training has 3"):
        long_context(recipe_with(tokens=3 * LONG), long_lake)
    other = recipe_with(tokens=12 * LONG).with_sections({"blend.long_context.sequence_length": 2 * LONG})
    with pytest.raises(TrainingError, match=r"no sequences of 512 tokens \(blend.long_context.sequence_length\)"):
        long_context(other, long_lake)
    made = bpe.train([["other words make other pieces of a vocabulary"]], VOCABULARY, 32, 2)
    bpe.save(made, tmp_path / "another", 64)
    uri, sha256 = long_lake.put_weights(tmp_path / "another", "tokenizer")
    row = long_lake.read(TOKENIZER).scan().collect().with_columns(uri=pl.lit(uri), sha256=pl.lit(sha256))
    long_lake.write(TOKENIZER, row)
    with pytest.raises(ModelError, match=r"does not have the model laptop-base"):  # with the present tokenizer
        long_context(recipe_with(), long_lake)
