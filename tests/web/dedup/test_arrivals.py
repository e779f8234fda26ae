"""Snapshots arrive in any order, late, changed or again: in the end every table is the same as in the order of time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup.jaccard import jaccard
from nemotron_assets.dedup.shingles import Shingling, shingle_sets
from nemotron_assets.recipe.dedup import Dedup, Substring
from nemotron_assets.web.dedup.tables import (
    DUPLICATES,
    NEAR_DUPLICATES,
    REPEATED_SPANS,
    SIGNATURES,
    UNIQUE_DOCUMENTS,
)
from resources.lakehouse import Lakehouse
from tests.web.dedup.lake import RECIPE, SUBSTRING, TABLES, Graph, deduplicate, finish, make, put, state

SNAPSHOTS = ("A-1", "B-2", "C-3")
#: A few texts fill a chunk, so that another snapshot in a window changes the number of its chunks.
CHUNKS = SUBSTRING.model_copy(update={"chunk_mb": Fraction(1, 1000)})


def text(base: int, changes: int) -> str:
    """One of a few base texts of 60 words, with its last words replaced; steps of 3 are alike, steps of 9 are not."""
    return " ".join([f"w{base}x{k}" for k in range(60 - changes)] + [f"other{base}x{k}" for k in range(changes)])


# Texts with different bases have nothing to do with each other, so that one lake holds many examples.
rows = st.lists(
    st.tuples(st.sampled_from(SNAPSHOTS), st.integers(0, 3), st.integers(0, 9), st.sampled_from([0, 0, 3, 6, 9, 12])),
    max_size=70,
).map(lambda rows: [(f"d{n:02}", s, hour, text(*base), "en") for n, (s, hour, *base) in enumerate(rows)])


def expected(rows, linkage: str) -> dict[str, tuple[str, str]]:
    """Document: (what it is a duplicate of, how), the slow way."""
    order = sorted(rows, key=lambda row: (row[1], row[2], row[0]))
    sets = shingle_sets(pl.Series([row[3] for row in order], dtype=pl.String), Shingling("words", 3, 24))
    pairs = list(itertools.combinations(range(len(order)), 2))
    left, right = np.array(pairs, np.int64).reshape(-1, 2).T
    alike = {p: s >= 0.8 for p, s in zip(pairs, jaccard(sets, left, right), strict=True)}
    found: dict[int, int] = {}
    if linkage == "direct":
        first = {}
        for late in range(len(order)):
            same = first.setdefault(order[late][3], late)
            if same != late:
                found[late] = found.get(same, same)
                continue
            kept = [early for early in range(late) if alike[early, late] and early not in found]
            if kept:
                found[late] = kept[0]
    else:
        root = list(range(len(order)))
        for _ in order:  # labels spread until nothing changes
            for (early, late), yes in alike.items():
                if yes:
                    root[early] = root[late] = min(root[early], root[late])
        found = {late: root[late] for late in range(len(order)) if root[late] != late}
    return {
        order[late][0]: (order[kept][0], "exact" if order[late][3] == order[kept][3] else "near")
        for late, kept in found.items()
    }


def found(lake: Lakehouse) -> dict[str, tuple[str, str]]:
    table = lake.read(DUPLICATES).scan().collect()
    return {row["parents"][0]: (row["duplicate_of"], row["kind"]) for row in table.iter_rows(named=True)}


def reference(rows, recipe: Dedup, folder: Path, substring: Substring = CHUNKS) -> dict[str, list[tuple]]:
    """All rows of all tables, made table by table when every snapshot has arrived."""
    lake = Lakehouse(root=str(folder))
    for snapshot in SNAPSHOTS:
        put(lake, rows, snapshot)
    for table, snapshot in itertools.product(TABLES, SNAPSHOTS):
        make(lake, table, snapshot, recipe, substring)
    assert found(lake) == expected(rows, recipe.linkage)
    return state(lake)


linkages = pytest.mark.parametrize("linkage", ["direct", "components"])
property_test = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
#: Which of the stale steps runs next; the first of them when the list is used up.
choices = st.lists(st.integers(0, 14), max_size=30)


def chooser(choices: list[int]) -> Callable[[int], int]:
    numbers = iter(choices)
    return lambda count: next(numbers, 0) % count


@linkages
@property_test
@given(rows=rows)
def test_every_order_of_arrival_ends_with_the_same_tables(linkage, tmp_path_factory, rows):
    recipe = RECIPE.model_copy(update={"linkage": linkage})
    wanted = reference(rows, recipe, tmp_path_factory.mktemp("lake"))
    for order in itertools.permutations(SNAPSHOTS):
        graph = Graph(Lakehouse(root=str(tmp_path_factory.mktemp("lake"))), recipe, CHUNKS)
        for snapshot in order:
            graph.arrive(rows, snapshot)
            graph.settle()
        assert state(graph.lake) == wanted, order
        unique = graph.lake.read(UNIQUE_DOCUMENTS).scan().select("content_hash").collect()["content_hash"]
        assert unique.is_unique().all()


@linkages
@property_test
@given(
    rows=rows,
    arrivals=st.lists(st.tuples(st.sampled_from(SNAPSHOTS), st.integers(0, 70), st.integers(0, 6)), max_size=3),
    order=st.permutations(SNAPSHOTS),
    choices=choices,
)
def test_snapshots_that_arrive_again_while_steps_are_waiting(linkage, tmp_path_factory, rows, arrivals, order, choices):
    """Snapshots first arrive with some of the rows, and only some of the stale steps run before the next one comes.
    Stale steps run in any order, whether or not what they are made from is stale itself."""
    recipe = RECIPE.model_copy(update={"linkage": linkage})
    graph = Graph(Lakehouse(root=str(tmp_path_factory.mktemp("lake"))), recipe, CHUNKS)
    choose = chooser(choices)
    for snapshot, count, steps in [*arrivals, *((snapshot, len(rows), 6) for snapshot in order)]:
        graph.arrive(rows[:count], snapshot)
        for _ in range(steps):
            if stale := graph.stale():
                graph.run(*stale[choose(len(stale))])
    graph.settle(choose)
    assert state(graph.lake) == reference(rows, recipe, tmp_path_factory.mktemp("lake"))


@linkages
@property_test
@given(
    rows=rows,
    order=st.permutations(SNAPSHOTS),
    kills=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 8)), min_size=1, max_size=8),
    spans=st.booleans(),
)
def test_steps_that_are_killed_at_any_moment(linkage, tmp_path_factory, rows, order, kills, spans):
    """`kills` are steps, counted from the last kill, with the moment at which each is killed. What is stale afterwards
    runs again; a rewritten partition that was not announced would leave what is made from it as it was."""
    recipe = RECIPE.model_copy(update={"linkage": linkage})
    substring = CHUNKS.model_copy(update={"enabled": spans})
    graph = Graph(Lakehouse(root=str(tmp_path_factory.mktemp("lake"))), recipe, substring)
    waiting = list(kills)
    for snapshot in order:
        graph.arrive(rows, snapshot)
        while stale := graph.stale():
            if waiting and waiting[0][0] <= 0:
                graph.run(*stale[0], moments=waiting.pop(0)[1])
            else:
                graph.run(*stale[0])
                waiting[:1] = [(waiting[0][0] - 1, waiting[0][1])] if waiting else []
    assert state(graph.lake) == reference(rows, recipe, tmp_path_factory.mktemp("lake"), substring)


def test_a_partition_that_a_killed_step_rewrote_is_announced_by_the_next_run(tmp_path):
    """b1 links a1 and a2. The step that makes the duplicates of B-2 rewrites those of A-1, and is killed before it
    announces them. It runs again, finds that A-1 needs no rewriting, and announces it all the same."""
    graph = Graph(Lakehouse(root=str(tmp_path)), RECIPE.model_copy(update={"linkage": "components"}))
    rows = [("a1", "A-1", 0, text(0, 0), "en"), ("a2", "A-1", 1, text(0, 9), "en"), ("b1", "B-2", 0, text(0, 6), "en")]
    graph.arrive(rows, "A-1")
    graph.settle()
    before = graph.known["duplicates", "A-1"]
    graph.arrive(rows, "B-2")
    for table in (SIGNATURES, NEAR_DUPLICATES):
        assert graph.run(table, "B-2")
    assert not graph.run(DUPLICATES, "B-2", moments=0), "killed after the commit of A-1's new duplicates"
    assert graph.lake.read(DUPLICATES, "A-1").rows == 1
    assert graph.known["duplicates", "A-1"] == before
    assert (REPEATED_SPANS, "A-1") not in graph.stale()
    assert graph.run(DUPLICATES, "B-2")
    assert graph.known["duplicates", "A-1"] != before
    assert (REPEATED_SPANS, "A-1") in graph.stale()


def test_chunks_of_a_window_of_another_size_do_not_count(tmp_path):
    """B-2 alone is one chunk, in which b2 repeats b1, and too little is left of b2. A-1 makes the window of B-2 larger.
    Then b1 and b2, which are from two hosts, are in different chunks, and b2 is kept. The old chunk is deleted after
    the rest has been decided, and must not decide it."""
    rows = [
        ("b1", "B-2", 0, text(0, 0), "en"),
        ("b2", "B-2", 1, f"zz {text(0, 0)[:120]}", "en"),
        *((f"a{n}", "A-1", n, text(n + 1, 0), "en") for n in range(4)),
    ]
    graph = Graph(Lakehouse(root=str(tmp_path / "lake")), RECIPE, CHUNKS)
    graph.arrive(rows, "B-2")
    graph.settle()
    spans = graph.lake.read(REPEATED_SPANS, "B-2").scan().select("chunk", "why").collect()
    assert set(spans.iter_rows()) == {("1 of 1", "repeated"), ("rest", "too_short")}
    graph.arrive(rows, "A-1")
    graph.settle()
    assert graph.lake.read(REPEATED_SPANS, "B-2").rows == 0
    assert "b2" in graph.lake.read(UNIQUE_DOCUMENTS, "B-2").scan().collect()["parents"].list.first().to_list()
    assert state(graph.lake) == reference(rows, RECIPE, tmp_path / "reference")


ROWS = [
    ("a1", "A-1", 0, text(0, 0), "en"),
    ("a2", "A-1", 1, text(1, 0), "en"),
    ("b1", "B-2", 0, text(0, 3), "en"),
    ("b2", "B-2", 1, text(2, 0), "en"),
    ("c1", "C-3", 0, text(0, 6), "en"),
    ("c2", "C-3", 1, text(2, 0), "en"),
    ("c3", "C-3", 2, text(0, 12), "en"),
]  # fmt: skip


@linkages
@pytest.mark.parametrize("order", [SNAPSHOTS, SNAPSHOTS[::-1]], ids="".join)
def test_snapshots_that_arrive_again_unchanged(linkage, order, tmp_path):
    recipe = RECIPE.model_copy(update={"linkage": linkage})
    lake = Lakehouse(root=str(tmp_path))
    for snapshot in order:
        put(lake, ROWS, snapshot)
        deduplicate(lake, snapshot, recipe)
    assert found(lake) == expected(ROWS, linkage)
    # In the order of time nothing changes, and nothing is rewritten.
    before, versions = state(lake), [lake.read(table).version for table in (NEAR_DUPLICATES,)]
    for snapshot in SNAPSHOTS:
        assert not any(deduplicate(lake, snapshot, recipe).values())
    assert state(lake) == before
    assert [lake.read(table).version for table in (NEAR_DUPLICATES,)] == versions


def test_a_later_snapshot_that_links_two_earlier_texts_takes_their_spans_away(tmp_path_factory):
    """a1 and a2 are too different to be a pair: both are kept, and a2 repeats a span of a1. b1 is like both of them, so
    all three are one component, a2 becomes a duplicate of a1, and the span of a2 must go."""
    recipe = RECIPE.model_copy(update={"linkage": "components"})
    rows = [
        ("a1", "A-1", 0, text(0, 0), "en"),
        ("a2", "A-1", 1, text(0, 9), "en"),
        ("b1", "B-2", 0, text(0, 6), "en"),
    ]  # fmt: skip
    straight, mixed = (Lakehouse(root=str(tmp_path_factory.mktemp("lake"))) for _ in range(2))
    for lake, arrivals in ((straight, ["A-1", "B-2"]), (mixed, ["B-2", "A-1"])):
        for snapshot in arrivals:
            put(lake, rows, snapshot)
            changed = deduplicate(lake, snapshot, recipe)
            if lake is straight:
                late = ["A-1"] if snapshot == "B-2" else []
                assert (changed["duplicates"], changed["repeated_spans"]) == (late, late)
                assert lake.read(REPEATED_SPANS).rows == (0 if late else 1)
        finish(lake, arrivals)
    assert state(mixed) == state(straight)
    assert not any(deduplicate(straight, "A-1", recipe).values())


def test_a_late_snapshot_changes_only_what_it_concerns(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    for snapshot in ("B-2", "C-3"):
        put(lake, ROWS, snapshot)
        deduplicate(lake, snapshot)
    untouched = lake.marker(lake.open(NEAR_DUPLICATES), "data", "C-3", "B-2")
    put(lake, [("a9", "A-1", 0, text(0, 3), "en")], "A-1")
    changed = deduplicate(lake, "A-1")
    assert changed["near_duplicates"] == ["C-3"]  # in B-2 it is an exact copy
    assert changed["duplicates"] == ["B-2", "C-3"]
    assert lake.marker(lake.open(NEAR_DUPLICATES), "data", "C-3", "B-2") == untouched
    put(lake, [("a9", "A-1", 0, text(5, 0), "en")], "A-1")  # it is made again, without anything like the others
    changed = deduplicate(lake, "A-1")
    assert changed["near_duplicates"] == ["C-3"]
    assert changed["duplicates"] == ["B-2", "C-3"]
    assert found(lake) == expected([("a9", "A-1", 0, text(5, 0), "en"), *ROWS[2:]], "direct")


def test_later_snapshots_never_change_earlier_ones_when_linked_directly(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    put(lake, ROWS, "A-1")
    deduplicate(lake, "A-1")
    versions = lake.read(DUPLICATES, "A-1").content(), lake.marker(lake.open(DUPLICATES), "made", "A-1", "")
    for snapshot in ("B-2", "C-3"):
        put(lake, ROWS, snapshot)
        assert "A-1" not in deduplicate(lake, snapshot)["duplicates"]
    assert (lake.read(DUPLICATES, "A-1").content(), lake.marker(lake.open(DUPLICATES), "made", "A-1", "")) == versions


def test_signatures_of_another_recipe_wait_for_their_turn(tmp_path):
    lake = Lakehouse(root=str(tmp_path))
    for snapshot in ("A-1", "B-2"):
        put(lake, ROWS, snapshot)
        deduplicate(lake, snapshot)
    other = RECIPE.model_copy(update={"signatures": RECIPE.signatures.model_copy(update={"word_shingle": 2})})
    deduplicate(lake, "B-2", other)
    assert lake.read(NEAR_DUPLICATES, "B-2").parts().keys() <= {"B-2"}
    changed = deduplicate(lake, "A-1", other)
    assert changed["near_duplicates"] == ["B-2"]
    assert found(lake)["b1"] == ("a1", "near")
