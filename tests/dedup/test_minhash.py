"""Signatures equal those of datasketch bit for bit; the bands of signatures."""

import subprocess
import sys

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup.minhash import NO_BAND, bands, detection_probability, sign, width
from nemotron_assets.dedup.shingles import Shingling, shingle_sets
from tests.dedup.test_shingles import SHINGLINGS, TEXTS
from tests.imports import PROJECT


def datasketch_signature(hashes: np.ndarray, permutations: int, seed: int) -> np.ndarray:
    sketch = MinHash(permutations, seed=seed, hashfunc=int, scheme="affine32")
    sketch.update_batch((hashes >> np.uint64(32)).tolist())
    return sketch.hashvalues


@settings(max_examples=150, deadline=None)
@given(
    st.lists(TEXTS, max_size=4), SHINGLINGS, st.sampled_from([1, 63, 64, 65, 128, 256, 260]), st.integers(0, 2**32 - 1)
)
def test_signatures_are_datasketchs(texts, shingling, permutations, seed):
    signatures, sets = sign(texts, shingling, permutations=permutations, seed=seed), shingle_sets(texts, shingling)
    assert signatures.shape == (len(texts), permutations) and signatures.dtype == np.uint32
    for row in range(len(texts)):
        assert (signatures[row] == datasketch_signature(sets[row], permutations, seed)).all()


def test_signatures_of_long_texts_and_by_rows():
    generator = np.random.default_rng(2)
    texts = [" ".join(map(str, generator.integers(0, 10**6, size))) for size in (3, 4096, 4100, 20_000)]
    mask = np.array([False, True, False, True])
    signatures, sets = sign(texts, Shingling(), mask), shingle_sets(texts, Shingling(), mask)
    for row in range(len(texts)):
        assert (signatures[row] == datasketch_signature(sets[row], 256, 42)).all()


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_bands_agree_where_all_their_minima_do(count, rows, seed):
    generator = np.random.default_rng(seed)
    signatures = generator.integers(0, 2**32, (6, count * rows), np.uint32)
    signatures[3:] = signatures[:3]
    changed = generator.integers(0, count * rows, 3)
    signatures[[3, 4, 5], changed] ^= np.uint32(1 << int(generator.integers(32)))
    numbers = bands(signatures, count, rows)
    assert numbers.shape == (6, count) and numbers.dtype == np.int64
    for text in range(3):
        assert np.flatnonzero(numbers[text] != numbers[text + 3]).tolist() == [changed[text] // rows]
    # Equal minima in two bands do not make the bands equal.
    equal = bands(np.full((1, count * rows), 7, np.uint32), count, rows)
    assert len(set(equal[0].tolist())) == count


def test_a_text_without_shingles_has_no_bands():
    numbers = bands(sign(["", "?!", "word", None]))
    assert (numbers[[0, 1, 3]] == NO_BAND).all()
    assert (numbers[2] != NO_BAND).all()


def test_the_share_of_equal_minima_estimates_the_similarity():
    words = [f"w{k}" for k in range(4000)]
    texts = [" ".join(words), " ".join(words[:3200] + [f"x{k}" for k in range(800)])]
    signatures, sets = sign(texts, permutations=1024), shingle_sets(texts)
    true = len(np.intersect1d(sets[0], sets[1])) / len(np.union1d(sets[0], sets[1]))
    assert np.mean(signatures[0] == signatures[1]) == pytest.approx(true, abs=4 * (true * (1 - true) / 1024) ** 0.5)


def test_signing_into_an_array():
    out = np.zeros((2, width(260)), np.uint32)
    assert out.shape[1] == 320
    for texts in (["one text", "and another"], ["third", ""]):
        signatures = sign(texts, permutations=260, out=out)
        assert np.shares_memory(signatures, out)
        assert (signatures == sign(texts, permutations=260)).all()
    with pytest.raises(ValueError, match=r"out is not a contiguous uint32\[1, 320\], but uint32\[2, 320\]"):
        sign(["one"], permutations=260, out=out)


def test_the_published_bands():
    assert bands(sign(["a b c d e f"], permutations=260), 20, 13).shape == (1, 20)
    assert detection_probability(0.8, 20, 13) == pytest.approx(0.677, abs=1e-3)
    assert detection_probability(0.8) == pytest.approx(0.9972, abs=1e-4)


def test_bands_that_do_not_fit():
    with pytest.raises(ValueError, match="20 bands of 13 rows do not fit signatures of 256 permutations"):
        bands(sign(["a"]), 20, 13)
    with pytest.raises(ValueError, match="at least one permutation"):
        sign(["a"], permutations=0)


def test_the_first_kernel_loads_nothing_that_kernels_do_not_use():
    code = "import sys; from nemotron_assets.dedup.minhash import sign; sign(['a b c d e f']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert {"numba", "scipy.linalg", "awkward", "polars"} & set(done.stdout.split()) == {"numba"}


def test_a_kernel_from_the_cache_prepares_no_compiler():
    sign(["a b c d e f"])  # it is in the cache now
    code = (
        "import sys; from nemotron_assets.dedup.minhash import sign; print(sign(['a b c d e f']).sum(), *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    total, *loaded = done.stdout.split()
    assert int(total) == sign(["a b c d e f"]).sum()
    assert not {"numba.np.arraymath", "numba.np.linalg", "dagster"} & set(loaded)
