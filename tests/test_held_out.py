"""The held-out split: the expression equals the reference, and larger shares contain smaller ones."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.held_out import hash_is_held_out, is_held_out
from nemotron_assets.table.ids import content_hash

HASHES = st.lists(st.binary(min_size=16, max_size=16).map(bytes.hex), max_size=20)
SHARES = st.floats(0, 1)


@settings(deadline=None)  # a busy machine is no failure
@given(HASHES, SHARES)
def test_expression_equals_reference(hashes, share):
    frame = pl.DataFrame({"content_hash": hashes}, schema={"content_hash": pl.String})
    assert frame.select(is_held_out(share)).to_series().to_list() == [hash_is_held_out(h, share) for h in hashes]


@settings(deadline=None)  # a busy machine is no failure
@given(HASHES, SHARES, SHARES)
def test_larger_share_contains_the_smaller(hashes, one, other):
    small, large = sorted((one, other))
    assert all(hash_is_held_out(h, large) for h in hashes if hash_is_held_out(h, small))


def test_share_of_real_contents():
    held = [hash_is_held_out(content_hash(f"document {k}"), 0.05) for k in range(20_000)]
    assert sum(held) / len(held) == pytest.approx(0.05, abs=0.006)


def test_ends_of_the_range():
    ends = ["0" * 32, "f" * 32]
    assert [hash_is_held_out(h, 0) for h in ends] == [False, False]
    assert [hash_is_held_out(h, 1) for h in ends] == [True, True]
    with pytest.raises(ValueError, match=r"is 1\.5, but must be between 0 and 1"):
        is_held_out(1.5)
