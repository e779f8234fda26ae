"""Words and shingles compared with a plain version of their written definition."""

import unicodedata

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.dedup import _kernels
from nemotron_assets.dedup.jaccard import jaccard
from nemotron_assets.dedup.shingles import (
    WHITE_SPACE,
    ShingleSets,
    Shingling,
    by_characters,
    lookup_tables,
    shingle_sets,
)
from tests.dedup import reference

#: Text that is hard on a tokeniser: pieces of every script, marks, emoji, all white space, words as long as vectors.
PIECES = st.sampled_from(
    [
        *("a", "B", "the", "quick", "fox", "12", "3.14", "don't", "_", "-", " ", "  ", "\n", "\t ", "\x00", "\x1c"),
        *("x" * 15, "Y" * 16, "z" * 17, "w" * 63, "v" * 64, "u" * 200, "é" * 40),
        *("é", "E\u0301", "ß", "İ", "ΟΔΟΣ", "ς", "Ж", "漢字", "テスト", "ไทย", "नमस्ते", "\U00010400", "𝟘", "Ⅷ", "½"),
        *("\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\ufffd", "\u200d", "\U000e0101", "\U0010ffff"),
        *sorted(map(chr, WHITE_SPACE)),
    ]
)
TEXTS = st.one_of(
    st.lists(PIECES, max_size=60).map("".join),
    st.lists(PIECES, max_size=60).map(" ".join),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=120),
    st.text("ab .é", max_size=300),
)
SHINGLINGS = st.builds(
    Shingling, st.sampled_from(["words", "characters"]), words=st.integers(1, 11), characters=st.integers(1, 30)
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.booleans()), max_size=8), SHINGLINGS)
def test_sets_equal_those_of_real_strings(rows, shingling):
    """There are as many hashes as different strings, and two strings have the same hash exactly if they are equal."""
    sets = shingle_sets(
        pa.array([text for text, _ in rows], pa.large_string()), shingling, np.array([c for _, c in rows], bool)
    )
    assert len(sets) == len(rows)
    expected = [reference.shingles(text, shingling, characters) for text, characters in rows]
    for row, strings in enumerate(expected):
        assert len(sets[row]) == len(strings)
        assert (np.diff(sets[row].astype(object)) > 0).all()
    left, right = np.triu_indices(len(rows))
    kinds = [characters or shingling.unit == "characters" for _, characters in rows]
    for one, other, found in zip(left, right, jaccard(sets, left, right), strict=True):
        if kinds[one] == kinds[other]:  # "a" as a word and "a" as a character are not told apart, and need not be
            assert found == reference.jaccard(expected[one], expected[other])


@given(TEXTS, st.integers(0, 130), SHINGLINGS)
@settings(max_examples=200, deadline=None)
def test_a_text_hashes_the_same_wherever_it_lies(text, shift, shingling):
    """In a buffer of its own, where the last bytes are read one by one, and as a slice of a larger buffer."""
    alone = shingle_sets([text], shingling)[0]
    among = pa.array(["é" * shift, "x" * shift, text, "A tail long enough for whole blocks to be read. " * 4])
    assert shingle_sets(among.slice(2, 1), shingling)[0].tolist() == alone.tolist()
    assert shingle_sets(among, shingling)[2].tolist() == alone.tolist()


def test_texts_longer_than_the_buffer_and_their_repetitions():
    generator = np.random.default_rng(1)
    numbers = generator.integers(0, 3 * _kernels.CHUNK, 5 * _kernels.CHUNK)
    long = [" ".join(map(str, numbers)), "x" * 3 * _kernels.CHUNK, "a b " * 3 * _kernels.CHUNK, "Ж " * _kernels.CHUNK]
    for shingling in (Shingling(), Shingling("characters"), Shingling(words=9)):
        sets = shingle_sets(long, shingling)
        assert sets.sizes.tolist() == [len(reference.shingles(text, shingling, False)) for text in long]


