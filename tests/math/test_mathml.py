"""MathML to TeX: no letter is lost, whatever elements a page has."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.math import mathml
from nemotron_assets.math.mathml import Node, to_tex

# Known elements, and names that a page may invent, such as the names of the converter's own methods.
KNOWN = [name.removeprefix("element_") for name in dir(mathml._Converter) if name.startswith("element_")]
MADE_UP = [name.removeprefix("_") for name in dir(mathml._Converter) if name.startswith("_")] + ["convert", "depth", ""]
TREES = st.recursive(
    st.builds(Node, st.sampled_from(KNOWN + MADE_UP), text=st.text(max_size=3)),
    lambda inside: st.builds(
        Node,
        st.sampled_from(KNOWN + MADE_UP),
        st.dictionaries(st.sampled_from(["open", "width", "fence", "notation", "separators"]), st.text(max_size=4)),
        st.lists(inside, max_size=4),
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("tag", MADE_UP)
def test_the_content_of_unknown_elements_is_read(tag):
    row = Node(
        "math", children=[Node(tag, children=[Node("mi", text="x"), Node("mo", text="+"), Node("mn", text="1")])]
    )
    assert to_tex(row) == "x+1"
    assert to_tex(Node(tag, text="α")) == r"\alpha"


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_any_tree_is_converted(tree):
    assert isinstance(to_tex(tree), str)
