"""The mixture: the same batches for every number of devices, any step is found alone, nothing is lost or repeated."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.training.mixture import Entry, Mixture, Source
from nemotron_assets.training.shuffle import Shuffled

SIZES = st.lists(st.integers(0, 7), min_size=1, max_size=4).map(tuple)
CATEGORIES = "abcd"


@st.composite
def arguments(draw) -> dict:
    """Arguments of mixtures of up to four categories, some of them empty, with changes of weights."""
    sources = [
        Source(f"{category}{k}", category, draw(SIZES), draw(st.sampled_from([None, None, 1.0, 3.0])))
        for category in CATEGORIES
        for k in range(draw(st.integers(0, 2)))
    ]
    sources.append(Source("z", "z", (3, 1)))  # a category that is never empty
    steps = sorted({1, *draw(st.lists(st.integers(2, 30), max_size=3))})
    weight = st.one_of(st.just(0), st.integers(1, 9), st.floats(0.01, 1))
    entries = [Entry(f"from {step}", step, {name: draw(weight) for name in CATEGORIES} | {"z": 0.5}) for step in steps]
    batch = draw(st.sampled_from([24, 48]))
    return {"seed": draw(st.integers(0, 9)), "entries": entries, "sources": sources, "batch": batch, "mixed": 2}


def mixtures() -> st.SearchStrategy[Mixture]:
    return arguments().map(lambda given: Mixture(**given))


def read(mixture: Mixture, first: int, last: int) -> list[tuple[int, int, int]]:
    """(source, shard, row) of all rows of the steps `first` to `last`."""
    found = []
    for step in range(first, last + 1):
        rows = mixture.rows(step)
        found += zip(rows.sources.tolist(), rows.shards.tolist(), rows.rows.tolist(), strict=True)
    return found


@given(mixtures(), st.integers(1, 60), st.sampled_from([1, 2, 3, 8]))
@settings(max_examples=60)
def test_devices_share_the_same_global_batch(mixture, step, world):
    own = mixture.batch // world
    whole, parts = mixture.rows(step), [mixture.rows(step, rank * own, (rank + 1) * own) for rank in range(world)]
    for name in ("sources", "shards", "rows"):
        assert np.concatenate([getattr(part, name) for part in parts]).tolist() == getattr(whole, name).tolist()


@given(arguments(), st.integers(1, 60))
@settings(max_examples=60)
def test_a_resumed_training_reads_what_the_first_would_have(given, step):
    straight = read(Mixture(**given), 1, step + 1)[-2 * given["batch"] :]
    assert read(Mixture(**given), step, step + 1) == straight


@given(mixtures(), st.integers(1, 40))
@settings(max_examples=60)
def test_nothing_is_lost_or_repeated_over_changes_of_weights(mixture, steps):
    seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, shard, row in read(mixture, 1, steps):
        seen[source].append((shard, row))
    for number, source in enumerate(mixture.sources):
        every = {(shard, row) for shard, size in enumerate(source.sizes) for row in range(size)}
        epochs = [seen[number][at : at + len(every)] for at in range(0, len(seen[number]), len(every) or 1)]
        assert all(len(set(epoch)) == len(epoch) and set(epoch) <= every for epoch in epochs)
        assert all(set(epoch) == every for epoch in epochs[:-1]), "an epoch ends before the next one begins"
    used = {u.source: u.sequences for u in mixture.used(steps)}
    assert used == {source.name: len(seen[number]) for number, source in enumerate(mixture.sources)}


@given(mixtures())
@settings(max_examples=60)
def test_no_category_is_a_sequence_off_its_share_after_any_prefix_of_an_entry(mixture):
    for number, entry in enumerate(mixture.entries):
        shares, counts = mixture.shares(number), Counter()
        assert sum(shares.values()) == pytest.approx(1)
        last = mixture.entries[number + 1].first_step if number + 1 < len(mixture.entries) else entry.first_step + 4
        names = [mixture.sources[source].category for source, _, _ in read(mixture, entry.first_step, last - 1)]
        for place, name in enumerate(names, 1):
            counts[name] += 1
            assert all(abs(counts[c] - shares.get(c, 0) * place) < 1 + 1e-9 for c in mixture.categories)


def test_an_empty_category_is_named_and_the_others_share_its_weight():
    sources = [Source("web", "crawl", (5,)), Source("none", "math", (0, 0)), Source("files", "code", (9,))]
    mixture = Mixture(0, [Entry("first", 1, {"crawl": 1, "math": 2, "code": 3, "wiki": 4})], sources, 8)
    assert mixture.missing == ("math", "wiki")
    assert mixture.shares(0) == {"crawl": 0.25, "code": 0.75}
    assert mixture.given(10) == {"crawl": 20, "math": 0, "code": 60}
    with pytest.raises(ValueError, match="the phase first has no sequences to train on"):
        Mixture(0, [Entry("first", 1, {"math": 1})], sources, 8)


def test_sources_of_a_category_take_turns_by_their_sizes_or_weights():
    sources = [Source("large", "code", (30, 30)), Source("small", "code", (20,))]
    used = Mixture(0, [Entry("a", 1, {"code": 1})], sources, 8).used(10)
    assert [(u.sequences, u.epochs) for u in used] == [(60, 1.0), (20, 1.0)]
    weighed = [Source("large", "code", (30, 30), 1.0), Source("small", "code", (20,), 1.0)]
    assert [u.epochs for u in Mixture(0, [Entry("a", 1, {"code": 1})], weighed, 8).used(10)] == [40 / 60, 2.0]
    tiny = [Source("huge", "code", (1 << 40,)), Source("tiny", "code", (1,))]
    assert sum(u.sequences for u in Mixture(0, [Entry("a", 1, {"code": 1})], tiny, 8).used(1)) == 8


def test_a_far_step_is_found_without_the_steps_before_it():
    sources = [Source(f"s{k}", f"c{k}", (4_096,) * 50) for k in range(13)]
    entries = [Entry(str(n), 1 + n * 10**6, {f"c{k}": (k + n) % 13 + 1 for k in range(13)}) for n in range(3)]
    mixture = Mixture(1, entries, sources, 736, 16)
    rows = mixture.rows(3_317_128)
    assert len(set(zip(rows.sources.tolist(), rows.shards.tolist(), rows.rows.tolist(), strict=True))) == 736
    assert sum(mixture.given(3_317_128).values()) == 736 * 3_317_128


@pytest.mark.parametrize("step", [0, -3])
def test_there_is_no_step_before_the_first_one(step):
    mixture = Mixture(0, [Entry("x", 1, {"a": 1})], [Source("a", "a", (1,))], 1)
    with pytest.raises(ValueError, match=f"step {step} of a mixture: the first step is 1"):
        mixture.rows(step)
    assert mixture.given(0) == {"a": 0}, "nothing is read before the first step"


@pytest.mark.parametrize("steps", [[], [2], [1, 5, 5], [1, 7, 3]])
def test_entries_that_are_not_in_order(steps):
    with pytest.raises(ValueError, match="the entries of a mixture begin at the steps"):
        Mixture(0, [Entry("x", step, {"a": 1}) for step in steps], [Source("a", "a", (1,))], 1)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=9).filter(any), st.integers(1, 5), st.integers(0, 3))
@settings(max_examples=80)
def test_an_epoch_has_every_sequence_once(sizes, mixed, seed):
    shuffled, every = Shuffled(seed, "source", sizes, mixed), {(s, r) for s, n in enumerate(sizes) for r in range(n)}
    for epoch in range(2):
        shards, rows = shuffled.at(np.arange(epoch * len(every), (epoch + 1) * len(every)))
        assert set(zip(shards.tolist(), rows.tolist(), strict=True)) == every


def test_epochs_seeds_and_sources_have_orders_of_their_own():
    def order(seed, name, epoch):
        shards, rows = Shuffled(seed, name, [50, 50], 2).at(np.arange(100) + 100 * epoch)
        return list(zip(shards.tolist(), rows.tolist(), strict=True))

    orders = [order(1, "a", 0), order(1, "a", 1), order(2, "a", 0), order(1, "b", 0)]
    assert all(one != other for k, one in enumerate(orders) for other in orders[:k])
    rows = [row for _, row in order(1, "a", 0)]
    assert 20 < np.mean(rows[:50]) < 30, "a shuffle mixes rows from everywhere"


def test_few_shards_are_read_at_once():
    shards, _ = Shuffled(0, "a", [100] * 8, 4).at(np.arange(800))
    assert len(set(shards[:400].tolist())) == 4 and len(set(shards.tolist())) == 8
    assert all(len(set(shards[at : at + 40].tolist())) == 4 for at in range(0, 400, 40)), "in every 40 sequences"
