"""`in_threads`: the order of the items, bounded reading ahead, and errors in their place."""

from __future__ import annotations

import threading

import pytest

from nemotron_assets.dedup.threads import in_threads


def test_items_are_processed_at_the_same_time_and_results_keep_their_order():
    both = threading.Barrier(2, timeout=60)

    def meet(item: int) -> int:
        both.wait()  # passes only if two items are processed at the same time
        return -item

    assert list(in_threads(meet, range(6), threads=2)) == [0, -1, -2, -3, -4, -5]


def test_few_items_are_read_ahead():
    taken = []
    results = in_threads(str, (taken.append(n) or n for n in range(99)), threads=3)
    assert next(results) == "0" and taken == [0, 1, 2, 3]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_comes_after_the_results_before_it(threads):
    results = in_threads(lambda item: 1 // (2 - item), range(9), threads)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