def test_every_code_point_is_what_unicodedata_says():
    table, _, _ = lookup_tables()
    for point in range(0x110000):
        character, entry = chr(point), int(table[point])
        if unicodedata.category(character) in ("Cn", "Co"):
            assert not entry & int(_kernels.IS_WORD)
            continue
        assert bool(entry & int(_kernels.IS_WORD)) == (unicodedata.category(character)[0] in "LMN"), hex(point)
        assert bool(entry & int(_kernels.IS_SPACE)) == (point in WHITE_SPACE), hex(point)
        assert point ^ (entry & 0x1FFFFF) == ord(character.lower()[0]), hex(point)


def test_short_and_empty_texts_and_nulls():
    texts = pa.array(["", None, " \n\u3000", "?!", "One", "one two", "one two three four five", "one two three four"])
    sets = shingle_sets(texts)
    assert sets.sizes.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert len(set(sets.hashes.tolist())) == 4
    characters = shingle_sets(texts, Shingling("characters"))
    assert characters.sizes.tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


def test_the_kinds_of_arrays_that_are_taken():
    texts = ["Some text, with Ümläuts and all.", None, "more of it"]
    expected = shingle_sets(pa.array(texts, pa.large_string()))
    chunked = pa.chunked_array([texts[:1], texts[1:]])
    for given_as in (pa.array(texts), pl.Series(texts), texts, chunked, pa.array(texts, pa.string_view())):
        found = shingle_sets(given_as)
        assert found.hashes.tolist() == expected.hashes.tolist()
        assert found.offsets.tolist() == expected.offsets.tolist()
    assert len(shingle_sets(pa.array([], pa.large_string()))) == 0
    assert len(shingle_sets(pa.chunked_array([], pa.large_string()))) == 0


def test_only_the_wanted_texts():
    sets = shingle_sets(["a b c", "d e f", "g h i"], only=np.array([False, True, False]))
    assert sets.sizes.tolist() == [0, 1, 0]
    assert sets[1].tolist() == shingle_sets(["d e f"])[0].tolist()


def test_languages_without_spaces():
    assert by_characters(["zh", "en", None, "th", "de"]).tolist() == [True, False, False, True, False]


def test_hashes_that_all_begin_alike_are_sorted_too():
    """Texts can be chosen for such hashes; insertion sort alone would take quadratic time."""
    values = np.arange(100_000, dtype=np.uint64)[::-1].copy()
    _kernels._sort(values, np.empty_like(values), np.empty(1 << 20, np.int32))
    assert (values == np.arange(100_000, dtype=np.uint64)).all()


@pytest.mark.parametrize("unit, words, characters", [("bytes", 5, 24), ("words", 0, 24), ("characters", 5, 2000)])
def test_impossible_shingles_are_refused(unit, words, characters):
    with pytest.raises(ValueError, match="shingle"):
        Shingling(unit, words, characters)


def test_masks_of_another_length():
    with pytest.raises(ValueError, match=r"by_characters has the shape \(1,\), but there are 2 texts"):
        shingle_sets(["a", "b"], by_characters=np.array([True]))
    with pytest.raises(ValueError, match=r"only has the shape \(3,\), but there are 2 texts"):
        shingle_sets(["a", "b"], only=np.zeros(3, bool))


def test_invalid_utf8_does_no_harm():
    """Arrow does not check bytes. Whatever they are, no byte beyond a text is read and the result is deterministic."""
    broken = [b"\xf0\x9f", b"a\xc3", b"\xff\xfe word \x80\x80", b"\xf8\x88\x80\x80\x80", b"\xf7\xbf\xbf\xbf"]
    data = b"".join(broken)
    offsets = np.cumsum([0, *map(len, broken)])
    texts = pa.Array.from_buffers(pa.large_string(), len(broken), [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    for shingling in (Shingling(), Shingling("characters")):
        once, twice = shingle_sets(texts, shingling), shingle_sets(texts, shingling)
        assert once.hashes.tolist() == twice.hashes.tolist()


def test_concatenating_sets():
    parts = [shingle_sets(["a b", ""]), shingle_sets([]), shingle_sets(["c d"])]
    whole = ShingleSets.concatenate(parts)
    assert whole.sizes.tolist() == [1, 0, 1]
    assert whole[2].tolist() == parts[2][0].tolist()
    assert len(ShingleSets.concatenate([])) == 0
