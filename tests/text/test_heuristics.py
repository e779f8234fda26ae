"""The compiled numbers equal the written definitions exactly, for any text."""

from __future__ import annotations

import json
import random
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nemotron_assets.recipe import RecipeError, load_recipe
from nemotron_assets.recipe.web.heuristics import Measures, Rules
from nemotron_assets.text import _passes, heuristics
from nemotron_assets.text.heuristics import NUMBERS, measure
from tests.text.reference import numbers

STRINGS = Measures()
_PARTS = [
    *STRINGS.common_words, *STRINGS.ellipses, *STRINGS.cut_off, *STRINGS.boilerplate, *STRINGS.placeholder,
    "Privacy POLICY", "Read More", "http://", "https://a.example/x?y=1", "xhttps://b<c", "http://http://q", "https://",
    "##", "#", "a#", "word", "Wörter,", "日本語。", "नमस्ते", "１２３", "x" * 40, "(see)", "（注）", "“Yes.”", "it's",
    "ﬁ", "İ", "ß",
    " ", "  ", "\n", "\n\n", "\n \n", "\r\n", "\t", "\u00a0", "\u2003", "\u2028", "\x1c", "\x85", "•", "• item",
    "\U0001f600", "\U000e0100", "\x00", "\ufeff", "uses  cookies", "uses\ncookies",
]  # fmt: skip
TEXTS = st.one_of(
    st.lists(st.one_of(st.sampled_from(_PARTS), st.sampled_from([" ", "\n"]), st.text(max_size=3)), max_size=60).map(
        "".join
    ),
    st.lists(st.sampled_from(["a", "b", "the", "cat", "é"]), max_size=60).map(" ".join),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=80),
)


def measured(texts: list[str], strings: Measures = STRINGS) -> list[dict]:
    return measure(pa.array(texts, pa.large_string()), strings).to_dicts()


def same(texts: list[str], strings: Measures = STRINGS) -> None:
    for text, row in zip(texts, measured(texts, strings), strict=True):
        assert row == numbers(text, strings), repr(text)


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
@example([""])
@example(["\n", " ", "a", "a\n", "\n\na \n \n b"])
def test_numbers_follow_the_definitions(texts):
    same(texts)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(TEXTS, min_size=1, max_size=3),
    st.lists(st.sampled_from(["ab", "bab", "aba", "b a", "é a", "a"]), unique=True, max_size=5),
)
def test_boilerplate_is_found_like_substrings(texts, strings):
    """Strings that overlap, contain each other, or are not ASCII: the automaton finds what `in` finds."""
    more = Measures(boilerplate=tuple(strings), placeholder=("abab",))
    same([*texts, "BABAB a", "xx é a", "b  a", "ab"], more)


def test_the_sample_of_every_language(sample):
    seeds = [json.loads(line)["text"] for line in (sample / "seeds" / "passages.jsonl").read_text().splitlines()]
    same(seeds)
    rng = random.Random(0)
    words = " ".join(seeds).split()
    for length in (9, 10, 11, 60, 3_000):  # much repetition, of every length
        few = rng.choices(words, k=6)
        same([" ".join(rng.choices(few, k=length)), "\n".join(rng.choices(few, k=length))])


def test_a_text_longer_than_a_block_of_the_counters():
    long = "1(a " * 300_000 + "\n" + "é" * 1_100_000
    (row,) = measured([long])
    characters = len(long)
    assert row["digit_share"] == 300_000 / characters
    assert row["parenthesis_share"] == 300_000 / characters
    assert row["non_alphanumeric_share"] == 600_000 / characters
    assert row["longest_word_characters"] == 1_100_000


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("a b, c. d!", "non_alphanumeric_share", 3 / 10),  # the blanks
        ("… ... [...] ### a", "symbol_word_share", 4 / 5),
        ("#a ##b", "symbol_word_share", 1 / 2),  # half is not more than half
        ("٣ 3 ³", "digit_share", 2 / 5),
        ('See https://a.example/b">c', "url_share", 19 / 26),
        ("http:// x", "url_share", 0.0),
        ("a\u00a0b\n", "whitespace_share", 2 / 4),
        ("（a）[b]", "parenthesis_share", 4 / 6),
        ("One.\n\nOur PRIVACY Policy\nsays\n\nTwo.\n\nThree.", "boilerplate_share", 1 / 4),
        ("One.\n\nTwo Lorem ipsum", "boilerplate_share", 1.0),
        ("a\n a \nb\n\nc", "unique_line_share", 3 / 4),
        ("a\nb\n\na \nb\n \nc", "unique_paragraph_share", 2 / 3),
        ("aa\naa\nb", "unique_line_character_share", 3 / 5),
        ("aa\nb\n\naa\nb\n\nc", "unique_paragraph_character_share", 5 / 9),
        ("to be, or not", "words", 4),
        ("Yes.\nNo\n„Ja.“\n好。\nنعم؟", "unended_line_share", 2 / 5),  # the German closing mark opens in English
        ("a1 12 -- é", "alphabetic_word_share", 2 / 4),
        ("the The to, to be", "common_words", 3),
        ("ab cdef", "mean_word_characters", 3.0),
        ("ab cdéf", "longest_word_characters", 4),
        ("More...\nREAD MORE\nread moreover\nEnd [\u2026]", "cut_off_line_share", 3 / 4),
        ("a b a b c", "top_2gram_share", 6 / 9),
        ("a b c d", "top_2gram_share", 0.0),
        ("a a a a", "top_2gram_share", 1.0),  # three times "a a" would be more than the text
        ("a b c x a b c y dd e f dd e f", "top_3gram_share", 2 * 6 / 29),  # of two with one count, the longer
        ("a b c d e a b c d e", "repeated_5gram_share", 9 / 19),
        ("a b c d e f a b c d e f", "repeated_5gram_share", 11 / 23),  # two that overlap: each word once
        ("• a\n- b", "bullet_line_share", 1 / 2),
    ],
)
def test_by_hand(text, name, value):
    (row,) = measured([text])
    assert row[name] == pytest.approx(value, abs=1e-12)
    assert row == numbers(text, STRINGS)


