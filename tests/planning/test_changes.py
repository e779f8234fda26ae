"""What a change of the recipe makes stale, and which answers of language models are paid for again."""

import pytest

from nemotron_assets.planning.changes import Node, changed_values, stale
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.load import changed_recipe

GRAPH = {
    "snapshots.pages": Node(("snapshots.pages",), ()),
    "web.documents": Node(("web.documents",), ("snapshots.pages",)),
    "web.annotations": Node(("web.quality.annotations",), ("web.documents",)),
    "web.diverse_qa": Node(("web.diverse_qa",), ("web.annotations",)),
    "code.qa": Node(("code.qa",), ()),
}


@pytest.fixture(scope="module")
def laptop():
    return load_recipe("laptop")


def found(laptop, **values):
    after = changed_recipe(laptop, {key.replace("__", "."): value for key, value in values.items()})
    return {line.asset: line for line in stale(GRAPH, laptop, after)}


def test_changed_values_are_named_with_both_values(laptop):
    after = changed_recipe(laptop, {"compute.workers": 4, "web.quality.annotations.documents": 64})
    assert changed_values(laptop, after) == {"compute.workers": (2, 4), "web.quality.annotations.documents": (32, 64)}
    assert changed_values(laptop, laptop.model_copy(update={"name": "another"})) == {}


def test_what_is_made_from_a_stale_asset_is_stale_and_nothing_else(laptop):
    lines = found(laptop, web__quality__annotations__documents=64)
    assert list(lines) == ["web.annotations", "web.diverse_qa"]
    assert lines["web.annotations"].because == "recipe: web.quality.annotations"
    assert lines["web.diverse_qa"].because == "made from web.annotations" and not lines["web.diverse_qa"].by_recipe
    assert found(laptop, compute__workers=4) == {}
    assert list(found(laptop, snapshots__pages__keep_truncated=True)) == [a for a in GRAPH if a != "code.qa"]


def test_more_documents_pay_for_the_new_ones_only(laptop):
    line = found(laptop, web__quality__annotations__documents=64)["web.annotations"]
    assert line.paid_again == "only the requests that are new"
    new = 32 * 2 * 2  # documents, annotators, tokens of an answer
    assert line.certain.expected == line.again.expected == new
    fewer = found(laptop, web__quality__annotations__documents=16)["web.annotations"]
    assert fewer.paid_again.startswith("none") and fewer.again.expected == 0


def test_a_setting_of_requests_pays_for_all_again(laptop):
    line = found(laptop, web__diverse_qa__temperature=0.7)["web.diverse_qa"]
    assert line.paid_again == "all: web.diverse_qa.temperature is part of every request"
    assert line.certain.expected == line.again.expected > 0


def test_a_value_that_may_change_requests_is_not_taken_for_free(laptop):
    line = found(laptop, code__qa__snippets__max_lines=40)["code.qa"]
    assert line.paid_again.startswith("not known: code.qa.snippets.max_lines may change requests")
    assert line.certain.expected == 0 < line.again.expected
    line = found(laptop, web__quality__annotations__seed=7)["web.annotations"]
    assert line.paid_again.startswith("not known") and line.again.expected > 0
    line = found(laptop, code__qa__batch_snippets=7)["code.qa"]
    assert line.paid_again.startswith("none")


def test_a_changed_input_may_change_prompts_which_is_not_known(laptop):
    line = found(laptop, web__quality__annotations__documents=64)["web.diverse_qa"]
    assert line.paid_again.startswith("not known") and line.certain.expected == 0 < line.again.expected


def test_keys_that_requests_depend_on_exist(laptop):
    from nemotron_assets.planning.plan import estimators

    asking = {asset: estimator.asks for asset, estimator in estimators().items() if estimator.asks}
    assert {"web.annotations", "web.rephrased", "math.mind", "code.qa"} <= set(asking)
    for keys in asking.values():
        for key in keys:
            laptop.section(key)
