"""Candidates are the pairs of texts with a common band; large buckets are limited; the Bloom filter loses no band."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup.bloom import BloomFilter
from nemotron_assets.dedup.candidates import COLUMNS, BandIndex
from nemotron_assets.dedup.workspace import workspace
from nemotron_assets.table.ids import content_hash
from nemotron_assets.web.dedup.tables import SIGNATURES

START = datetime(2025, 1, 1, tzinfo=UTC)


def frames(texts: list[tuple[str, int, str, list[int]]], size: int = 3) -> list[pl.DataFrame]:
    """Rows (document, hours after START, text, bands) as frames of the columns that are read of `web.signatures`."""
    schema = pa.schema([SIGNATURES.arrow_schema().field(name) for name in COLUMNS])
    rows = [
        {
            "parents": [document],
            "fetched_at": START + timedelta(hours=hour),
            "content_hash": content_hash(text),
            "bands": np.array(bands, "<i8").tobytes(),
        }
        for document, hour, text, bands in texts
    ]
    return [pl.from_arrow(pa.Table.from_pylist(rows[k : k + size], schema)) for k in range(0, len(rows), size)]


def candidates(own, others=None, most=32) -> set[tuple[str, str]]:
    """The pairs of documents that the index finds, inside `own` or between `own` and `others`."""
    with workspace(128) as connection:
        index = BandIndex(connection, frames(own), 4 * len(own), most)
        if others is None:
            index.join_itself()
        else:
            index.join_with(frames(others))
        rows = connection.execute("select document, other, content_hash, other_content_hash from candidates").fetchall()
        named = {document: content_hash(text) for document, _, text, _ in [*own, *(others or [])]}
        assert len(rows) == len(set(rows))
        assert all(named[one] == a and named[other] == b for one, other, a, b in rows)
        return {row[:2] for row in rows}


# Real bands are as good as random. A few values to choose from make some of them equal here.
VALUES = [int(value) for value in np.random.default_rng(1).integers(-(2**63), 2**63, 12)]
signed = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 8), st.lists(st.sampled_from(VALUES), max_size=4)), max_size=10
)


def named(prefix: str, rows) -> list[tuple[str, int, str, list[int]]]:
    """One row per text. A text has the same bands in every document that has it."""
    texts = {text: (hour, bands) for hour, text, bands in rows}
    return [(f"{prefix}{k}", hour, str(text), bands) for k, (text, (hour, bands)) in enumerate(texts.items())]


@settings(max_examples=15, deadline=None)
@given(signed)
def test_within_a_snapshot(rows):
    own = named("m", rows)
    expected = set()
    for one, other in itertools.combinations(sorted(own, key=lambda row: (row[1], row[0])), 2):
        if set(one[3]) & set(other[3]):
            expected.add((other[0], one[0]))
    assert candidates(own) == expected


@settings(max_examples=15, deadline=None)
@given(signed, signed, st.booleans())
def test_between_snapshots(rows, other_rows, alone):
    own, others = named("m", rows), named("t", other_rows)
    bands = {text: bands for _, _, text, bands in own}
    others = [(name, hour, text, bands.get(text, drawn)) for name, hour, text, drawn in others]
    common = {row[2] for row in own if row[3]} & {row[2] for row in others}
    expected = {
        (one[0], other[0])
        for one, other in itertools.product(own, others)
        if set(one[3]) & set(other[3]) and one[2] not in common and other[2] not in common
    }
    assert candidates(own, others) == expected


def test_pairs_of_a_large_bucket_grow_with_its_texts_only():
    own = [(f"m{k:03}", k, str(k), [VALUES[0], 1000 + k]) for k in range(100)]
    others = [(f"t{k:03}", k, f"t{k}", [VALUES[0]]) for k in range(100)]
    found = candidates(own, most=3)
    assert found == {
        (f"m{late:03}", f"m{early:03}") for late in range(100) for early in range(late) if early < 3 or late - early < 4
    }
    assert candidates(own, others, most=3) == {
        (f"m{k:03}", f"t{other:03}") for k in range(100) for other in (0, 1, 2, 97, 98, 99)
    }


def test_texts_without_bands_are_in_no_pair():
    assert candidates([("a", 0, "x", []), ("b", 1, "y", [])], [("c", 0, "z", [])]) == set()
    assert candidates([], [("c", 0, "z", [VALUES[0]])]) == set()


@pytest.mark.parametrize("most_mb", [1, 1_024])
def test_the_bloom_filter_finds_all_added_values_and_few_others(most_mb):
    chance = np.random.default_rng(2)
    here, elsewhere = chance.integers(-(2**63), 2**63, (2, 100_000))
    bloom = BloomFilter(len(here), most_mb)
    bloom.add(here)
    assert (bloom.find(here) == np.arange(len(here))).all()
    assert len(bloom.find(elsewhere)) < 0.005 * len(elsewhere)
    assert len(bloom.find_repeated(here)) < 0.005 * len(here)
    bloom.add(here[:100])
    assert set(bloom.find_repeated(here)) >= set(range(100))
