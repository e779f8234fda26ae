"""The post-filters: what they remove from an answer and what they leave."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.generation.answers import (
    cut_sentence,
    ended_pattern,
    ends_abruptly,
    line_pattern,
    literal_pattern,
    sentence_pattern,
    strip_markdown,
    without_bullets,
    without_marker,
    without_quotes,
    without_stray_labels,
)


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("**Water** is *wet* and __very cold__, _often_ ~~never~~.", "Water is wet and very cold, often never."),
        ("# Title\n### Part\ntext", "Title\nPart\ntext"),
        ("See [the manual](http://x.org/a?b=1) and ![a picture](p.png).", "See the manual and a picture."),
        ("Call `run()` or ``a`b``.", "Call run() or a`b."),
        ("```python\nx = 1\n```\nend", "x = 1\nend"),
        ("above\n---\nbelow\r\n* * *\nend", "above\nbelow\nend"),
        ("***both***", "both"),
        # Text that only looks like Markdown.
        ("2*3*4 = 24, a * b * c, x**2, 5 * 6", "2*3*4 = 24, a * b * c, x**2, 5 * 6"),
        ("__init__ and snake_case_name and _x + y_z", "__init__ and snake_case_name and _x + y_z"),
        ("a[0](1 + 2) costs #1 of 3", "a[0](1 + 2) costs #1 of 3"),
        ("- an item\n  - a second", "- an item\n  - a second"),
    ],
)
def test_markdown_is_stripped_and_nothing_else(marked, plain):
    assert strip_markdown(marked) == plain


@given(st.text(st.characters(blacklist_characters="*_~`#[]()!-\r", blacklist_categories=["Cs"])))
def test_text_without_markdown_is_left_alone(text):
    assert strip_markdown(text) == text.strip()


@given(st.text(st.sampled_from("*_~`#[]()!- ab\n"), max_size=80))
def test_no_letter_is_lost_to_markdown(text):
    """Only links and fences lose letters: the addresses of links, and the names of languages behind fences."""
    plain = strip_markdown(text)
    if "](" not in text and not re.search(r"^[ \t]*(```|~~~)", text, re.M):
        assert re.sub(r"[^ab]", "", plain) == re.sub(r"[^ab]", "", text)


def test_marker_is_required_at_the_start():
    assert without_marker("Condensed:\n text ", "Condensed:") == "text"
    assert without_marker("Well, Condensed:\ntext", "Condensed:") is None


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ('"Water is wet."', "Water is wet."), ("“Water is wet.”", "Water is wet."), ("'It's wet.'", "It's wet."),
        ('"Wet" is not "cold"', '"Wet" is not "cold"'), ("“Wet” and “cold”", "“Wet” and “cold”"), ('"', '"'),
        ('He said "wet"', 'He said "wet"'), ("", ""), ('""', ""),
    ],
)  # fmt: skip
def test_quotes_around_the_whole_text_are_removed(text, bare):
    assert without_quotes(text) == bare


def test_stray_labels_are_lines_of_their_own():
    text = "Passage:\nWater is wet.\nPassage 2:\n  PASSAGE 13 :\nPassage: the way through\nThis passage:"
    assert without_stray_labels(text) == "Water is wet.\nPassage: the way through\nThis passage:"


def test_lists_become_lines():
    text = "Here are the facts:\n- Water is wet.\n  - It is H2O.\n\n* Ice floats.\n-5 is a number.\nplain"
    assert without_bullets(text) == "Water is wet.\nIt is H2O.\nIce floats.\n-5 is a number.\nplain"
    assert without_bullets("no item at all") == ""
    assert without_bullets("") == ""


def test_lines_at_the_limit_are_cut_unless_they_end():
    assert ends_abruptly("x" * 39, 40) and ends_abruptly("x" * 40, 40)
    assert not ends_abruptly("x" * 31, 40) and not ends_abruptly("x" * 39 + ".", 40)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_literals_match_themselves_only(text):
    assert re.fullmatch(literal_pattern(text), text)
    assert not re.fullmatch(literal_pattern(text), text + "x")


def test_lines_of_the_grammar_are_bounded():
    pattern = re.compile(line_pattern(3, 6, "-"))
    assert all(pattern.fullmatch(line) for line in ("abc", "abcdef", "$5.", "É b"))
    assert not any(pattern.fullmatch(line) for line in ("ab", "abcdefg", " bc", "-bc", "*bc", "#bc", "[bc", "a\nc"))


SENTENCE = sentence_pattern("[A-Z]", 3, 20, ".?", "`")


@pytest.mark.parametrize("text", ["It is 3.14 wide.", "Is a.py it?", "Abcd.", "A" * 21 + "."])
def test_a_sentence_ends_at_its_first_mark(text):
    assert re.fullmatch(SENTENCE, text)
    assert not re.fullmatch(SENTENCE, text + " It goes on.")
    assert not re.fullmatch(SENTENCE, text[:-1]) or len(text) > 21


def test_the_limit_forces_no_mark():
    """A sentence that the limit ends has a further character in the place of its mark, whatever comes next."""
    full = "A" + "b" * 20
    assert re.fullmatch(SENTENCE, f"{full}.") and re.fullmatch(SENTENCE, f"{full}c")
    assert re.fullmatch(ended_pattern("[A-Z]", 3, 20), f"{full}c")
    assert not re.fullmatch(SENTENCE, f"{full}cd") and not re.fullmatch(SENTENCE, "Abcdef")
    assert not re.fullmatch(SENTENCE, "Ab`c.")


@pytest.mark.parametrize(
    ("line", "cut"),
    [
        ("A short one.", False),
        ("Is it a short one?", False),
        ("One without its mark", True),
        ("This one is as long as its limit allows and.", True),  # the mark may be the limit's
        ("This one is nearly as long as it may b.", True),
        ("This 3.14 is 1.5 x 2.5 or 3.5 or 4.5 m.", True),
        ("x" * 60 + ".", False),  # written without the grammar
    ],
)
def test_a_sentence_close_to_its_limit_is_cut(line, cut):
    assert cut_sentence(line, 44) == cut


@pytest.mark.parametrize("end", [":", ";", ",", "and", "a", "-"])
def test_a_line_close_to_its_limit_needs_an_end(end):
    line = "x" * 40 + " " + end
    assert ends_abruptly(line, 44)
    assert not ends_abruptly(line, 80)
    assert not ends_abruptly("x" * 42 + ".", 44)


@given(st.text(st.sampled_from("ab .?\n"), max_size=30))
def test_whatever_a_sentence_pattern_takes_is_one_line_with_at_most_its_length(text):
    if re.fullmatch(SENTENCE, "A" + text):
        inside = sum(map(text[:-1].count, ".?"))
        assert "\n" not in text and len(text) <= 21 + inside
        assert cut_sentence("A" + text, 22) or text[-1] in ".?"
