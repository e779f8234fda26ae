"""The rounds of DPO on a small model: pairs come from the policy of the round before, and nothing is done twice."""

import json

import polars as pl
import pytest

from nemotron_assets.align.preference import checks, report, training
from nemotron_assets.align.preference.tables import DPO, PREFERENCES
from nemotron_assets.align.preference.training import rounds as planned
from nemotron_assets.align.reinforcement.tables import IFEVAL_RL
from nemotron_assets.models.registry import ModelError, newest, newest_of_each_name
from nemotron_assets.models.tables import TRAINING_METRICS
from nemotron_assets.training.metrics import stored
from nemotron_assets.training.plan import TrainingError
from resources.generations import GENERATIONS
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.align.stored import prompt, recipe_with, store_model, store_prompts

SAMPLING = {"prompt_kinds": ["tools"], "prompts": 6, "held_out_prompts": 2, "samples": 2, "max_output_tokens": 6,
            "min_margin": 0.5, "reference_positives": True}  # fmt: skip


def recipe(**tools):
    from nemotron_assets.recipe import load_recipe

    own = load_recipe("laptop").align.preference.model_dump()
    dpo = own["dpo"] | {"batch_pairs": 2, "micro_batch_pairs": 2, "max_tokens": 96, "peak_lr": 2e-3}
    return recipe_with(
        preference={
            "rounds": 2,
            "tools": SAMPLING | tools,
            "preference": SAMPLING | {"prompts": 3, "prompt_kinds": ["preference"]},
            "dpo": dpo,
        }
    )


@pytest.fixture(scope="module")
def lake(policy_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(root))
        patch.setattr(
            "nemotron_assets.align.preference.training.asked_for", lambda models, recipe, lake: newest(models)
        )
        lake = Lakehouse(root=str(root / "lake"), free_disk_mb=0)
        store_model(lake, IFEVAL_RL, policy_folder, "laptop-ifeval-rl")
        rows = [prompt(n, kind, "train", f"say {n}", f"w {n}") for n in range(9) for kind in ("tools", "preference")]
        rows += [
            prompt(n, kind, "held_out", f"say {n}!", f"v {n}") for n in range(3) for kind in ("tools", "preference")
        ]
        store_prompts(lake, rows)
        yield lake


@pytest.fixture(scope="module")
def done(lake):
    rounds = planned(recipe(), lake, Gpu(), "run-1", lambda line: None)
    models, parts = rounds.run()
    lake.write(DPO, parts)
    return rounds, models


def test_each_round_learns_from_the_policy_before_it(lake, done):
    _, models = done
    start = newest(lake.read(IFEVAL_RL))
    assert [model["parents"] for model in models] == [[start["id"]], [models[0]["id"]]]
    assert [model["sources"] for model in models] == [["models.ifeval_rl"], ["models.dpo"]]
    assert [row["id"] for row in newest_of_each_name(lake.read(DPO))] == [models[1]["id"]], "the last round is in use"
    pairs = lake.read(PREFERENCES).scan().collect()
    policies = {(kind, number): set(rows["model_id"]) for (kind, number), rows in pairs.group_by("kind", "round")}
    assert policies == {
        ("tools", 1): {start["id"]}, ("tools", 2): {models[0]["id"]}, ("preference", 2): {models[1]["id"]},
    }  # fmt: skip
    first, second = (
        set(pairs.filter(kind="tools", round=n, split="train").explode("parents")["parents"]) for n in (1, 2)
    )
    assert len(first) == len(second) == 6 and first != second, "the second round asks other prompts first"
    held_out = [
        set(pairs.filter(kind="tools", round=n, split="held_out").explode("parents")["parents"]) for n in (1, 2)
    ]
    assert held_out[0] == held_out[1] and len(held_out[0]) == 2


def test_pairs_are_what_they_say(lake, done, monkeypatch):
    pairs = lake.read(PREFERENCES).scan().collect()
    answers = dict(lake.read(GENERATIONS).scan().select("id", "text").collect().iter_rows())
    assert set(pairs["labelled_by"]) == {"exact"}
    assert set(pairs.filter(round=1)["chosen_from"]) == {"reference"}, "random weights are never right"
    for row in pairs.iter_rows(named=True):
        sampled = [row["chosen"], row["rejected"]] if row["chosen_from"] == "sample" else [row["rejected"]]
        assert [answers[generation] for generation in row["generation_ids"]] == sampled
        assert (row["right_samples"] > 0) == (row["chosen_from"] == "sample")
        assert row["chosen"].strip() and row["chosen_tokens"][-1] == 12
        assert row["margin"] == row["chosen_score"] - row["rejected_score"] == 1
    assert checks.pairs_are_sound(lake, recipe()).passed
    strict = recipe(reference_positives=False)
    assert not checks.pairs_are_sound(lake, strict).passed, "the recipe allows no reference"


