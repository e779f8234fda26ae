"""The trainings in a lake: policies and reward model are stored with their rollouts, and the checks read them."""

import json

import dagster as dg
import polars as pl
import pytest

from nemotron_assets.align.conversations.tables import PROMPTS
from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.align.reinforcement import assets, checks, training
from nemotron_assets.align.reinforcement.audit import regrade, regraded, with_prompts
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL, REWARD_MODEL, RLHF, ROLLOUTS
from nemotron_assets.align.tuning.tables import SFT_3
from nemotron_assets.models.registry import newest
from nemotron_assets.recipe import load_recipe
from nemotron_assets.training.metrics import stored
from nemotron_assets.training.plan import TrainingError, train
from nemotron_assets.training.preference.columns import PREFERENCE
from nemotron_assets.training.reinforcement import audit, report
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.align.reinforcement.test_reward import _row
from tests.align.stored import prompt, recipe_with, store_model, store_prompts
from tests.training.reinforcement.training_run import RUN

GRPO = RUN.model_dump() | {"steps": 2, "both_ways": False}


def recipe(**changes):
    own = load_recipe("laptop").align.reinforcement.model_dump()
    reward = own["reward_model"] | {"batch_pairs": 4, "micro_batch": 4, "epochs": 1}
    return recipe_with(
        reinforcement={"ifeval_rl": GRPO | changes, "reward_model": reward, "rlhf": GRPO | {"both_ways": True}}
    )


@pytest.fixture(scope="module")
def lake(policy_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(root))
        patch.setattr(training, "asked_for", lambda models, recipe, lake: newest(models))
        lake = Lakehouse(root=str(root / "lake"), free_disk_mb=0)
        for table in (SFT_3, DPO):
            store_model(lake, table, policy_folder, f"laptop-{table.name}")
        rows = [prompt(n, "verifiable", "train", f"say {n}", f"{n}") for n in range(6)]
        store_prompts(lake, rows + [prompt(n, "verifiable", "held_out", f"say {n}!", f"{n}") for n in range(3)])
        pairs = [
            _row(n, split="train" if n < 8 else "held_out", prompt_tokens=[40, 41 + n], chosen_tokens=[50, 12],
                 rejected_tokens=[60, 12])
            for n in range(12)
        ]  # fmt: skip
        lake.append(PREFERENCES, pl.DataFrame(pairs, schema=PREFERENCES.empty().schema), run_id="")
        yield lake


@pytest.fixture(scope="module")
def rows(lake):
    """The rows of the three models, which are trained in their order."""
    found = {}
    for table in (IFEVAL_RL, REWARD_MODEL, RLHF):
        plan = training.PLANS[table.full_name](recipe(), lake)
        row, parts = train(plan, lake, Gpu(), "run-1", lambda line: None)
        lake.write(table, parts)
        found[table.name] = row
    return found


def test_models_are_stored_with_parents_metrics_and_rollouts(lake, rows):
    sft_3, dpo = (newest(lake.read(table))["id"] for table in (SFT_3, DPO))
    assert rows["ifeval_rl"]["parents"] == [sft_3] == rows["reward_model"]["parents"]
    assert rows["rlhf"]["parents"] == [dpo, rows["reward_model"]["id"]]
    assert rows["rlhf"]["sources"] == ["models.dpo", "models.reward_model"]
    assert rows["reward_model"]["held_out_pairs"] == 4 and 0 <= rows["reward_model"]["held_out_accuracy"] <= 1
    for name in ("ifeval_rl", "rlhf"):
        assert stored(lake, rows[name]["id"]).height == 2
        own = lake.read(ROLLOUTS).scan().filter(pl.col("model_id") == rows[name]["id"]).collect()
        assert own.group_by("split", "step").len().sort("split", "step").rows() == [
            ("held_out", 0, 3), ("held_out", 2, 3), ("train", 1, 16), ("train", 2, 16)
        ]  # fmt: skip
        assert set(own["stage"]) == {name} and set(own["engine"]) == {"transformers"}
        ledger = lake.read(GENERATIONS).scan().select("id", "tokens", "text").collect()
        joined = own.join(ledger, left_on="generation_id", right_on="id")
        assert joined.height == own.height and (joined["completion"] == joined["text"]).all()
        assert joined["tokens"].to_list() == joined["tokens_right"].to_list()
    said = lake.read(ROLLOUTS).scan().filter(pl.col("stage") == "rlhf").collect()
    judged = [json.loads(text)["reward_model"] for text in said["rewards"]]
    assert {one["id"] for one in judged} == {rows["reward_model"]["id"]}
    assert said["reward"].to_list() == pytest.approx([one["value"] for one in judged])


