"""The three stages on a small lake: each continues the one before, stores its curve, and is trained once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.align.conversations.tables import CONVERSATIONS
from nemotron_assets.align.tuning.tables import SEQUENCES, SFT_1, SFT_2, SFT_3, STAGES, TOKEN_SHARDS
from nemotron_assets.blend import tables as blend
from nemotron_assets.models.registry import ModelError
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.pretrain.tables import LONG_CONTEXT
from nemotron_assets.recipe import Recipe
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.align.tuning.conversations import conversation, frame, several
from tests.pretrain import test_long_context
from tests.pretrain.test_base import lake  # noqa: F401 - a fixture
from tests.pretrain.test_long_context import long_lake, recipe_with  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[3]
INPUTS = (CONVERSATIONS, blend.TOKENIZER, blend.TOKEN_SHARDS, LONG_CONTEXT)


def small(**changed) -> Recipe:
    """The recipe of the small lake, with a few steps of short sequences in each stage."""
    recipe = recipe_with()
    values = {"batch_sequences": 2, "micro_batch_sequences": 2, "checkpoint_every": 2, "log_every": 1, "peak_lr": 1e-2}
    stages = {
        name: stage.model_copy(
            update={
                "sequence_length": 256,
                "training": stage.training.model_copy(update=values | {"tokens": steps * 2 * 256}),
            }
        )
        for (name, stage), steps in zip(recipe.align.tuning.stages().items(), (8, 4, 2), strict=True)
    }
    tuning = recipe.align.tuning.model_copy(update=stages | {"least_end_of_turn": 0.0, "held_out_share": 0.2} | changed)
    return recipe.with_sections({"align.tuning": tuning})


@pytest.fixture
def tuned_lake(long_lake) -> Lakehouse:  # noqa: F811
    assert test_long_context.materialize(long_lake, recipe_with()).success
    long_lake.write(CONVERSATIONS, several())
    return long_lake


def materialize(lake: Lakehouse, recipe: Recipe, *tables) -> dg.ExecuteInProcessResult:  # noqa: F811
    from nemotron_assets.align.tuning.assets import ASSETS
    from nemotron_assets.align.tuning.checks import CHECKS

    sources = [dg.AssetSpec(table.asset_key) for table in INPUTS]
    resources = {"io_manager": lake, "lake": lake, "recipe": recipe, "gpu": Gpu()}
    wanted = [table.asset_key for table in tables or (TOKEN_SHARDS, SEQUENCES, *STAGES.values())]
    return dg.materialize([*ASSETS, *CHECKS, *sources], resources=resources, selection=wanted)


def rows(lake: Lakehouse, table) -> list[dict]:  # noqa: F811
    return lake.read(table).scan().sort("at").collect().to_dicts()


def test_each_stage_continues_the_one_before_and_is_trained_once(tuned_lake):
    from nemotron_assets.training.checkpoint import folder_tensors

    result = materialize(tuned_lake, small())
    checks = {(c.asset_key.path[-1], c.check_name): c.passed for c in result.get_asset_check_evaluations()}
    checks.pop(("sft_1", "loss_decreased"))  # eight steps need not show it
    assert result.success and all(checks.values()), checks
    assert {("token_shards", "answers_end_their_turn"), ("sequences", "rows_are_whole"), ("sft_1", "ends_its_turns"),
            ("sft_3", "loads_with_transformers"), ("sft_2", "loss_is_finite")} <= checks.keys()  # fmt: skip
    (long_context,), (first,), (second,) = (rows(tuned_lake, table) for table in (LONG_CONTEXT, SFT_1, SFT_2))
    compared, third = rows(tuned_lake, SFT_3)
    assert [row["name"] for row in (first, second, compared, third)] == [
        "laptop-sft-1", "laptop-sft-2", "laptop-sft-3-untruncated", "laptop-sft-3",
    ]  # fmt: skip
    assert [row["parents"] for row in (first, second, compared, third)] == [
        [long_context["id"]], [first["id"]], [second["id"]], [second["id"]],
    ]  # fmt: skip
    assert (first["sources"], first["steps"], second["steps"], third["steps"]) == (["models.long_context"], 8, 4, 2)
    assert [v.partition("@")[0] for v in first["input_versions"]] == [
        "blend.tokenizer", "align.token_shards", "align.sequences", "models.long_context",
    ]  # fmt: skip
    metrics = tuned_lake.read(TRAINING_METRICS).scan().filter(model_id=second["id"]).sort("step").collect()
    assert metrics["step"].to_list() == [1, 2, 3, 4]
    assert set(metrics["categories"].explode()) == {"math", "suite", "tools"}
    folders = [tuned_lake.get_weights(row["uri"]) for row in (first, third)]
    assert all((folder / "chat_template.jinja").exists() and (folder / "tokenizer.json").exists() for folder in folders)

    before = dict(folder_tensors(tuned_lake.get_weights(long_context["uri"])))["lm_head.weight"]
    after = dict(folder_tensors(folders[0]))["lm_head.weight"]
    moved = (before - after).abs().max(1).values
    assert moved[[10, 11, 12]].min() > moved[[5, 6, 7, 8, 9]].max(), "drawn again, besides trained"

    logged = {m.asset_key: m.metadata for m in result.asset_materializations_for_node("models__sft_1")}
    assert "data:image/png;base64," in logged[SFT_1.asset_key]["loss"].value
    assert materialize(tuned_lake, small()).success
    assert [row["id"] for row in rows(tuned_lake, SFT_3)] == [compared["id"], third["id"]], "nothing is trained again"


def test_a_stage_continues_the_model_of_its_own_recipe(tuned_lake):
    """Somebody tunes with another seed meanwhile: stage 2 still continues the stage 1 of its recipe."""
    from nemotron_assets.align.tuning.training import stage

    assert materialize(tuned_lake, small(), TOKEN_SHARDS, SEQUENCES, SFT_1).success
    (own,) = rows(tuned_lake, SFT_1)
    numbers = small().align.tuning.sft_1
    other = numbers.model_copy(update={"training": numbers.training.model_copy(update={"seed": 7})})
    assert materialize(tuned_lake, small(sft_1=other), SFT_1).success
    assert len(rows(tuned_lake, SFT_1)) == 2
    assert stage("sft_2", small(), tuned_lake).identity.parents[0].id == own["id"]
    with pytest.raises(ModelError, match="does not have the model laptop-sft-2 that the recipe"):
        stage("sft_3", small(), tuned_lake)


def test_a_stage_without_conversations_says_what_it_lacks(tuned_lake):
    from nemotron_assets.align.tuning.training import TrainingError, stage

    with pytest.raises(TrainingError, match=r"materialise align/token_shards, align/sequences first"):
        stage("sft_1", small(), tuned_lake)
    tuned_lake.write(CONVERSATIONS, frame([conversation(n, "suite") for n in range(20)]))
    assert materialize(tuned_lake, small(), TOKEN_SHARDS, SEQUENCES, SFT_1, SFT_2).success
    numbers = small().align.tuning.sft_3
    only_cut = numbers.model_copy(update={"chosen": numbers.chosen.model_copy(update={"variants": {"truncated": 1.0}})})
    recipe = small(sft_3=only_cut)
    assert materialize(tuned_lake, recipe, SEQUENCES).success
    with pytest.raises(TrainingError, match=r"no sequences for sft_3, .*align.tuning.sft_3.chosen names \(truncated\)"):
        stage("sft_3", recipe, tuned_lake)


@pytest.mark.faults
def test_kill_9_during_a_stage_neither_loses_nor_repeats_a_step(tuned_lake, tmp_path):
    """The run is killed in stage 1; the next one resumes, and ends with the weights of an undisturbed training."""
    assert materialize(tuned_lake, small(), TOKEN_SHARDS, SEQUENCES).success
    script = (
        "import sys, time\n"
        "from nemotron_assets.training import loop\n"
        "from tests.align.tuning.test_stages import *\n"
        "rate = loop.learning_rate\n"
        "def slowly(*a): time.sleep(0.3); return rate(*a)\n"
        "loop.learning_rate = slowly\n"
        "materialize(Lakehouse(root=sys.argv[1]), small(), SFT_1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, tuned_lake.root], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 180
    while not list((tmp_path / "cache" / "training").glob("*/step-0000000004")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not tuned_lake.read(SFT_1).exists
    assert materialize(tuned_lake, small(), SFT_1).success
    (killed,) = rows(tuned_lake, SFT_1)
    metrics = tuned_lake.read(TRAINING_METRICS).scan().filter(pl.col("model_id") == killed["id"]).sort("step").collect()
    assert metrics["step"].to_list() == list(range(1, 9))
    straight = _trained_alone(tuned_lake, small(), tmp_path)
    assert (killed["sha256"], killed["final_loss"]) == (straight["sha256"], straight["final_loss"])


def _trained_alone(lake: Lakehouse, recipe: Recipe, folder: Path) -> dict:  # noqa: F811
    """The sha256 and the last loss of stage 1, trained in a folder of its own, without an interruption."""
    from nemotron_assets.align.tuning.training import stage
    from nemotron_assets.model.export import add_tokenizer
    from nemotron_assets.training.worker import train_next_token

    plan = stage("sft_1", recipe, lake)
    done = train_next_token({**plan.config, "folder": str(folder / "alone")}, lambda rows: None)
    add_tokenizer(Path(done["weights"]), plan.tokenizer)
    return {"sha256": lake.put_weights(Path(done["weights"]), "alone")[1], "final_loss": done["final_loss"]}
