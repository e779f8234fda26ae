"""Scoring: which formulas are the same, how occurrences count, and which formulas are found in a text."""

from __future__ import annotations

import pytest

from nemotron_assets.math import tex
from nemotron_assets.math.scoring import score_page, score_words, total


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac12", r"\frac{1}{2}"), (r"x^{2}_i", r"x_{i}^2"), (r"a \le b", r"a\leq b"), (r"\left( x \right)", "(x)"),
        (r"f'_k", r"f_k'"), (r"\text{if } x", r"\mathrm{if}x"), (r"\operatorname{max}", r"\max"), ("α", r"\alpha"),
        (r"\begin{align} a &= b \end{align}", "a=b"), (r"a % comment", "a"),
    ],
)  # fmt: skip
def test_notations_of_one_formula(one, other):
    assert tex.normal_form(one) == tex.normal_form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("x^2", "x_2"), ("a+b", "a-b"), (r"\frac{a}{bc}", r"\frac{a}{b}c"), ("x^{ab}", "x^a b"), (r"\sum_i", r"\prod_i")],
)
def test_different_formulas_stay_different(one, other):
    assert tex.normal_form(one) != tex.normal_form(other)


def test_each_occurrence_counts():
    score = score_page("$a$ and $a$, \\(b\\) but c", [("x", "a"), ("x", "b"), ("y", "c")])
    assert (score.encodings, score.output, score.right, score.lost) == ({"x": (2, 2), "y": (1, 0)}, 3, 2, ["c"])
    assert score.dominant == "x"
    sums = total([score, score])
    assert sums.recall == {"x": (4, 4), "y": (2, 0)} and sums.precision == {"x": (6, 4)}


def test_code_must_be_verbatim():
    text = "```\ndef f():\n    return 1\n```"
    assert score_page(text, [], code=["def f():\n    return 1", "def f():\n  return 1"]).code == (2, 1)


def test_blanks_that_do_not_break_are_blanks_of_code():
    assert score_page("```\nif x:\n    y\n```", [], code=["if x:\n\u00a0\u00a0\u00a0\u00a0y"]).code == (1, 1)


def test_words_of_the_main_text():
    assert score_words("Menu Rings have $x$ units", "rings have units indeed") == (0.75, 0.75, 0.75)
    pages = [score_page("a b", [], reference="a b"), score_page("a b", [], reference="a"), score_page("x", [])]
    assert total(pages).words == (0.75, 1.0, pytest.approx(5 / 6))
    assert total([]).words == (0.0, 0.0, 0.0)


def test_find_reads_delimiters_as_pandoc_does():
    text = "costs $5 or $10, \\$x\\$, $x$, $$y\nz$$, \\(p\\), \\[q\\]\n```\n$code$\n```\n$after$ and \\\\(no\\\\)"
    assert [f.tex for f in tex.find(text)] == ["x", "y\nz", "p", "q", "after"]
    assert tex.without_code(text).count("code") == 0
