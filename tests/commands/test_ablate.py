"""Branches of ablations: what two ablations make alike is made once, what no ablation uses is deleted, and an ablation
whose change makes no difference trains no model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nemotron_assets.commands import ablate
from nemotron_assets.evaluate.ablations.sides import Side, Step
from nemotron_assets.planning.changes import Node
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.ablation import load_ablation
from nemotron_assets.recipe.load import changed_recipe

RECIPE = load_recipe("laptop")
OTHER = changed_recipe(RECIPE, {"train.base.seed": 7})
GRAPH = {"blend.phases": Node(("blend",), ()), "models.base": Node(("train.base",), ("blend.phases",))}


def step(name: str, recipe=RECIPE, after: str = "") -> Step:
    return Step(name, after, recipe, ("models.base",))


@pytest.fixture
def runs(monkeypatch):
    """The steps that were run; one that is called broken fails."""
    made = []

    def run(own, place, folder, jobs):
        assert place.is_dir() and (folder / own.name).resolve() == place.resolve()
        made.append((folder.name, own.name))
        if own.name == "broken":
            raise ablate.AblationError("it was killed")
        (place / "lake").mkdir()

    monkeypatch.setattr(ablate, "_run", run)
    monkeypatch.setattr(ablate, "_versions", lambda names: sorted(f"{name}@1" for name in names))
    return made


def test_equal_steps_are_made_once_and_unused_ones_are_deleted(runs, tmp_path):
    dedup, maths = tmp_path / "dedup", tmp_path / "maths"
    for folder, before in ((dedup, "deduplicated"), (maths, "rendered")):
        same = ablate._make(step("unchanged-1"), folder, GRAPH, "", None)
        ablate._make(step("changed-1"), folder, GRAPH, before, None)
    assert runs == [("dedup", "unchanged-1"), ("dedup", "changed-1"), ("maths", "changed-1")]
    assert (maths / "unchanged-1").resolve().name == same and (maths / "unchanged-1" / "lake").is_dir()
    ablate._make(step("changed-1", OTHER), maths, GRAPH, "rendered", None)
    ablate._make(step("changed-2"), maths, GRAPH, "second seed", None)
    assert len(list((tmp_path / "_steps").iterdir())) == 5
    ablate._keep_only(maths, {"unchanged-1", "changed-1"})
    left = {link.resolve() for link in (*dedup.iterdir(), *maths.iterdir())}
    assert set((tmp_path / "_steps").resolve().iterdir()) == left and len(left) == 3
    assert sorted(link.name for link in maths.iterdir()) == ["changed-1", "unchanged-1"]


def test_an_interrupted_step_goes_on(runs, tmp_path):
    with pytest.raises(ablate.AblationError):
        ablate._make(step("broken"), tmp_path / "dedup", GRAPH, "", None)
    ablate._make(step("unchanged-1"), tmp_path / "dedup", GRAPH, "", None)
    assert [name for _, name in runs] == ["broken", "unchanged-1"]
    assert len(list((tmp_path / "_steps").iterdir())) == 1


@pytest.mark.parametrize(
    ("recipe", "content", "differs"), [(RECIPE, "a", False), (RECIPE, "b", True), (OTHER, "a", True)]
)
def test_a_change_without_a_difference_is_found_before_the_training(monkeypatch, tmp_path, recipe, content, differs):
    """A data set that is left out may be empty. A change of the training itself needs no other tables."""
    ablation = load_ablation("translated_qa")
    both = tuple(
        Side(name, None, {1: step(f"{name}-1", own, name)}) for name, own in (("without", RECIPE), ("having", recipe))
    )
    contents = {tmp_path / "without": "a", tmp_path / "having": content}
    monkeypatch.setattr(
        ablate,
        "_branch",
        lambda place: SimpleNamespace(read=lambda _: SimpleNamespace(content=lambda: contents[place])),
    )
    if differs:
        ablate._check_that_inputs_differ(both, ablation, tmp_path, GRAPH)
    else:
        with pytest.raises(ablate.AblationError, match=r"Translated-Diverse-QA.* makes no difference in this lake"):
            ablate._check_that_inputs_differ(both, ablation, tmp_path, GRAPH)
