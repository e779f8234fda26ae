"""The sweep merges, scores on the same prompts, compares with the worse model, and keeps the best share."""

import dataclasses
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.align.merging import checks, report
from nemotron_assets.align.merging.sweep import MergingError, Sweep, best_alpha, compare
from nemotron_assets.align.merging.tables import ALIGNED, MERGE_SCORES
from nemotron_assets.align.preference.tables import DPO
from nemotron_assets.align.reinforcement.tables import RLHF
from nemotron_assets.model import export
from nemotron_assets.models.registry import newest
from nemotron_assets.training.checkpoint import folder_tensors
from resources.gpu import Gpu
from resources.lakehouse import Lakehouse
from tests.align.stored import prompt, recipe_with, store_model, store_prompts
from tests.model import exported


def test_differences_are_to_the_worse_model_on_the_same_prompts():
    ids = {"verifiable/suite": [f"i{n}" for n in range(20)], "tools/tools": ["t", "u"]}
    right = {0.0: 12, 0.5: 16, 1.0: 8}
    scores = {
        alpha: {f"i{n}": float(n < count) for n in range(20)} | {"t": float(alpha == 0.5), "u": 1.0}
        for alpha, count in right.items()
    }
    scores[0.5]["i19"] = None
    rows = {(row["suite"], row["alpha"]): row for row in compare(ids, scores)}
    own = rows["verifiable/suite", 0.5]
    assert (own["items"], own["unscored"], own["worse_alpha"]) == (9, 1, 1.0)
    assert own["score"] == pytest.approx(8 / 9) and own["difference"] == pytest.approx(4 / 9)
    assert own["choice_score"] == pytest.approx(8 / 10)
    assert own["low"] > 0 and own["item_ids"] == rows["verifiable/suite", 1.0]["item_ids"]
    assert rows["verifiable/suite", 1.0]["difference"] == rows["verifiable/suite", 1.0]["high"] == 0
    with pytest.raises(MergingError, match="of the 2 prompts of tools/tools, answers to 1 could be scored"):
        compare({"tools/tools": ["t", "u"]}, {0.0: {"t": None, "u": 0.0}, 1.0: {"t": 1.0, "u": 1.0}})


@given(st.dictionaries(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.lists(st.booleans(), min_size=12, max_size=12),
                       min_size=5))  # fmt: skip
def test_the_prompts_that_choose_a_share_do_not_judge_it(right):
    """Whatever the answers to the prompts that judge, the choice stays the same."""
    ids = {"a/a": [f"i{number}" for number in range(12)]}
    scores = {alpha: dict(zip(ids["a/a"], map(float, own), strict=True)) for alpha, own in right.items()}
    rows = compare(ids, scores)
    judging = set(rows[0]["item_ids"])
    turned = {
        alpha: {id_: 1 - value if id_ in judging else value for id_, value in own.items()}
        for alpha, own in scores.items()
    }
    again = compare(ids, turned)
    assert len(judging) == 6 and best_alpha(rows, "best_mean") == best_alpha(again, "best_mean")
    assert [row["worse_alpha"] for row in rows] == [row["worse_alpha"] for row in again]
    assert all(one["score"] == pytest.approx(1 - other["score"]) for one, other in zip(rows, again, strict=True))


@pytest.mark.parametrize(
    ("scores", "rule", "expected"),
    [
        ({0.0: (1, 1), 0.25: (0.4, 0.4), 0.75: (0.9, 0.0), 1.0: (1, 1)}, "best_mean", 0.75),
        ({0.25: (0.4, 0.4), 0.75: (0.9, 0.0)}, "best_worst", 0.25),
        ({0.1: (0.5, 0.5), 0.6: (0.5, 0.5), 0.9: (0.5, 0.5)}, "best_mean", 0.6),
        ({0.4: (0.5,), 0.6: (0.5,)}, "best_mean", 0.4),
    ],
)  # fmt: skip
def test_the_rule_picks(scores, rule, expected):
    rows = [{"alpha": alpha, "choice_score": score} for alpha, own in scores.items() for score in own]
    assert best_alpha(rows, rule) == expected


