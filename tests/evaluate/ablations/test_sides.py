"""What each side of an ablation makes again, and what it reads from the lake."""

from __future__ import annotations

import pytest

from nemotron_assets.evaluate.ablations.sides import sides
from nemotron_assets.planning.changes import Node
from nemotron_assets.recipe import RecipeError, load_recipe
from nemotron_assets.recipe.ablation import Ablation, built_in, load_ablation

#: documents -> duplicates -> kept -> tokens -> models.base, with a dialogue and a tokenizer beside.
GRAPH = {
    "web.documents": Node(("web.documents",), ()),
    "web.duplicates": Node(("web.dedup.enabled",), ("web.documents",)),
    "web.unique": Node((), ("web.documents", "web.duplicates")),
    "web.rephrased": Node((), ("web.unique",)),
    "blend.tokenizer": Node((), ("web.unique",)),
    "blend.tokens": Node((), ("web.unique", "web.rephrased", "blend.tokenizer")),
    "blend.phases": Node(("train.base.tokens",), ("blend.tokens",)),
    "models.base": Node(("train.base",), ("blend.phases", "blend.tokens")),
    "evaluate.scores": Node((), ("models.base",)),
}
WITHOUT_DEDUP = {
    "name": "dedup", "question": "Does it matter whether texts are different?", "change": {"web.dedup.enabled": False},
    "model": "models.base", "training": "train.base", "tokens": 1024, "seeds": (7, 8), "measures": ("texts",),
    "keep": ("web.rephrased", "blend.tokenizer"),
}  # fmt: skip


def test_a_side_makes_only_what_its_values_concern():
    recipe = load_recipe("laptop")
    unchanged, changed = sides(Ablation(**WITHOUT_DEDUP), recipe, GRAPH)
    assert unchanged.data.assets == ("blend.phases",), "another number of tokens"
    assert changed.data.assets == ("web.duplicates", "web.unique", "blend.tokens", "blend.phases")
    for side in (unchanged, changed):
        assert [step.after for step in side.models.values()] == [side.data.name] * 2
        for seed, step in side.models.items():
            assert step.assets == ("models.base",)
            assert (step.recipe.train.base.seed, step.recipe.train.base.tokens) == (seed, 1024)
    pairs = zip(unchanged.models.values(), changed.models.values(), strict=True)
    assert all(first.recipe.with_sections({"web.dedup.enabled": False}) == second.recipe for first, second in pairs)
    assert {step.recipe.web.dedup.enabled for step in unchanged.steps()} == {True}


def test_a_side_without_data_of_its_own_reads_all_of_it_from_the_lake():
    recipe = load_recipe("laptop")
    tokens = recipe.train.base.tokens
    unchanged, _ = sides(Ablation(**{**WITHOUT_DEDUP, "tokens": tokens}), recipe, GRAPH)
    assert unchanged.data is None
    assert [step.after for step in unchanged.steps()] == ["", ""]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"change": {"web.dedup.enabeld": False}}, "did you mean enabled"),
        ({"change": {"web.translation.attempts": 3}}, "changes nothing that models.base is made from"),
        ({"model": "models.nothing"}, "models.nothing is not a table of models"),
        ({"training": "train.long_context"}, "does not decide models.base"),
        ({"keep": ("web.nothing",)}, "keep names web.nothing"),
        ({"keep": ("web.duplicates",)}, "both sides would be the same"),
    ],
)
def test_an_ablation_that_cannot_tell_anything_is_refused(values, words):
    with pytest.raises(RecipeError, match=words):
        sides(Ablation(**{**WITHOUT_DEDUP, **values}), load_recipe("laptop"), GRAPH)


def test_the_ablations_of_the_project_fit_the_graph_and_both_recipes():
    from nemotron_assets.commands.plan import asset_nodes

    graph = asset_nodes()
    assert built_in() == ["dedup", "math_text", "translated_qa", "truncated_traces"]
    for name in built_in():
        ablation = load_ablation(name)
        assert ablation.name == name
        for recipe in ("laptop", "nano2"):
            unchanged, changed = sides(ablation, load_recipe(recipe), graph)
            assert set(unchanged.data.assets if unchanged.data else ()) <= set(changed.data.assets)
            made = {asset for step in changed.steps() for asset in step.assets}
            assert ablation.model in made and not made & set(ablation.keep)
            assert not {asset for asset in made if asset.startswith(("snapshots.", "web.documents"))}


@pytest.mark.parametrize(
    ("text", "words"),
    [("- a", "is not a mapping"), ("name: A B", "name: "), ("name: a\nname: b", "stands twice")],
)
def test_a_wrong_file_is_named_with_its_values(tmp_path, text, words):
    (file := tmp_path / "own.yaml").write_text(text)
    with pytest.raises(RecipeError, match=words) as error:
        load_ablation(str(file))
    assert "own.yaml" in str(error.value)


def test_a_file_that_does_not_exist_names_those_that_do():
    with pytest.raises(RecipeError, match="one of: dedup, math_text"):
        load_ablation("deduplication")