def test_what_the_training_showed_is_stored_and_checked(lake, done):
    rounds, models = done
    for number, model in enumerate(models, 1):
        rows = stored(lake, model["id"], TRAINING_METRICS)
        assert rows["step"].to_list() == list(range(1, model["steps"] + 1)) and set(rows["phase"]) == {
            f"round-{number}"
        }
        found = json.loads(model["metrics"])
        assert (found["round"], found["pairs"], found["held_out_pairs"]) == (number, 6, 2)
        assert found["held_out_accuracy"] in (0, 0.5, 1)
    result = checks.loss_is_finite_and_margins_rose(lake)
    assert result.passed, result.metadata
    assert checks.held_out_pairs_are_told_apart(lake).metadata["pairs"].value == 6
    shown = report.of_pairs(lake.read(PREFERENCES).scan(), rounds.made)
    assert "| tools" in shown["pairs"].value and len(report.of_rounds(models).value) == 2
    assert "pair_with_reference" in shown["prompts"]


def test_a_second_run_asks_and_trains_nothing(lake, done, monkeypatch):
    _, models = done
    assert training.dpo(recipe(), lake).id == models[1]["id"], "a later stage finds the model of the last round"
    before = lake.read(PREFERENCES).version
    monkeypatch.setattr(Gpu, "train", lambda *arguments: pytest.fail("a finished round was trained again"))
    monkeypatch.setattr(
        "nemotron_assets.rollouts.opening.open_policy", lambda *a: pytest.fail("a policy was asked again")
    )
    again = planned(recipe(), lake, Gpu(), "run-2", lambda line: None)
    found, parts = again.run()
    assert [row["id"] for row in found] == [row["id"] for row in models] and not list(parts.parts)
    assert lake.read(PREFERENCES).version == before and not again.made


def test_what_verifiers_allow_decides_the_pairs(lake, done):
    def fingerprint(of):
        rounds = planned(of, lake, Gpu(), "run-2", lambda line: None)
        return rounds._part(of.align.preference.tools, "tools", 1, newest(lake.read(IFEVAL_RL))).fingerprint

    grading = recipe().grading.model_copy(update={"max_characters": recipe().grading.max_characters + 1})
    assert (
        fingerprint(recipe()) == fingerprint(recipe()) != fingerprint(recipe().model_copy(update={"grading": grading}))
    )


def test_a_round_without_pairs_stops_and_says_what_to_do(lake, done):
    other = recipe(reference_positives=False)
    with pytest.raises(ModelError, match=r"models\.dpo has no version .*materialise models/dpo first"):
        training.dpo(other, lake)
    rounds = planned(other, lake, Gpu(), "run-3", lambda line: None)
    with pytest.raises(TrainingError, match=r"round 1 of DPO has no pairs.*'all_wrong': 8.*raise .*samples"):
        rounds.run()


def test_a_training_whose_margins_fell_or_whose_loss_is_no_number_is_found(lake, done, monkeypatch):
    rows = stored(lake, done[1][-1]["id"], TRAINING_METRICS)
    at = [list(names).index("rewards/margins") for names in rows["measures"]]
    for margins, losses, passed in (
        ([0.0, 0.1, 0.2, 0.3], [0.7] * 4, True),
        ([0.3, 0.1, 0.0, -0.3], [0.7] * 4, False),
        ([0.0, 0.1, 0.2, 0.3], [0.7, float("nan"), 0.6, 0.6], False),
        ([0.3, 0.1], [0.7] * 2, True),
    ):
        made = rows.head(len(margins))
        values = [[*v[: at[0]], margin, *v[at[0] + 1 :]] for v, margin in zip(made["measured"], margins, strict=True)]
        made = made.with_columns(
            pl.Series("measured", values, made["measured"].dtype), pl.Series("loss", losses, pl.Float64)
        )
        monkeypatch.setattr("nemotron_assets.training.metrics.stored", lambda *arguments, made=made: made)
        assert checks.loss_is_finite_and_margins_rose(lake).passed is passed, (margins, losses)
