"""Repeated spans over a window of snapshots, and documents that are dropped because the cuts leave nothing new."""

from __future__ import annotations

import contextlib
import itertools
from fractions import Fraction

import polars as pl
import pytest

from nemotron_assets.table.ids import content_hash
from nemotron_assets.web.dedup.substring import REST, SnapshotSpans
from nemotron_assets.web.dedup.tables import REPEATED_SPANS, UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS
from resources.compute import Compute
from resources.lakehouse import Lakehouse
from tests.web.dedup.lake import SUBSTRING, deduplicate, finish, put, state

SNAPSHOTS = ("A-1", "B-2", "C-3")
FRAME = "Subscribe to our newsletter and never miss a story about lakes again."


def prose(name: str) -> str:
    return " ".join(f"{name}{k}" for k in range(30))


ROWS = [
    ("a1", "A-1", 0, f"{prose('alpha')}\n\n{FRAME}", "en"),
    ("a2", "A-1", 1, f"{prose('beta')}\n\n{FRAME}\n\n{prose('gamma')}", "en"),
    ("b1", "B-2", 0, f"{FRAME}\n\n{prose('delta')}", "en"),
    ("b2", "B-2", 1, f"{prose('alpha')} ending. {FRAME}", "en"),  # near a1: dropped before
    ("b3", "B-2", 2, FRAME, "en"),
    ("c1", "C-3", 0, f"{prose('epsilon')}\n\n{FRAME}", "en"),
    ("c2", "C-3", 1, "Short, unlike others.", "en"),
    ("c3", "C-3", 2, f"Short, unlike others.\n\n{FRAME}", "en"),
]


def arrive(lake: Lakehouse, order, substring=SUBSTRING, rows=ROWS) -> None:
    for snapshot in order:
        put(lake, rows, snapshot)
        deduplicate(lake, snapshot, substring=substring)
    finish(lake, SNAPSHOTS, substring)


def unique(lake: Lakehouse) -> dict[str, str]:
    rows = lake.read(UNIQUE_DOCUMENTS).scan().collect()
    assert rows["content_hash"].to_list() == [content_hash(text) for text in rows["text"]]
    assert (rows["characters"] == rows["text"].str.len_chars()).all()
    return dict(zip(rows["parents"].list.first(), rows["text"], strict=True))


def spans(lake: Lakehouse) -> dict[str, tuple]:
    rows = lake.read(REPEATED_SPANS).scan().sort(pl.col("why") != "repeated").collect()
    return {row["parents"][0]: (row["why"], row["first_document"]) for row in rows.iter_rows(named=True)}


def test_repeated_spans_are_cut_and_the_first_occurrence_stays(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    arrive(lake, SNAPSHOTS)
    assert unique(lake) == {
        "a1": ROWS[0][3],
        "a2": f"{prose('beta')}\n\n{prose('gamma')}",
        "b1": prose("delta"),
        "c1": prose("epsilon"),
        "c2": "Short, unlike others.",
    }
    found = spans(lake)
    assert found["a2"] == ("repeated", "a1")
    assert found["b1"] == ("repeated", "a1")
    assert found["b3"] == ("too_short", "b3")
    # The window is of two snapshots: for C-3 the frame stands first in B-2.
    assert found["c1"] == ("repeated", "b1")
    assert found["c3"] == ("same_rest", "c2")
    assert "b2" not in found


@pytest.mark.parametrize("order", list(itertools.permutations(SNAPSHOTS))[1:], ids="".join)
def test_the_order_of_arrival_does_not_matter(order, tmp_path):
    straight, mixed = Lakehouse(root=str(tmp_path / "straight")), Lakehouse(root=str(tmp_path / "mixed"))
    arrive(straight, SNAPSHOTS)
    arrive(mixed, order)
    assert state(mixed) == state(straight)


def test_a_text_that_is_left_by_a_cut_elsewhere_is_kept_once(tmp_path):
    """The remaining text of a new document equals an old document outside the window."""
    short = "A short text of its own."
    rows = [
        ("a1", "A-1", 0, short, "en"),
        ("b1", "B-2", 0, f"{prose('beta')}\n\n{FRAME}", "en"),
        ("c1", "C-3", 0, f"{short}\n\n{FRAME}", "en"),
    ]
    lake = Lakehouse(root=str(tmp_path))
    arrive(lake, ("C-3", "B-2", "A-1"), rows=rows)
    assert spans(lake)["c1"] == ("same_rest", "a1")
    assert unique(lake).keys() == {"a1", "b1"}


def test_the_recipe_can_switch_the_search_off(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    arrive(lake, SNAPSHOTS)
    off = SUBSTRING.model_copy(update={"enabled": False})
    for snapshot in SNAPSHOTS:
        deduplicate(lake, snapshot, substring=off)
    finish(lake, SNAPSHOTS, off)
    assert lake.read(REPEATED_SPANS).rows == 0
    kept = unique(lake)
    assert kept == {row[0]: row[3] for row in ROWS if row[0] != "b2"}


def test_windows_larger_than_a_chunk_are_split_by_host(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    filler = " ".join(f"filler{k}" for k in range(100_000))  # more than a megabyte
    rows = [
        ("a1", "A-1", 0, f"{filler}\n\n{FRAME}", "en"),
        ("a2", "A-1", 1, f"{prose('beta')}\n\n{FRAME}", "en"),
        ("a3", "A-1", 2, f"{prose('gamma')}\n\n{FRAME}", "en"),
    ]
    put(lake, rows, "A-1")
    deduplicate(lake, "A-1")
    chunks = lake.read(REPEATED_SPANS).scan().filter(pl.col("why") == "repeated").select("chunk").collect()["chunk"]
    # One host, so one chunk of two, in pieces: the first document fills a suffix array of its own.
    assert len(set(chunks)) == 1 and chunks[0].endswith(" of 2")
    assert spans(lake) == {"a3": ("repeated", "a2")}
    texts = lake.read(DOCUMENTS).scan().select("id", "text").collect()
    assert texts.height == 3


def test_workers_find_the_same_spans(tmp_path):
    """A host has more text than a chunk may have, so that its chunk is searched in pieces."""
    small = SUBSTRING.model_copy(update={"chunk_mb": Fraction(1, 1000)})
    rows = [
        (f"a{n}", "A-1", n, f"{host} {prose(f'x{n}')}\n\n{FRAME}", "en")
        for n, host in enumerate(["aa"] * 6 + ["bb"] * 6)
    ]
    lake = Lakehouse(root=str(tmp_path))
    put(lake, rows, "A-1")
    deduplicate(lake, "A-1", substring=small)

    def found(compute: Compute | None) -> dict[str, pl.DataFrame]:
        parts = SnapshotSpans(lake, "A-1", small, 128, compute=compute).parts()
        return {part.key: pl.concat(part.make()) for part in parts if part.key != REST}

    alone = found(None)
    assert len(alone) > 2 and sum(map(len, alone.values())) > 4
    with contextlib.closing(Compute(workers=1)) as compute:
        together = found(compute)
    assert alone.keys() == together.keys() and all(alone[name].equals(together[name]) for name in alone)
