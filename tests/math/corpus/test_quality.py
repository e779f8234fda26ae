"""Scores, the audit of formulas, and the struct of the published columns."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from nemotron_assets.export.shards import nested, nested_schema
from nemotron_assets.math.corpus import quality
from nemotron_assets.math.corpus.audit import parses
from nemotron_assets.recipe import load_recipe

TEACHES = (
    "Let $n$ be an even number. We show that its square is even, because $n = 2k$ for some $k$ by definition. "
    "Hence $n^2 = 4k^2 = 2 (2k^2)$, and therefore the square is twice a number, which proves the theorem."
)
SELLS = "Our shop sells calculators and rulers. Delivery is free for orders above twenty, and returns are easy."


def test_the_crop_is_the_middle():
    assert quality.crop("abcdefghij", 2) == "defg" and quality.crop("abc", 10) == "abc"


def test_the_rubric_prefers_what_teaches():
    assert 0 <= quality.rubric(SELLS) < quality.rubric(TEACHES) <= 5
    assert 0 <= quality.rubric("") <= 5


def test_scores_that_are_not_finite_are_rejected():
    rejects = []
    scored = pl.DataFrame({"id": ["a", "b"], "score": [3.5, float("nan")], "edu_score": [0.4, 1.0]})
    (row,) = quality.quality_rows([scored], "S", "m", rejects.append).to_dicts()
    assert (row["parents"], row["int_score"], row["edu_int_score"]) == (["a"], 4, 0)
    assert [(r.row_id, r.cause) for r in rejects] == [("b", "score_not_finite")]


@pytest.mark.parametrize(
    "constant", ["nemotron_assets.scorers.TRAINING_CODE", "nemotron_assets.math.corpus.SCORER_CODE"]
)
def test_another_training_code_is_another_scorer(monkeypatch, constant):
    recipe = load_recipe("laptop").math.corpus.quality
    before = quality.identity(recipe)
    monkeypatch.setattr(constant, "2")
    assert quality.identity(recipe) != before


def test_a_scorer_follows_from_the_recipe_alone():
    recipe = load_recipe("laptop").math.corpus.quality
    assert quality.identity(recipe) == quality.identity(recipe.model_copy(update={"batch_rows": 1}))
    assert quality.identity(recipe) != quality.identity(recipe.model_copy(update={"version": 2}))


@pytest.mark.parametrize(
    ("formula", "good"),
    [
        ("x^{2}", True), (r"\frac{a}{b", False), (r"\left( x \right]", True), (r"\left( x", False), ("a}b{", False),
        (r"\begin{cases} a \\ b \end{cases}", True), (r"\begin{cases} a \end{matrix}", False), (r"\{ a", True),
        (r"\text{if $x$}", True), ("a$b", False), ("a\\", False),
    ],
)  # fmt: skip
def test_what_parses(formula, good):
    assert parses(formula) is good


def test_columns_become_fields_of_a_struct():
    rows = pa.table({"id": ["a"], "category": ["3"], "models_used": [["m"]], "text": ["t"]})
    structs = {"metadata": ("category", "models_used")}
    schema = nested_schema(rows.schema, structs)
    assert schema.names == ["id", "metadata", "text"]
    made = nested(rows, schema, structs).to_pylist()
    assert made == [{"id": "a", "metadata": {"category": "3", "models_used": ["m"]}, "text": "t"}]
    assert nested(rows, nested_schema(rows.schema, {}), {}) is rows