@pytest.fixture(scope="module")
def other_folder(tmp_path_factory, policy_folder):
    """The model of `policy_folder` with other weights and the same tokenizer."""
    folder = tmp_path_factory.mktemp("other") / "model"
    noise = torch.Generator().manual_seed(8)
    moved = {
        name: value + 0.05 * torch.randn(value.shape, generator=noise) for name, value in exported.weights().items()
    }
    export.save(folder, exported.laptop_config(), moved, torch.float32)
    export.add_tokenizer(folder, policy_folder)
    return folder


@pytest.fixture(scope="module")
def lake(policy_folder, other_folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NEMOTRON_HOME", str(root))
        patch.setattr("nemotron_assets.align.merging.sweep.asked_for", lambda models, recipe, lake: newest(models))
        lake = Lakehouse(root=str(root / "lake"), free_disk_mb=0)
        store_model(lake, DPO, policy_folder, "laptop-dpo")
        store_model(lake, RLHF, other_folder, "laptop-rlhf")
        rows = [prompt(n, "verifiable", "held_out", f"say {n}", f"w {n}", "suite") for n in range(4)]
        rows += [prompt(n, "tools", "held_out", f"do {n}", f"v {n}") for n in range(3)]
        rows += [prompt(n, "verifiable", "train", f"say {n}!", f"w {n}", "suite") for n in range(4)]
        store_prompts(lake, rows)
        yield lake


RECIPE = {"alphas": (0.25, 0.5), "max_items": 3, "max_output_tokens": 4, "kinds": ("verifiable", "tools")}


def sweep(lake, run="run", **changed):
    return Sweep(recipe_with(merging=RECIPE | changed), lake, Gpu(), run, lambda line: None)


def test_the_best_merge_becomes_the_aligned_model(lake, policy_folder, other_folder, monkeypatch):
    model, parts = sweep(lake).run()
    lake.write(ALIGNED, parts)
    sides = [newest(lake.read(table)) for table in (DPO, RLHF)]
    assert model["parents"] == [side["id"] for side in sides] and model["sources"] == ["models.dpo", "models.rlhf"]
    rows = lake.read(MERGE_SCORES).scan().collect()
    assert set(rows["alpha"]) == {0.0, 0.25, 0.5, 1.0} and set(rows["suite"]) == {"verifiable/suite", "tools/tools"}
    assert set(rows["items"]) == {1}, "the second of at most max_items of a suite, and only held-out prompts"
    used = rows.filter("is_used")
    assert used["alpha"].unique().to_list() == [model["alpha"]]
    assert json.loads(model["metrics"]) == dict(used.select("suite", "score").iter_rows())
    first, second, merged = (
        dict(folder_tensors(folder)) for folder in (policy_folder, other_folder, lake.get_weights(model["uri"]))
    )
    for name, value in merged.items():
        assert torch.allclose(value, torch.lerp(first[name], second[name], model["alpha"]), atol=1e-6), name
    recipe = recipe_with(merging=RECIPE)
    assert checks.every_share_is_scored_alike(lake, recipe).passed
    assert not checks.every_share_is_scored_alike(lake, recipe_with(merging=RECIPE | {"alphas": (0.3,)})).passed
    assert checks.not_worse_than_the_worse_model(lake).passed
    assert "data:image/png" in report.of_scores(lake.read(MERGE_SCORES).scan())["scores over alpha"].value

    monkeypatch.setattr("nemotron_assets.model.merge.merge", lambda *a: pytest.fail("a finished merge was made again"))
    again, parts = sweep(lake, "run-2").run()
    assert again["id"] == model["id"] and not list(parts.parts)


def test_what_verifiers_allow_decides_the_scores(lake):
    one = sweep(lake)
    grading = one.recipe.grading.model_copy(update={"max_characters": one.recipe.grading.max_characters + 1})
    other = dataclasses.replace(one, recipe=one.recipe.model_copy(update={"grading": grading}))
    sides = [{"id": "a" * 32, "sha256": "a"}, {"id": "b" * 32, "sha256": "b"}]
    assert one._part(sides).fingerprint == sweep(lake)._part(sides).fingerprint != other._part(sides).fingerprint


def test_nothing_to_score_is_an_error(lake):
    with pytest.raises(MergingError, match=r"no two held-out prompts .* of the kinds instructions"):
        sweep(lake, kinds=("instructions",)).run()
