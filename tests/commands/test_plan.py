"""`nemotron plan`: its tables, its explanations, and the cost of a change."""

import pytest

from nemotron_assets.commands.plan import (
    assets,
    plan_command,
    print_changes,
    print_comparison,
    print_derivations,
    print_plan,
)
from nemotron_assets.commands.selection import SelectionError
from nemotron_assets.planning.plan import Plan
from nemotron_assets.planning.totals import compare
from nemotron_assets.recipe import RecipeError, load_recipe

LAPTOP = load_recipe("laptop")


def test_a_plan_has_every_selected_asset_its_groups_and_the_total(capsys):
    print_plan(Plan(LAPTOP), assets("group:pretrain or web/documents"))
    printed = capsys.readouterr().out
    for word in ("models.base", "models.training_metrics", "web.documents", "web.extraction", "pretrain", "all"):
        assert word in printed
    assert "math." not in printed and "not known" not in printed and "LLM tokens" not in printed
    with pytest.raises(SelectionError, match="web/documents"):
        assets("web/documentz")


def test_a_plan_with_unique_documents_ends_with_a_projection_to_a_crawl(capsys):
    print_plan(Plan(LAPTOP), assets("web/unique_documents"))
    printed = capsys.readouterr().out
    assert "Deduplicating 6B documents of 99 snapshots takes" in printed and "nodes of 64 cores for 24 hours" in printed
    assert "earlier documents" in printed and " TB" in printed


def test_what_is_not_known_is_listed_with_the_assets_it_concerns(capsys):
    print_plan(Plan(LAPTOP), [("links.counts", "links"), ("models.base", "pretrain")])
    printed = capsys.readouterr().out
    assert "not known: no estimate: links.counts has no estimator in nemotron_assets/planning: links.counts" in printed
    assert "+ ?" in printed, "the sum says that a part is missing"


def test_every_figure_is_explained_down_to_its_sources(capsys):
    print_derivations(Plan(load_recipe("nano2")), ["web.diverse_qa"])
    printed = capsys.readouterr().out
    assert "web.v1.high = 5.53e+11: Nemotron-CC §2.2" in printed and "recipe nano2" in printed


def test_the_comparison_explains_large_differences(capsys):
    print_comparison(compare(Plan(load_recipe("nano2"))))
    printed = capsys.readouterr().out
    assert "3.36T" in printed and "translated Diverse QA (tokens): The recipe translates every" in printed
    assert "not explained" not in printed


def test_the_comparison_needs_the_published_sources():
    import click

    with pytest.raises(click.UsageError, match="add --recipe nano2"):
        plan_command(None, explain=False, comparing=True, change=(), against=None)


def test_a_change_lists_stale_assets_and_what_is_paid_again(capsys):
    print_changes(None, ("web.quality.annotations.documents=64",), None)
    printed = capsys.readouterr().out
    assert "web.quality.annotations.documents: 32 -> 64" in printed
    assert "recipe: web.quality.annotations" in printed and "models.base" in printed and "code.curated" not in printed
    assert "web.annotations: answers to pay again: only the requests that are new; 128 tokens" in printed


def test_a_change_that_makes_nothing_stale_and_a_change_that_is_none(capsys):
    print_changes(None, ("compute.workers=7",), None)
    assert "No asset becomes stale" in capsys.readouterr().out
    print_changes(None, ("compute.workers=2",), None)
    assert "no value changes" in capsys.readouterr().out


def test_a_wrong_change_names_the_key():
    with pytest.raises(RecipeError, match=r"annotatons: unknown key; did you mean annotations\?"):
        print_changes(None, ("web.quality.annotatons.documents=64",), None)
    with pytest.raises(RecipeError, match="write KEY=VALUE"):
        print_changes(None, ("web.quality.annotations.documents",), None)


def test_another_recipe_is_compared_with_the_one_in_force(tmp_path, capsys):
    other = tmp_path / "other.yaml"
    other.write_text("extends: laptop\nevaluate: {max_items: 7}\n")
    print_changes(None, (), str(other))
    printed = capsys.readouterr().out
    assert "evaluate.max_items: 40 -> 7" in printed and "evaluate.benchmark_scores" in printed
    assert "models.base" not in printed


@pytest.mark.parametrize(
    ("selection", "asked"),
    [
        (None, {"comparing": True, "explain": True}),
        (None, {"explain": True, "change": ("compute.workers=7",)}),
        (None, {"comparing": True, "against": "nano2"}),
        ("web/curated", {"comparing": True}),
    ],
)
def test_what_cannot_be_shown_together_is_refused(selection, asked):
    import click

    nothing = {"explain": False, "comparing": False, "change": (), "against": None}
    with pytest.raises(click.UsageError, match=r"give one of them|leave 'web/curated' out"):
        plan_command(selection, **nothing | asked)


def test_a_change_to_a_table_that_does_not_exist_is_refused():
    with pytest.raises(RecipeError, match=r"sft\.release\.unverified names sft\.nosuch"):
        print_changes(None, ["sft.release.unverified=[sft.nosuch]"], None)