def test_every_rule_has_a_number_and_a_bound():
    assert list(Rules.model_fields) == list(NUMBERS)
    assert len(NUMBERS) == 28
    rules = Rules()
    assert all(getattr(rules, name).min is not None or getattr(rules, name).max is not None for name in NUMBERS)


def test_what_a_character_is_follows_unicode():
    """This holds also for the code points that are not looked up one by one."""
    flags = heuristics._character_flags(STRINGS)
    categories = np.array([unicodedata.category(chr(point)) for point in range(sys.maxunicode + 1)])
    first = np.array([category[0] for category in categories])
    spaces = np.array([chr(point).isspace() for point in range(sys.maxunicode + 1)])
    plain = np.isin(np.arange(len(flags)), [ord(c) for c in "\n?!,."])
    assert (((flags & _passes.TEXT) > 0) == (np.isin(first, list("LMN")) | plain)).all()
    assert (((flags & _passes.LETTER) > 0) == (first == "L")).all()
    assert (((flags & _passes.DIGIT) > 0) == (categories == "Nd")).all()
    assert (((flags & _passes.SPACE) > 0) == spaces).all()


def test_slices_and_small_strings_are_read_where_they_are():
    array = pa.array(["nothing", "to be", "or  not", "to be"])  # 32-bit offsets
    assert measure(array.slice(1, 2), STRINGS).to_dicts() == [numbers("to be", STRINGS), numbers("or  not", STRINGS)]
    assert measure(array.slice(0, 0), STRINGS).height == 0
    with pytest.raises(ValueError, match="1 of the 2 texts are null"):
        measure(pa.array(["a", None]), STRINGS)


def test_invalid_utf8_does_no_harm():
    """No kernel reads beyond a text, whatever its bytes are. Arrow does not check the bytes of a broken file."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = rng.integers(128, 256, rng.integers(0, 40), dtype=np.uint8)
        counts = np.zeros((1, len(_passes.COUNTS)), np.int64)
        _passes.count_texts(data, np.array([0, len(data)]), counts, *heuristics._tables(STRINGS))
        assert counts[0, 0] <= len(data)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("measures: {common_words: [two words]}", ["'two words' is not one word"]),
        ("measures: {boilerplate: [Terms]}", ["'Terms' is not lower case"]),
        ('measures: {placeholder: ["a\\nb"]}', ["without line break"]),
        ("heuristics: {rules: {words: {min: 3, max: 1}}}", ["min 3.0 is above max 1.0"]),
        ("heuristics: {levels: [best]}", ["unknown levels best", "medium_low"]),
        ("heuristics: {switched_off: {xx: [words]}}", ["'xx'", "sv"]),
        ("heuristics: {switched_off: {de: [wordz]}}", ["de names unknown rules wordz", "mean_word_characters"]),
    ],
)
def test_errors_of_a_recipe_name_the_problem(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: laptop\nweb: {{{text}}}\n")
    with pytest.raises(RecipeError) as error:
        load_recipe(str(path))
    assert [word for word in words if word not in str(error.value)] == []


def test_published_bounds():
    rules = load_recipe("nano2").web.heuristics.rules
    assert (rules.words.min, rules.words.max) == (50, 100_000)
    assert [getattr(rules, f"repeated_{n}gram_share").max for n in range(5, 11)] == [0.15, 0.14, 0.13, 0.12, 0.11, 0.10]
    assert [getattr(rules, f"top_{n}gram_share").max for n in range(2, 5)] == [0.20, 0.18, 0.16]
    assert load_recipe("nano2").web.heuristics.levels == ("medium", "medium_low", "low")
