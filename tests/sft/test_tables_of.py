"""The recipe may name only tables of SFT data: other names are refused before anything runs."""

from __future__ import annotations

import pytest

from nemotron_assets.recipe import RecipeError, load_recipe
from nemotron_assets.sft.tables_of import check_names


@pytest.mark.parametrize("recipe", ["laptop", "nano2"])
def test_the_tables_that_the_recipes_name_exist(recipe):
    check_names(load_recipe(recipe).sft)


def test_another_name_is_refused_with_the_names_that_exist():
    recipe = load_recipe("laptop")
    wrong = recipe.with_sections({"sft.release.unverified": ["sft.math_sft", "sft.genral_sft"]})
    with pytest.raises(
        RecipeError, match=r"release\.unverified names sft\.genral_sft, .*the tables are sft\.academic_qa"
    ):
        check_names(wrong.sft)
    # A translation is not translated again.
    wrong = recipe.with_sections({"sft.multilingual.sources": {"sft.multilingual_sft": None}})
    with pytest.raises(RecipeError, match=r"multilingual\.sources names sft\.multilingual_sft"):
        check_names(wrong.sft)
