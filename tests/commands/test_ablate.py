"""Branches of ablations: what two ablations make alike is made once, and what no ablation uses is deleted."""

from __future__ import annotations

import pytest

from nemotron_assets.commands import ablate
from nemotron_assets.evaluate.ablations.sides import Step
from nemotron_assets.recipe import load_recipe


def step(name: str) -> Step:
    return Step(name, "", load_recipe("laptop"), ("models.base",))


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
    return made


def test_equal_steps_are_made_once_and_unused_ones_are_deleted(runs, tmp_path):
    dedup, maths = tmp_path / "dedup", tmp_path / "maths"
    for folder, state in ((dedup, "changed"), (maths, "other")):
        ablate._make(step("unchanged-1"), folder, "same", None)
        ablate._make(step("changed-1"), folder, state, None)
    assert runs == [("dedup", "unchanged-1"), ("dedup", "changed-1"), ("maths", "changed-1")]
    assert (maths / "unchanged-1" / "lake").is_dir(), "a link to the same branch"
    ablate._make(step("changed-1"), maths, "newer", None)
    ablate._make(step("changed-2"), maths, "second seed", None)
    ablate._keep_only(maths, {"unchanged-1", "changed-1"})
    assert {place.name for place in (tmp_path / "_steps").iterdir()} == {"same", "changed", "newer"}
    assert sorted(link.name for link in maths.iterdir()) == ["changed-1", "unchanged-1"]


def test_an_interrupted_step_goes_on(runs, tmp_path):
    with pytest.raises(ablate.AblationError):
        ablate._make(step("broken"), tmp_path / "dedup", "state", None)
    ablate._make(step("unchanged-1"), tmp_path / "dedup", "state", None)
    assert [name for _, name in runs] == ["broken", "unchanged-1"]
