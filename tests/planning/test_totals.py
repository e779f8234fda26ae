"""Derived totals: each within a factor of two of the published one or explained, and none made from itself."""

import pytest

from nemotron_assets.planning.figures import Figure, derived_from
from nemotron_assets.planning.plan import Plan
from nemotron_assets.planning.sources import inputs
from nemotron_assets.planning.totals import FACTOR, compare
from nemotron_assets.recipe import load_recipe


@pytest.fixture(scope="module")
def compared():
    return compare(Plan(load_recipe("nano2")))


def test_every_total_is_derived_and_close_to_the_published_one_or_explained(compared):
    assert len(compared) >= 15
    for line in compared:
        assert isinstance(line.derived, Figure), f"{line.name}: {line.derived}"
        assert line.is_close or len(line.why) > 40, f"{line.name} differs by a factor of {line.ratio:.2f}: explain it"
        assert line.source


def test_most_totals_are_close(compared):
    assert sum(line.is_close for line in compared) >= 0.75 * len(compared)
    assert {line.name for line in compared if line.is_close} >= {
        "english crawl, real (tokens)", "english crawl, synthetic (tokens)", "Diverse QA (tokens)",
        "CC-Math, 3+ (tokens)", "CC-Math, 4+ (tokens)", "curated code (tokens)", "training compute (FLOPs)",
        "SFT, mathematics (tokens)", "SFT, code (tokens)", "SFT, general (tokens)", "SFT, MMLU style (tokens)",
    }  # fmt: skip


def test_no_total_is_among_its_own_inputs(compared):
    """Neither by name, nor in the disguise of an input with the same number."""
    names = set(inputs()["totals"])
    for line in compared:
        used = derived_from(line.derived)
        assert used, line.name
        assert not names & {figure.name for figure in used}, line.name
        for figure in used:
            ratio = figure.expected / line.published
            assert not 0.995 < ratio < 1.005, f"{line.name} is derived from {figure.name}, which is the total itself"


def test_a_total_that_differs_much_is_not_called_close():
    plan = Plan(load_recipe("nano2"))
    line = compare(plan)[0]
    assert line.is_close and 1 / FACTOR <= line.ratio <= FACTOR
    far = type(line)(line.name, line.asset, line.derived * 3, line.published, line.source, "")
    assert not far.is_close
