"""Budget, importance and candidates on a small lake: made once, gone on with after a kill, checked."""

from __future__ import annotations

import dagster as dg
import pytest

from nemotron_assets.align.merging.tables import ALIGNED
from nemotron_assets.align.tuning.tables import SEQUENCES, TOKEN_SHARDS
from nemotron_assets.blend import tables as blend
from nemotron_assets.compress.importance import kept, read_importance
from nemotron_assets.compress.search import chosen_row, shape_of
from nemotron_assets.compress.tables import BUDGET, CANDIDATES, IMPORTANCE
from nemotron_assets.compress.trial import Trials
from nemotron_assets.model.pruning import architecture, read_config
from nemotron_assets.models.registry import ModelError, newest
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from nemotron_assets.recipe.model import Model
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.align.stored import store_model
from tests.align.tuning import test_stages
from tests.align.tuning.conversations import several
from tests.align.tuning.test_stages import CONVERSATIONS
from tests.pretrain import test_long_context

INPUTS = (
    LONG_CONTEXT, ALIGNED, TOKEN_SHARDS, SEQUENCES, blend.TOKEN_SHARDS, blend.SEQUENCES, blend.PHASES,
)  # fmt: skip


def recipe_with(**search) -> Recipe:
    """The small recipe of the supervised stages, with a grid of two shapes and distillations of two steps."""
    recipe = test_stages.small()
    own = recipe.compress
    training = own.search.distillation.training.model_copy(update={"tokens": 2 * 256, "checkpoint_every": 1})
    distillation = own.search.distillation.model_copy(
        update={"sequence_length": 256, "sft": "sft_1", "sft_share": 1.0, "training": training}
    )
    values = {
        "layers": (6,), "attention": 1, "hidden": (24,), "ffn": (1.5, 2.0), "heads": (4,), "head_dim": (16,), "top": 2,
        "score_items": 8, "distillation": distillation,
    }  # fmt: skip
    compress = own.model_copy(
        update={
            "budget": own.budget.model_copy(update={"device_gib": 1.0, "most_non_embedding": 0.75}),
            "importance": own.importance.model_copy(update={"samples": 6, "layer_samples": 4, "batch": 2}),
            "search": own.search.model_copy(update=values | search),
        }
    )
    return recipe.model_copy(update={"compress": compress})


@pytest.fixture
def aligned_lake(long_lake) -> Lakehouse:
    """A lake with both models, and the sequences that they are measured on. The aligned model is the base model."""
    assert test_long_context.materialize(long_lake, test_long_context.recipe_with()).success
    long_lake.write(CONVERSATIONS, several())
    assert test_stages.materialize(long_lake, test_stages.small(), TOKEN_SHARDS, SEQUENCES).success
    row = newest(long_lake.read(LONG_CONTEXT))
    store_model(long_lake, ALIGNED, long_lake.get_weights(row["uri"]), "laptop-aligned", alpha=0.5)
    return long_lake


def materialize(lake: Lakehouse, recipe: Recipe, *tables) -> dg.ExecuteInProcessResult:
    from nemotron_assets.compress.assets import ASSETS
    from nemotron_assets.compress.checks import CHECKS

    sources = [dg.AssetSpec(table.asset_key) for table in INPUTS]
    resources = {"io_manager": lake, "lake": lake, "recipe": recipe, "gpu": Gpu()}
    wanted = [table.asset_key for table in tables or (BUDGET, IMPORTANCE, CANDIDATES)]
    return dg.materialize([*ASSETS, *CHECKS, *sources], resources=resources, selection=wanted, raise_on_error=False)


