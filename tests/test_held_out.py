"""The held-out split: the expression equals the reference, and larger shares contain smaller ones."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.held_out import (
    ADDRESS,
    all_held_out,
    hash_is_held_out,
    held_out_first,
    is_held_out,
    page_hash,
)
from nemotron_assets.table.ids import content_hash

HASHES = st.lists(st.binary(min_size=16, max_size=16).map(bytes.hex), max_size=20)
SHARES = st.floats(0, 1)
MACROS = (Path(__file__).parents[1] / "sql" / "macros" / "held_out.sql").read_text()


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


def hashes_of(*addresses: str) -> list[str]:
    return pl.DataFrame({ADDRESS: addresses}, {ADDRESS: pl.String}).select(page_hash()).to_series().to_list()


def test_one_page_under_several_forms_of_its_address():
    forms = (
        "https://a.example/b",
        "http://www.a.example/b/",
        "HTTPS://WWW.a.example/b#part",
        "https://a.example/b/#x\ny",
    )
    assert len(set(hashes_of(*forms))) == 1
    others = ("https://a.example/B", "https://a.example/b?page=2", "https://b.example/b", "https://a.example/b/c", "")
    assert len({*hashes_of(*forms), *hashes_of(*others)}) == 1 + len(others)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "http://", "https://www.", "HTTP://WWW."]), st.text()), max_size=20), SHARES
)
def test_duckdb_decides_the_same(addresses, share):
    """A user asks DuckDB which pages are held out."""
    urls = ["".join(parts).replace("\x00", "") for parts in addresses]
    frame = pl.DataFrame({ADDRESS: urls}, {ADDRESS: pl.String})
    expected = frame.select(hash=page_hash(), held=is_held_out(share, ADDRESS)).rows()
    with duckdb.connect() as connection:
        connection.execute(MACROS)
        rows = frame.with_row_index().to_arrow()
        connection.register("pages", rows)
        query = f"select page_hash(url), is_held_out(page_hash(url), {share!r}::double) from pages order by index"
        assert connection.execute(query).fetchall() == expected


@settings(deadline=None)
@given(HASHES.filter(bool), SHARES)
def test_texts_of_several_pages(hashes, share):
    """Such a text is trained on if no page is held out, and measured if all are."""
    frame = pl.DataFrame({"hashes": [hashes], "first": [held_out_first(hashes)]})
    each = [hash_is_held_out(h, share) for h in hashes]
    assert frame.select(is_held_out(share, "first"), all_held_out(share, "hashes")).row(0) == (any(each), all(each))


def test_ends_of_the_range():
    ends = ["0" * 32, "f" * 32]
    assert [hash_is_held_out(h, 0) for h in ends] == [False, False]
    assert [hash_is_held_out(h, 1) for h in ends] == [True, True]
    with pytest.raises(ValueError, match=r"is 1\.5, but must be between 0 and 1"):
        is_held_out(1.5)
