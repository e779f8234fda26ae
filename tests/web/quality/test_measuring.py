"""What the rules judge: prose, and code only if the recipe says so."""

import polars as pl

from nemotron_assets.recipe import load_recipe
from nemotron_assets.text.heuristics import measure
from nemotron_assets.web.quality.measuring import judged_texts

TEXT = "The loop ends here.\n\n```python\nfor x in y:\n    f(x)\n    g(x)\n```\n\nIt has two calls."


def unended(recipe: str) -> float:
    """The share of unended lines that a recipe finds in `TEXT`."""
    strings = load_recipe(recipe).web.measures
    texts = judged_texts(pl.Series("text", [TEXT]), strings)
    return measure(texts.to_arrow(compat_level=pl.CompatLevel.oldest()), strings)["unended_line_share"].item()


def test_lines_of_code_are_no_unended_sentences_where_the_recipe_leaves_code_out():
    assert unended("nano2") > 0.7
    assert unended("laptop") == 0.0
