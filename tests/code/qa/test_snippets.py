"""Every snippet is whole: it parses alone, or as a member of a class."""

from __future__ import annotations

import textwrap
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nemotron_assets
from nemotron_assets.code.qa.snippets import cut
from nemotron_assets.generation import code_blocks
from nemotron_assets.recipe import load_recipe
from nemotron_assets.recipe.code.qa import LANGUAGES
from tests.code.qa.codes import CODES

RECIPE = load_recipe("laptop").code.qa.snippets.model_copy(update={"min_characters": 1})
ENDINGS = {
    "Python": (".py",), "C": (".c", ".h"), "C++": (".cc", ".cpp", ".hpp"), "C#": (".cs",), "Java": (".java",),
    "JavaScript": (".js",), "TypeScript": (".ts",), "Go": (".go",), "Rust": (".rs",), "PHP": (".php",),
    "SQL": (".sql",),
}  # fmt: skip
#: What a method is a member of.
CLASS = {"Java": "", "C#": "", "JavaScript": "", "TypeScript": "", "PHP": "", "C++": ";"}


def assert_whole(piece: dict, language: str) -> None:
    code = piece["snippet"]
    assert 1 <= sum(1 for line in code.split("\n") if line.strip()) <= 15
    why = code_blocks.syntax_problem(code, language)
    if why and piece["kind"] == "function" and language in CLASS:
        why = code_blocks.syntax_problem(f"class A {{\n{code}\n}}{CLASS[language]}", language)
    assert not why, (language, why, code)


@pytest.mark.parametrize("language", LANGUAGES)
def test_snippets_of_the_samples_repositories_are_whole(language):
    sample = pl.scan_parquet(Path(nemotron_assets.__file__).parent / "sample" / "code" / "files.parquet")
    ending = pl.any_horizontal(pl.col("rel_path").str.ends_with(end) for end in ENDINGS[language])
    files = sample.filter(ending & (pl.col("size") < 60_000)).sort("size", "rel_path").collect().tail(30)
    found = 0
    for content in files["content"]:
        text = content.decode("utf-8", "replace")
        # A file that does not parse gives snippets of its sound parts.
        for piece in cut(text, language, RECIPE):
            if language != "C" or piece["kind"] == "function":
                assert_whole(piece, language)
            found += 1
    assert found >= 5


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_whatever_the_layout_snippets_are_whole(language, data):
    """Functions in any order, with comments, deep or not, with any line ends and indentation."""
    unit = data.draw(st.sampled_from(["    ", "\t", "  "]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    comment = {"Python": "# x", "SQL": "-- x"}.get(language, "// x")
    parts = data.draw(st.lists(st.sampled_from([CODES[language].removeprefix("<?php\n"), comment, ""]), max_size=5))
    body = "\n\n".join(parts)
    if parts and language in CLASS and data.draw(st.booleans()):
        if language in ("JavaScript", "PHP", "TypeScript"):
            body = body.replace("function ", "" if language != "PHP" else "public function ")
        body = f"class Thing {{\n{textwrap.indent(body, unit)}\n}}{CLASS[language]}"
    text = ("<?php\n" if language == "PHP" else "") + body + data.draw(st.sampled_from(["", "\n", "\n\n  \n"]))
    pieces = cut(text.replace("    ", unit).replace("\n", end), language, RECIPE)
    assert pieces or not any("total" in part for part in parts)
    for piece in pieces:
        assert_whole(piece, language)
        assert "\r" not in piece["snippet"] and not piece["snippet"][:1].isspace()


def test_a_string_with_lines_at_the_margin_is_not_cut_out_of_its_class():
    source = 'class A:\n    def f(self):\n        return """\nat the margin"""\n\n    def g(self):\n        return 1\n'
    assert [piece["snippet"] for piece in cut(source, "Python", RECIPE)] == ["def g(self):\n    return 1"]


def test_what_ends_a_declaration_belongs_to_it():
    (piece,) = cut("struct pair {\n    int first;\n    int second;\n};\n", "C", RECIPE)
    assert piece["snippet"].endswith("};") and code_blocks.syntax_problem(piece["snippet"], "C") == ""
