"""Figures with ranges: how errors combine, what is not known, and what a figure was derived from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron_assets.planning.figures import Figure, Unknown, between, derived_from, known, total

ranges = st.lists(st.floats(1e-3, 1e9), min_size=3, max_size=3).map(sorted)


@given(ranges, ranges)
def test_the_expected_value_is_that_of_the_expected_inputs_and_lies_in_the_range(first, second):
    a, b = between("a", *first, "a source"), between("b", *second, "a source")
    for figure, value in (
        (a * b, a.expected * b.expected),
        (a + b, a.expected + b.expected),
        (a / b, a.expected / b.expected),
    ):
        assert figure.expected == pytest.approx(value)
        assert figure.low <= figure.expected <= figure.high
    product = a * b
    assert first[0] * second[0] * 0.999 <= product.low
    assert product.high <= first[2] * second[2] * 1.001


def test_an_input_that_is_used_twice_errs_in_both_places_alike():
    share = between("share", 0.2, 0.5, 0.8, "a source")
    pages = known("pages", 100, "a source")
    assert (pages * share + pages * (1 - share)).low == pytest.approx(100)
    assert (share / share).high == pytest.approx(1)
    other = between("another share", 0.2, 0.5, 0.8, "a source")
    assert (share / other).high > 1.5


def test_independent_errors_partly_cancel_out():
    each = [between(f"part {n}", 50, 100, 200, "a source") for n in range(16)]
    everything = total(each)
    assert everything.low > 16 * 70 and everything.high < 16 * 150


def test_what_is_not_known_stays_so_with_its_reason():
    nothing = Unknown("nobody measured it")
    ten = known("ten", 10, "a source")
    for value in (
        nothing * ten,
        ten / nothing,
        1 - nothing,
        total([ten, nothing]),
        ten.up_to(nothing),
        nothing.named("x"),
    ):
        assert isinstance(value, Unknown) and str(value) == "not known: nobody measured it"


def test_limits_of_a_recipe():
    rows = between("rows", 10, 100, 1000, "a source")
    assert rows.up_to(50).high == 50 and rows.up_to(None) is rows and rows.at_least(20).low == 20


def test_nothing_of_nothing_is_nothing():
    zero = known("no rows", 0, "a source")
    assert (zero / zero).expected == 0


def test_a_figure_names_the_inputs_it_was_derived_from():
    pages, share = known("pages", 100, "counted"), between("share", 0.1, 0.2, 0.3, "measured")
    rows = (pages * share).named("rows")
    assert {figure.name: figure.source for figure in derived_from(rows * rows)} == {
        "pages": "counted",
        "share": "measured",
    }
    assert isinstance(rows, Figure) and not rows.source


def test_a_range_that_does_not_ascend_is_refused():
    with pytest.raises(ValueError, match=r"share: the range \[0.3, 0.2, 0.5\] must ascend"):
        between("share", 0.3, 0.2, 0.5, "a source")
