"""Decompressing gzip and zlib data: any division into members and blocks gives the same bytes, in linear time."""

from __future__ import annotations

import gzip
import io
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources import gunzip


class Dripping(io.BytesIO):
    """A stream that returns only a few bytes at a time, as a connection may."""

    def read(self, size: int = -1) -> bytes:
        return super().read(min(size, 7) if size > 0 else size)


def unpacked(data: bytes, form: int = gunzip.GZIP, stream: type[io.BytesIO] = io.BytesIO) -> bytes:
    return b"".join(gunzip.inflated(stream(data), form))


@given(st.lists(st.tuples(st.binary(max_size=3000), st.integers(1, 400), st.integers(0, 9)), min_size=1, max_size=6))
def test_members_are_joined_as_gzip_joins_them(members):
    data = b"".join(gzip.compress(part * times, level, mtime=0) for part, times, level in members)
    assert unpacked(data) == gzip.decompress(data) == unpacked(data, stream=Dripping)
    assert unpacked(data + b"junk after the last member") == gzip.decompress(data)


@given(st.binary(max_size=5000))
def test_the_other_forms(content):
    packed = zlib.compress(content)
    assert unpacked(packed, gunzip.ZLIB) == unpacked(packed[2:-4], gunzip.BARE) == content


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", EOFError),
        (gzip.compress(b"text")[:-1], EOFError),
        (gzip.compress(b"text") + b"\x1f\x8b", EOFError),
        (b"no gzip at all", zlib.error),
        (gzip.compress(b"text")[:-8] + b"\0" * 8, zlib.error),
        (gzip.compress(b"") * 2_000, ValueError),
    ],
)
def test_damage_is_an_error(data, error):
    with pytest.raises(error):
        unpacked(data)


def test_a_bomb_comes_out_in_small_pieces():
    assert max(map(len, gunzip.inflated(io.BytesIO(gzip.compress(b"a" * (32 << 20)))))) <= 1 << 20


def test_zlib_is_never_given_more_than_a_few_times_what_a_member_has(monkeypatch):
    """`zlib` copies what follows a member, so that the time for many members is the sum of what it was given."""
    given_bytes = 0
    real = zlib.decompressobj

    class Counting:
        def __init__(self, form):
            self.inner = real(form)

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def decompress(self, packed, most):
            nonlocal given_bytes
            given_bytes += len(packed)
            return self.inner.decompress(packed, most)

    monkeypatch.setattr(gunzip.zlib, "decompressobj", Counting)
    for count in (500, 5_000):
        given_bytes, data = 0, gzip.compress(b"x", mtime=0) * count
        assert unpacked(data) == b"x" * count
        assert given_bytes <= gunzip._FIRST * count