def test_rewards_are_given_again_without_generating_anything(lake, rows):
    before = lake.read(GENERATIONS).rows
    found = regrade(lake, recipe())
    assert found == {"rollouts": 2 * 16 + 2 * 3, "different": 0, "examples": "[]"}
    assert lake.read(GENERATIONS).rows == before
    changed = with_prompts(lake, "ifeval_rl", 1)
    right = changed[0] | {"completion": changed[0]["reference"], "finish_reason": "stop", "reward": 0.0}
    found = [again for _, again in regraded([right, right | {"finish_reason": "length"}], recipe())]
    assert found == [1.0, 0.0], "a stored reward that does not hold is found, and a cut answer is wrong"


def test_checks_and_report_read_the_rollouts(lake, rows):
    again = checks.rewards_are_given_again(lake, recipe())
    assert again.passed and again.metadata["rollouts"].value == 38
    for accuracy in (0.5, 0.75, None):
        judge = {"held_out_accuracy": accuracy, "held_out_pairs": 4}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("nemotron_assets.models.registry.newest", lambda models, judge=judge: judge)
            assert checks.judges_better_than_chance(lake).passed == (accuracy == 0.75)
    agree, _, holds, _ = checks.CHECKS[2:6]
    assert agree(lake, recipe()).passed and not agree(lake, recipe(most_disagreement=1e-30)).passed
    assert holds(lake).metadata["items"].value == 3
    for table in (IFEVAL_RL, RLHF):
        model = rows[table.name]["id"]
        scan = lake.read(ROLLOUTS).scan()
        found = audit.disagreement(scan, model)
        assert found["mean"] < 1e-4 and found["tokens"] > 0
        assert audit.disagreement(scan, "other") == {"mean": 0.0, "largest": 0.0, "tokens": 0}
        assert audit.held_out(scan, model).items == 3 and audit.held_out(scan, "other") is None
        shown = report.of_rollouts(scan, model)
        assert {"rewards", "held_out_p", "sampler_against_trainer_mean"} <= shown.keys()


def test_what_decides_a_model_and_what_is_missing(lake, rows, tmp_path):
    same, other = training.ifeval_rl(recipe(micro_batch=16), lake), training.ifeval_rl(recipe(clip_high=0.3), lake)
    assert same.id == rows["ifeval_rl"]["id"] != other.id
    empty = Lakehouse(root=str(tmp_path / "lake"), free_disk_mb=0)
    with pytest.raises(TrainingError, match="materialise align/prompts first"):
        training.ifeval_rl(recipe(), empty)
    pairs = lake.read(PREFERENCES).scan().filter(pl.col("kind") == PREFERENCE).collect()
    empty.append(PREFERENCES, pairs.with_columns(kind=pl.lit("tools")), run_id="")
    for table in (SFT_3,):
        store_model(empty, table, lake.get_weights(newest(lake.read(table))["uri"]), "laptop-sft-3")
    with pytest.raises(TrainingError, match="no pairs of the kind preference"):
        training.reward_model(recipe(), empty)


def test_dagster_finds_the_models_and_runs_the_checks(lake, rows):
    assets_of = [*assets.ASSETS, *checks.CHECKS]
    sources = [dg.AssetSpec(table.asset_key) for table in (SFT_3, DPO, PROMPTS, PREFERENCES)]
    resources = {"recipe": recipe(), "lake": lake, "gpu": Gpu(), "io_manager": lake}
    before = lake.read(GENERATIONS).rows
    result = dg.materialize([*assets_of, *sources], resources=resources, raise_on_error=False)
    made = {event.asset_key.to_user_string(): event for event in result.get_asset_materialization_events()}
    assert {"models/ifeval_rl", "models/reward_model", "models/rlhf", "align/rollouts"} <= made.keys()
    assert lake.read(GENERATIONS).rows == before, "models that the lake holds are not trained again"
    metadata = made["models/ifeval_rl"].step_materialization_data.materialization.metadata
    assert {"rewards", "rollouts_last_step", "held_out_p", "loss"} <= metadata.keys()
    found = {(e.asset_key.to_user_string(), e.check_name): e.passed for e in result.get_asset_check_evaluations()}
    names = ("loads_with_transformers", "sampler_and_trainer_agree")
    assert all(found[model, name] for model in ("models/ifeval_rl", "models/rlhf") for name in names)
    assert found["models/ifeval_rl", "rewards_are_given_again"]
