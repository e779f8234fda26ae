"""Parsing with tree-sitter comes to an end, and gives the same trees as its parser alone."""

from __future__ import annotations

import pytest
from tree_sitter_language_pack import get_parser

from nemotron_assets.generation.code_blocks import syntax_problem
from nemotron_assets.text import grammars

#: tree-sitter's repair of this text never ends.
ENDLESS = b"p/*q(&q(<$::"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(grammars, "_MOST_SECONDS", 0.2)


def test_a_parse_that_never_ends_is_given_up(impatient):
    parser = get_parser("c")
    with pytest.raises(grammars.Unparsable, match=r"the parser does not end within 0\.2 s"):
        grammars.parse(parser, ENDLESS)
    assert not grammars.parse(parser, b"int x;\n").has_error, "the parser can be used again"


def test_an_answer_that_the_parser_does_not_end_on_is_not_valid_code(impatient):
    assert syntax_problem(ENDLESS.decode(), "C") == "the parser does not end within 0.2 s"


@pytest.mark.parametrize("name", ["python", "cpp", "php", "html"])
def test_the_tree_is_that_of_the_parser(name):
    parser = get_parser(name)
    for text in ("", "é = '😀'\n", "x(" * 60_000, "int f() { return 1; }\n" * 9_000):
        assert str(grammars.parse(parser, text.encode())) == str(parser.parse(text.encode()).root_node)