def test_models_are_measured_and_a_shape_is_chosen(aligned_lake, monkeypatch):
    """From the scores to the chosen shape, on one lake, because making it takes longest. Engines are timed in another
    test."""
    recipe = recipe_with(layers=(6, 5), top=1, depth_tokens=256)
    before = measured(aligned_lake, recipe)
    tried = []

    def timed(self, folder):
        tried.append(folder)
        if len(tried) == 1:
            raise RuntimeError("killed")
        return {"tokens_per_second": 10.0, "measured_engine_bytes": 5}

    distilled = []
    distil = Trials._distilled
    monkeypatch.setattr(Trials, "_timed", timed)
    monkeypatch.setattr(Trials, "_distilled", lambda self, *given: distilled.append(given[1]) or distil(self, *given))
    assert not materialize(aligned_lake, recipe, CANDIDATES).success
    assert aligned_lake.read(CANDIDATES).rows == 0 and len(distilled) == 3
    result = materialize(aligned_lake, recipe, CANDIDATES)
    assert result.success and len(tried) == 2
    assert distilled[3:] == distilled[2:3], "the depths, which were finished, are not distilled again"
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks["one_candidate_is_chosen"]

    rows = aligned_lake.read(CANDIDATES).scan().collect()
    depths = rows.filter(step="depth").sort("score", "loss", descending=[True, False])
    assert depths["tokens"].to_list() == [256, 256] and set(depths["layers"].list.len()) == {5, 6}
    assert depths["hidden"].to_list() == [32, 32] and not depths["chosen"].any()
    widths = rows.filter(step="width").sort("rank")
    assert widths["layers"].to_list() == [depths["layers"][0].to_list()] * 2 and widths["rank"].to_list() == [1, 2]
    assert widths["tokens"].to_list() == [512, None] and widths["chosen"].to_list() == [True, False]
    row, model = chosen_row(aligned_lake), newest(aligned_lake.read(ALIGNED))
    assert row["parents"] == [model["id"]] and shape_of(row).apply(before).pattern == row["pattern"]
    assert materialize(aligned_lake, recipe, CANDIDATES).success and len(tried) == 2, "nothing changed"


def measured(lake: Lakehouse, recipe: Recipe) -> Model:
    """Budget and importance are stored, pass their checks, and are read as they were measured. Returns the sizes of the
    aligned model."""
    result = materialize(lake, recipe, BUDGET, IMPORTANCE)
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert result.success and len(checks) == 4 and all(checks.values()), checks
    logged = {m.asset_key: m.metadata for m in result.asset_materializations_for_node("compress__importance")}
    assert "data:image/png;base64," in logged[IMPORTANCE.asset_key]["widths of laptop-aligned"].value

    budget = {row["model"]: row for row in lake.read(BUDGET).scan().collect().to_dicts()}
    model = newest(lake.read(ALIGNED))
    before = architecture(read_config(lake.get_weights(model["uri"])))
    own = budget["laptop-aligned"]
    assert own["parents"] == [model["id"]] and own["weight_bytes"] == 2 * own["parameters"]
    assert own["total_bytes"] == own["weight_bytes"] + own["kv_bytes"] + own["ssm_bytes"] + own["conv_bytes"]

    rows = lake.read(IMPORTANCE).part(model["id"]).scan().collect()
    scores = read_importance(rows, before)
    assert tuple(scores.channels.shape) == (before.hidden_size,) and sorted(scores.shares) == list(range(-1, 7))
    assert {layer: tuple(own.shape) for layer, own in scores.mamba.items()} == dict.fromkeys((0, 2, 5), (4, 16))
    assert not read_importance(rows, before, scale_norms=False).shares
    layers = kept(rows, before.pattern, 6)
    assert len(layers) == 6 and layers[0] == 0 and layers[-1] == 6
    with pytest.raises(ModelError, match="which 4 of 7 layers stay"):
        kept(rows, before.pattern, 4)
    return before


@pytest.mark.slow
def test_a_pruned_model_runs_in_the_engine(tmp_path):
    """vLLM loads it, writes as many tokens as asked, and sets aside the memory that the arithmetic says."""
    from nemotron_assets.compress.budget import memory_columns
    from nemotron_assets.compress.parents import ParentModel
    from nemotron_assets.model.pruning import Shape, prune
    from nemotron_assets.recipe import load_recipe
    from tests.model import exported
    from tests.model.test_pruning import scores

    exported.write(tmp_path / "model")
    before = architecture(read_config(tmp_path / "model"))
    shape = Shape((0, 2, 3, 4, 5, 6), 96, 320, 6, 24)
    prune(tmp_path / "model", tmp_path / "pruned", shape, scores(before))
    recipe = load_recipe("laptop")
    timing = recipe.compress.search.timing.model_copy(update={"prompt_tokens": 24, "output_tokens": 4, "batch": 2})
    budget = recipe.compress.budget.model_copy(update={"dtype": "float32", "context": 1_000})
    recipe = recipe.with_sections({"compress.search.timing": timing, "compress.budget": budget})
    gpu = Gpu.from_recipe(recipe.llm)
    parent = ParentModel({}, "", "", tmp_path / "model", before, exported.VOCABULARY)
    found = Trials(recipe, None, gpu, parent, scores(before), print)._timed(tmp_path / "pruned")
    expected = memory_columns(shape.apply(before), exported.VOCABULARY, budget)
    assert found["tokens_per_second"] > 0
    assert found["measured_engine_bytes"] == expected["engine_bytes"]
