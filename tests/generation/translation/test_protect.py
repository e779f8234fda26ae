"""Protected pieces come through byte for byte, whatever the text and whatever the model writes."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemotron_assets.generation.translation.protect import (
    ProtectionError,
    count_numbers,
    placeholder,
    protect,
    restore,
    same_numbers,
    split_lines,
    without_placeholders,
)

# Text that is full of what patterns look for, beside plain Unicode.
_BITS = st.sampled_from(
    ["`", "```", "~~~", "$", "$$", "\\(", "\\)", "\\[", "\\]", "\\begin{a}", "\\end{a}", "{", "}", "{A}", "{{x}}",
     "<", ">", "<b>", "</b>", "&amp;", "%s", "3", "4.5", "٣", "kg", "%", "http://", "a@b.c", "www.", "x_y", "f()",
     "a.bc", "/etc", "--go", "word", " ", "\n", "\r", "\u2028", ".", ",", "-", "–", "€"]
)  # fmt: skip
texts = st.one_of(st.text(max_size=200), st.lists(_BITS, max_size=40).map("".join))


@given(texts)
@example("{A}{B} {A")
def test_protecting_and_restoring_is_identity(text):
    protected = protect(text)
    assert restore(protected.text, protected.pieces) == text
    assert not re.search(r"\d", protected.text)
    assert not re.search(r"[<>]", protected.text)
    assert not re.search(r"[{}]", without_placeholders(protected.text))


@given(texts)
def test_lines_are_the_text(text):
    found = split_lines(text)
    assert "\n".join(found) == text
    assert all("\n" not in line or any("\n" in piece for piece in protect(line).pieces) for line in found)


@given(texts, texts)
def test_whatever_is_written_loses_no_piece_silently(source, written):
    protected = protect(source)
    try:
        whole = restore(written, protected.pieces)
    except ProtectionError:
        return
    counts = Counter(protected.pieces)
    assert all(whole.count(piece) >= number for piece, number in counts.items())
    assert len(whole) == len(without_placeholders(written)) + sum(map(len, protected.pieces))


@given(st.data(), texts)
def test_a_translation_that_moves_the_placeholders_is_restored(data, source):
    protected = protect(source)
    names = data.draw(st.permutations([placeholder(number) for number in range(len(protected.pieces))]))
    whole = restore(" ж ".join(names), protected.pieces)
    assert Counter(whole.split(" ж ")) == Counter(protected.pieces) or not names or " ж " in source


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("Call `x = {y}` or ``a`b`` now", ["`x = {y}`", "``a`b``"]),
        ("See https://a.example/b?c=1#d, (http://e.example/f).", ["https://a.example/b?c=1#d", "http://e.example/f"]),
        ("Write to ann.b+c@mail.example.org.", ["ann.b+c@mail.example.org"]),
        (r"Let \(n = 10^m\) and $x_1$ be", [r"\(n = 10^m\)", "$x_1$"]),
        ("It costs $5 and $10, or €7.50", ["$5", "$10", "€7.50"]),
        (r"Then \[ a < b \] or $$c$$", [r"\[ a < b \]", "$$c$$"]),
        (r"\begin{align}x\end{align} and \alpha", [r"\begin{align}x\end{align}", r"\alpha"]),
        ("In 1990, 1,234.5 of 20% on 2025-01-02 at 12:30", ["1990", "1,234.5", "20%", "2025-01-02", "12:30"]),
        ("At 3.5 GHz, 10–15 km, -3 °C, 4 kg", ["3.5 GHz", "10–15 km", "-3 °C", "4 kg"]),
        ("Version v1.2.3 of x86_64 and H2O in 3D", ["v1.2.3", "x86_64", "H2O", "3D"]),
        ("the 5th of the 1990s", ["5", "1990"]),
        ("عددها ١٢٫٥ أو ٣", ["١٢٫٥", "٣"]),
        ("Hello {name}, {{ user }}, %s and %(n)d", ["{name}", "{{ user }}", "%s", "%(n)d"]),
        ("A <b>bold</b> R&amp;D <!-- no --> a < b", ["<b>", "</b>", "&amp;", "<!-- no -->", "<"]),
        ("Run foo.bar() --all in /etc/passwd and/or snake_case", ["foo.bar()", "--all", "/etc/passwd", "snake_case"]),
        ("Nothing here, e.g. a well-known word.", []),
    ],
)  # fmt: skip
def test_pieces(line, pieces):
    assert list(protect(line).pieces) == pieces


def test_lines_keep_fenced_code_and_displayed_formulas_together():
    text = "one\n```py\na\n\nb\n```\ntwo\n$$\nx\n$$ three\n\nfour"
    assert split_lines(text) == ["one", "```py\na\n\nb\n```", "two", "$$\nx\n$$ three", "", "four"]


def test_placeholders_go_on_after_z():
    assert [placeholder(number) for number in (0, 25, 26, 51, 52, 701, 702)] == [
        "{A}",
        "{Z}",
        "{AA}",
        "{AZ}",
        "{BA}",
        "{ZZ}",
        "{AAA}",
    ]
    line = " ".join(f"item {number}" for number in range(800))
    protected = protect(line)
    assert len(protected.pieces) == 800 and restore(protected.text, protected.pieces) == line


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{A} und", "lost '2'"),
        ("{A} und {B} und {B}", "repeated '2'"),
        ("{A} und {B} und {C}", "invented 'C'"),
        ("{A} und {B}}", "left '}'"),
        ("{A} und {Б}", "lost '2'"),
        ("{А} und {B}", "lost '1'"),  # a Cyrillic letter
    ],
)
def test_restore_says_what_is_wrong(written, problem):
    with pytest.raises(ProtectionError, match=re.escape(problem)):
        restore(written, ["1", "2"])


def test_equal_pieces_may_change_places():
    assert restore("{B}{A}", ["7", "7"]) == restore("{A}{A}", ["7", "7"]) == "77"


@pytest.mark.parametrize(
    ("source", "translation", "kept"),
    [
        ("It is 10 of 12.", "Es sind 10 von 12.", True),
        ("It is 10 of 12.", "انها ١٠ من ١٢", True),
        ("It is 10.", "Es sind 11.", False),
        ("It is 10.", "Es sind 10, seit 1990.", False),
        ("It is 10.", "Es ist viel.", False),
        ("The first of two.", "第1の2つ", True),
        ("The first of two.", "第1の3つ", False),
        ("One in 1.", "1 in 1", True),
        ("One in 1.", "1 in 1 of 1", False),
    ],
)
def test_numbers_are_kept(source, translation, kept):
    assert same_numbers(source, translation) is kept


def test_numbers_in_any_digits():
    assert count_numbers("१२ ٣٤ 5６ x7y") == Counter(["12", "34", "56", "7"])


@pytest.mark.parametrize(
    "opening", ["`", "$a ", r"\begin{a}", "{", "<a ", "a@", "http://", "<!--", r"\[", "%(", "1.", "/a", "x_"]
)
def test_marks_without_end_are_read_once(opening):
    text = opening * 4_000
    protected = protect(text)
    assert restore(protected.text, protected.pieces) == text
