"""Near-duplicates in memory, compared with all pairs of sets of strings."""

import itertools
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup.in_memory import candidates, find, lowest_agreement
from nemotron_assets.dedup.minhash import NO_BAND
from nemotron_assets.dedup.shingles import Shingling
from tests.dedup import reference


def changed(words: list[str], share: float, chance: random.Random) -> list[str]:
    return [f"{word}{chance.random()}" if chance.random() < share else word for word in words]


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    """Groups of texts with more or fewer changes, in random order, and texts of two words or no words between them."""
    chance = random.Random(4)
    texts = ["", "?!", "two words", "Two  words!", "..."]
    for family in range(30):
        words = [
            f"{chance.choice('abcdefgh')}{chance.randrange(500)}-{family}" for _ in range(chance.randrange(30, 300))
        ]
        texts += [" ".join(changed(words, share, chance)) for share in (0, 0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1)]
    chance.shuffle(texts)
    return texts


@pytest.fixture(scope="module", params=["words", "characters"])
def judged(request, corpus):
    shingling = Shingling(request.param)
    numbers: dict[tuple, int] = {}
    sets = [
        {numbers.setdefault(s, len(numbers)) for s in reference.shingles(text, shingling, False)} for text in corpus
    ]
    truth = {}
    for (one, a), (other, b) in itertools.combinations(enumerate(sets), 2):
        if min(len(a), len(b)) >= 0.5 * max(len(a), len(b)) and (similarity := reference.jaccard(a, b)) >= 0.8:
            truth[one, other] = similarity
    return truth, find([pa.array(corpus[:100]), pa.array(corpus[100:])], shingling)


def test_pairs_against_all_pairs(judged):
    truth, found = judged
    pairs = dict(
        zip(zip(found.left.tolist(), found.right.tolist(), strict=True), found.similarity.tolist(), strict=True)
    )
    assert len(truth) > 250
    assert pairs.items() <= truth.items()  # precision 1, and exactly the similarity
    assert len(pairs) >= 0.99 * len(truth)
    assert len(found.left) < found.candidates < 20 * len(truth)


def test_every_duplicate_names_a_kept_text(judged):
    truth, found = judged
    removed = np.flatnonzero(found.duplicate_of >= 0).tolist()
    assert removed
    for text in removed:
        other = int(found.duplicate_of[text])
        assert other < text and found.duplicate_of[other] < 0
        assert truth[other, text] == found.duplicate_similarity[text]
        assert found.cluster[text] == found.cluster[other]
    assert np.isnan(found.duplicate_similarity[found.duplicate_of < 0]).all()


def test_texts_without_shingles_are_all_kept():
    found = find([pa.array(["", "?!", None, "same text", "...", "same text"])])
    assert found.duplicate_of.tolist() == [-1, -1, -1, -1, -1, 3]


def test_batches_and_masks_do_not_change_the_result():
    texts = [
        "我们的祖国是花园，花园里花朵真鲜艳，和暖的阳光照耀着我们，每个人脸上都笑开颜。",
        "Once upon a time there was",
    ] * 2
    mask = np.array([True, False, True, False])
    once = find([(pa.array(texts), mask)])
    apart = find([(pa.array(texts[:1]), mask[:1]), (pa.array(texts[1:]), mask[1:])])
    assert once.duplicate_of.tolist() == apart.duplicate_of.tolist() == [-1, -1, 0, 1]
    assert find([]).duplicate_of.tolist() == []


def test_a_source_that_changes_when_it_is_read_again():
    class Changing:
        def __init__(self):
            self.batches = [["a b c", "a b c"], ["a b c"]]

        def __iter__(self):
            return iter([pa.array(self.batches.pop(0))])

    with pytest.raises(RuntimeError, match="the source gave 1 texts when it was read again, but 2 the first time"):
        find(Changing())


#: Keys without structure, like real ones.
KEYS = [*np.random.default_rng(6).integers(-(2**63), 2**63, 5).tolist(), NO_BAND]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(KEYS), min_size=3, max_size=3), max_size=40),
    st.integers(0, 5),
)
def test_candidates_are_the_window_and_the_first_of_each_bucket(rows, window):
    keys = np.array(rows, np.int64).reshape(-1, 3)
    expected = set()
    for band in range(3):
        buckets: dict[int, list[int]] = {}
        for text, key in enumerate(keys[:, band].tolist()):
            if key == NO_BAND:
                continue
            members = buckets.setdefault(key, [])
            expected |= {(other, text) for other in {*members[:1], *(members[-window:] if window else [])}}
            members.append(text)
    left, right, limited = candidates(keys, window)
    assert list(zip(left.tolist(), right.tolist(), strict=True)) == sorted(expected)
    for band in range(3):
        for key in set(keys[:, band].tolist()) - {NO_BAND}:
            members = np.flatnonzero(keys[:, band] == key)
            assert len(members) <= window + 2 or limited[members].all()
            every = set(itertools.combinations(members.tolist(), 2))
            assert every <= expected or limited[members].all()


def test_a_large_bucket_stays_linear_and_hides_no_pair():
    """3,000 pages of one template with similarities of about 0.65, and among them, far apart, pairs of 0.8 and more."""
    chance = random.Random(5)
    template = [f"t{k}" for k in range(240)]

    def page(own: list[str]) -> str:
        return " ".join(template[:120] + own + template[120:])

    pages = [[f"p{number}x{k}" for k in range(52)] for number in range(2900)]
    texts = [page(own) for own in pages]
    twins = [changed(own, 0.06, chance) for own in pages[:100]]
    texts += [page(own) for own in twins]
    found = find([pa.array(texts)])
    assert found.candidates < len(texts) ** 2 / 8
    shingling = Shingling()
    wanted = [
        (number, 2900 + number)
        for number in range(100)
        if reference.jaccard(*(reference.shingles(texts[k], shingling, False) for k in (number, 2900 + number))) >= 0.8
    ]
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert len(wanted) > 90
    assert pairs >= set(wanted)
    assert len(pairs) < 200


def test_pairs_are_dropped_unchecked_only_far_below_the_threshold():
    assert lowest_agreement(0.8, 256) == pytest.approx(0.65)
    assert lowest_agreement(0.8, 64) < lowest_agreement(0.8, 260) < 0.8
