"""Repeated spans compared with a naive version of the definition; how spans are shortened and cut out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron_assets.web.dedup.spans import Span, repeated_spans, shortened, suffix_array, without_spans


def reference(texts: list[bytes], length: int) -> list[Span]:
    """Search for every run of `length` bytes in all bytes before it."""
    seen: dict[bytes, int] = {}
    found = []
    for number, text in enumerate(texts):
        spans = []
        for start in range(len(text) - length + 1):
            run = text[start : start + length]
            if run not in seen:
                seen[run] = number
            elif spans and start <= spans[-1][1]:
                spans[-1][1] = start + length
            else:
                spans.append([start, start + length, seen[run]])
        found += [Span(number, *span) for span in spans]
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(alphabet="ab", max_size=40).map(str.encode), max_size=6), st.integers(1, 6))
def test_spans_follow_the_definition(texts, length):
    assert repeated_spans(texts, length) == reference(texts, length)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([b"one", b"two", b"\x00", b"\xff\xff", b"three "]), max_size=12).map(b"".join),
        max_size=8,
    ),
    st.integers(3, 20),
)
def test_spans_of_arbitrary_bytes(texts, length):
    assert repeated_spans(texts, length) == reference(texts, length)


def test_the_suffix_array_is_sorted():
    data = np.frombuffer(b"mississippi" * 3, np.uint8).copy()
    order = suffix_array(data).tolist()
    assert order == sorted(range(data.size), key=lambda start: data[start:].tobytes())


def test_a_run_across_two_texts_does_not_count():
    assert repeated_spans([b"abcdef", b"abc", b"def"], 6) == []
    assert repeated_spans([b"abcdef", b"xabcdefx"], 6) == [Span(1, 1, 7, 0)]


@pytest.mark.parametrize(
    ("text", "part", "boundary", "left"),
    [
        ("naïve idea", b"\xafve id", "character", "ve id"),
        ("naïve idea here", b"\xafve idea he", "word", " idea "),
        ("the whole words", b"whole", "word", "whole"),
        ("unbroken", b"brok", "word", ""),
        ("日本語、中国語。", "本語、中国".encode(), "word", "、"),
        ("e\u0301te\u0301 froid", "te\u0301 fro".encode(), "word", " "),
        ("one\ntwo\nthree\n", b"ne\ntwo\nth", "line", "two\n"),
        ("one\ntwo\nthree", b"two\nthree", "line", "two\nthree"),
        ("one two", b"ne tw", "line", ""),
    ],
)
def test_spans_are_shortened_to_complete_pieces(text, part, boundary, left):
    data = text.encode()
    start = data.index(part)
    start, end = shortened(data, start, start + len(part), boundary)
    assert data[start:end].decode() == left


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.integers(0, 60), st.integers(0, 60), st.sampled_from(["character", "word", "line"]))
def test_a_shortened_span_is_inside_and_of_whole_characters(text, a, b, boundary):
    data = text.encode()
    start, end = sorted((min(a, len(data)), min(b, len(data))))
    inner = shortened(data, start, end, boundary)
    if inner[0] < inner[1]:
        assert start <= inner[0] and inner[1] <= end
        assert (data[: inner[0]] + data[inner[1] :]).decode() + data[slice(*inner)].decode()


def test_the_remaining_text_is_readable():
    text = "Alpha beta. Gone words here, delta.\n\nGone line.\n\nEnd"
    spans = [(text.index(" Gone words"), text.index("delta")), (text.index("Gone line"), text.index("End") - 2)]
    assert without_spans(text, spans, "word") == "Alpha beta. delta.\n\nEnd"
    assert without_spans("Bär|Bär", [(0, 4)], "character") == "|Bär"
    assert without_spans("same", [(0, 4)], "character") == ""
    assert without_spans("kept", [], "line") == "kept"
