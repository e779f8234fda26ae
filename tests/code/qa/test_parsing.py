"""Syntax checks, grammars and snippets, tested with codes that are known to be right or wrong."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.code.decontamination import Items
from nemotron_assets.code.qa.prompts import problem_grammar, solution_grammar
from nemotron_assets.code.qa.snippets import cut
from nemotron_assets.generation import code_blocks
from nemotron_assets.generation.code_grammar import small_grammar
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.code.qa import LANGUAGES
from tests.code.qa.codes import CODES

RECIPE = load_recipe("laptop").code.qa
PUBLISHED = load_recipe("nano2").code.qa


@pytest.mark.parametrize("language", LANGUAGES)
def test_right_code_parses_and_broken_code_does_not(language):
    code = CODES[language]
    assert code_blocks.syntax_problem(code, language) == ""
    assert code_blocks.syntax_problem(code.replace(" + ", " + ) (", 1), language)
    assert code_blocks.syntax_problem({"Python": "# x", "SQL": "-- x"}.get(language, "// x"), language)


def test_python_must_please_python_itself():
    assert code_blocks.syntax_problem("return = 3", "Python")
    assert "not valid Python" in code_blocks.syntax_problem("def f():\n    return 1\n\n0777 + 1", "Python")
    assert code_blocks.syntax_problem("(" * 100_000, "Python")


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_what_the_small_grammar_allows_parses(language, data):
    """But for names that are keywords."""
    text = data.draw(st.from_regex(re.compile(small_grammar(language, 3), re.A), fullmatch=True))
    why = code_blocks.syntax_problem(text, language)
    assert not why or set(re.findall(r"[a-z_]\w*", text)) & _KEYWORDS, (text, why)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("Python", "def add(one, two):\n    return one + two"),
        ("Go", "func add(one int) int {\n    return one + 2\n}"),
    ],
)
def test_a_small_function_returns_at_once_only_where_the_caller_lets_it(language, text):
    assert re.fullmatch(small_grammar(language, 2, fewest=0), text)
    assert not re.fullmatch(small_grammar(language, 2), text)


_KEYWORDS = {
    "as", "is", "in", "if", "or", "do", "and", "not", "for", "def", "del", "try", "var", "new", "let", "fn", "go",
    "map", "mut", "pub", "mod", "ref", "use", "end", "asc", "on", "by", "to", "all", "any", "key", "row", "set", "int",
}  # fmt: skip


def test_normalised_code_has_no_comments_and_layout():
    one = code_blocks.normalised("int f(int a) { return a; /* x */ }", "C")
    assert one == code_blocks.normalised("// y\nint f(int a)\n{\n\treturn a;\n}\n", "C")
    assert one != code_blocks.normalised("int f(int b) { return b; }", "C")


@pytest.mark.parametrize("recipe", [RECIPE, PUBLISHED], ids=["small", "free"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_good_answer_matches_the_grammar(recipe, language):
    if recipe.grammar == "free":
        code = CODES[language]
        answer = f"Add both numbers as they are.\n\n```{code_blocks.FENCES[language][0]}\n{code}\n```\n\nThat is all."
        assert re.fullmatch(solution_grammar(language, recipe), answer)
        assert code_blocks.extract_code(answer, language) == code
    assert re.fullmatch(problem_grammar(recipe), "Write a function that takes two numbers and returns the sum of both.")


SOURCE = '''"""What it is."""
import os


class Thing:
    @property
    def name(self):
        return self._name


def long():
''' + "".join(f"    x{n} = {n}\n" for n in range(40))


def test_snippets_are_whole_functions_without_their_indentation():
    found = cut(SOURCE, "Python", RECIPE.snippets)
    assert [piece["snippet"] for piece in found] == ["@property\ndef name(self):\n    return self._name"]
    assert (found[0]["start_line"], found[0]["end_line"], found[0]["kind"]) == (6, 8, "function")


def test_statements_where_there_is_no_function():
    found = cut("CREATE TABLE numbers (a INT, b INT);\nSELECT a FROM numbers WHERE b = 3;\n", "SQL", RECIPE.snippets)
    assert [piece["kind"] for piece in found] == ["statement", "statement"]
    assert cut('"""Only a docstring of a module, nothing else."""\n', "Python", RECIPE.snippets) == []


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.sampled_from(LANGUAGES))
def test_any_text_is_cut_and_judged_without_an_error(text, language):
    for piece in cut(text, language, RECIPE.snippets):
        assert 1 <= len([line for line in piece["snippet"].split("\n") if line.strip()]) <= RECIPE.snippets.max_lines
    assert isinstance(code_blocks.syntax_problem(text, language), str)
    code_blocks.normalised(text, language)
    code_blocks.extract_code(text, language)


def test_benchmark_items_are_found_by_their_words():
    question = "Write a function to find the shared elements from the given two lists, in the order of the first one."
    short = "Write a function to add numbers."
    code = "def add(first, second):\n    result = first + second\n    assert result is not None\n    return result * 1"
    rows = [
        {"benchmark": "mbpp", "item": "1", "question": question, "answer": "x"},
        {"benchmark": "mbpp", "item": "2", "question": short, "answer": code},
        {"benchmark": "gsm8k", "item": "3", "question": "How many apples has Tom if he buys three bags of four and eats"
         " two of them later?", "answer": "10"},
    ]  # fmt: skip
    items = Items(rows, RECIPE)
    assert items.find(f"A task. {question[:80]} ...").startswith("mbpp 1: 13 words")
    assert items.find(f"Please: {short.lower()} Thanks.").startswith("mbpp 2: 6 words")
    assert items.find(f"Here it is:\n{code}") == "mbpp 2: its reference code"
    assert items.find("Write a function to find the elements of two lists, ordered.") == ""
    assert items.find(rows[2]["question"]) == ""
