"""The exact similarity of sets of shingles, compared with numpy's sets."""

import numpy as np
import pytest

from nemotron_assets.dedup.jaccard import containment, jaccard
from nemotron_assets.dedup.shingles import shingle_sets


def test_within_one_collection_and_between_two():
    sets = shingle_sets(["a b c d e f g", "", "x"])
    other = shingle_sets(["a b c d e f h", "a b c d e f g", "?"])
    assert jaccard(sets, [0, 0, 1, 1, 2], [0, 1, 1, 0, 2]).tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert jaccard(sets, [0, 0, 1], [0, 1, 2], other).tolist() == [0.5, 1.0, 0.0]
    assert jaccard(sets, [], []).tolist() == []


def test_equals_numpys_sets():
    generator = np.random.default_rng(3)
    texts = [" ".join(map(str, generator.integers(0, 8, size))) for size in generator.integers(0, 200, 40)]
    sets = shingle_sets(texts)
    left, right = np.triu_indices(len(texts))
    for one, other, value in zip(left, right, jaccard(sets, left, right), strict=True):
        union = len(np.union1d(sets[one], sets[other]))
        assert value == (len(np.intersect1d(sets[one], sets[other])) / union if union else 0.0)


def test_containment_is_the_share_of_the_smaller_set():
    generator = np.random.default_rng(4)
    whole = " ".join(map(str, generator.integers(0, 9, 80)))
    texts = ["", whole, whole[:60], f"{whole} {whole[::-1]}", "something else that is not in it at all"]
    sets = shingle_sets(texts)
    left, right = np.triu_indices(len(texts))
    found = containment(jaccard(sets, left, right), sets.sizes[left], sets.sizes[right])
    for one, other, value in zip(left, right, found, strict=True):
        smaller = min(len(np.unique(sets[one])), len(np.unique(sets[other])))
        assert value == (len(np.intersect1d(sets[one], sets[other])) / smaller if smaller else 0.0)


def test_rows_that_do_not_exist():
    sets = shingle_sets(["a", "b"])
    with pytest.raises(IndexError, match="pairs name rows 0 to 2, but there are 2 texts"):
        jaccard(sets, [0, 1], [0, 2])
    with pytest.raises(IndexError):
        jaccard(sets, [0], [-1])
    with pytest.raises(ValueError, match="1 rows on the left cannot be paired with 2"):
        jaccard(sets, [0], [0, 1])
