"""Candidates are the pairs of texts with a common band; large buckets are limited; the Bloom filter loses no band."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup import candidates as candidate_pairs
from nemotron_assets.dedup import sorted_bands
from nemotron_assets.dedup.bloom import BloomFilter
from nemotron_assets.dedup.sorted_bands import COLUMNS
from nemotron_assets.table.ids import content_hash
from nemotron_assets.web.dedup.tables import SIGNATURES
from resources.compute import Compute

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


def candidates(own, others=None, most=32, over=candidate_pairs.here) -> set[tuple[str, str]]:
    """The pairs of documents that are found inside `own`, or between `own` and `others`."""
    with tempfile.TemporaryDirectory() as folder:
        mine = sorted_bands.write(f"{folder}/own", frames(own), 64)
        theirs = None if others is None else sorted_bands.write(f"{folder}/others", frames(others), 64)
        pairs = candidate_pairs.candidates(mine, theirs, most, 64, over)
        sides = [(mine, pairs[0]), (theirs or mine, pairs[1])]
        rows = []
        for side, numbers in sides:
            texts = side.documents(np.unique(numbers))
            rows.append(texts[np.searchsorted(np.unique(numbers), numbers)])
        named = {document: content_hash(text) for document, _, text, _ in [*own, *(others or [])]}
        assert all(named[document] == of for side in rows for document, of in side.iter_rows())
        found = list(zip(rows[0]["document"], rows[1]["document"], strict=True))
        assert len(found) == len(set(found))
        return set(found)


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


def test_ranges_and_files_of_any_size_find_the_same_pairs_in_other_processes(monkeypatch):
    chance = np.random.default_rng(3)
    values = chance.integers(-(2**63), 2**63, 300)
    own = [(f"m{k:03}", k % 7, str(k), chance.choice(values, 4).tolist()) for k in range(200)]
    others = [(f"t{k:03}", k % 7, str(k + 150), chance.choice(values, 4).tolist()) for k in range(200)]
    within, between = candidates(own, most=2), candidates(own, others, most=2)
    assert len(within) > 500 < len(between)
    monkeypatch.setattr(sorted_bands, "_TOGETHER", 32)
    monkeypatch.setattr(candidate_pairs, "_BYTES_PER_HASH", 1 << 20)
    monkeypatch.setattr(candidate_pairs, "_TEXTS_TOGETHER", 5)
    ranges = []

    def counted(batches, fn):
        return candidate_pairs.here((ranges.append(batch) or batch for batch in batches), fn)

    assert candidates(own, most=2, over=counted) == within
    assert len(ranges) > 10
    with contextlib.closing(Compute(workers=1)) as compute:
        assert candidates(own, others, most=2, over=candidate_pairs.across(compute)) == between


def test_a_range_that_cannot_be_joined_is_an_error():
    with contextlib.closing(Compute(workers=1)) as compute:
        over = candidate_pairs.across(compute)
        batch = pa.record_batch({"id": ["7"]})
        with pytest.raises(RuntimeError, match="range 7 of the hashes could not be joined"):
            list(over([batch], candidate_pairs.join_ranges))


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
