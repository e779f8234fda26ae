"""The harness itself: it finds readers that are too slow, never end, or fail with an error they do not document."""

from __future__ import annotations

import re

import pytest

from tests.fuzz import hostile
from tests.fuzz.hostile import fuzz


def test_quadratic_time_is_found():
    slow = re.compile(rb"^ *(?:-)? *Question")
    with pytest.raises(AssertionError, match=r"s of CPU time, 0\.50 s allowed"):
        fuzz(slow.match, [b"Question"], [b" "], changed=5, repeated=1)


def test_exponential_time_is_found(monkeypatch):
    monkeypatch.setattr(hostile, "_GIVEN_UP_S", 1.0)
    slow = re.compile(rb"(?:a+)+b$")
    with pytest.raises(AssertionError, match="CPU time"):
        fuzz(slow.match, [b"ab"], [b"a"], changed=5, repeated=1)


def test_other_errors_are_found():
    with pytest.raises(UnicodeDecodeError) as caught:
        fuzz(lambda data: data.decode(), [b"text"], [b"\xff"], errors=(KeyError,))
    assert caught.value.__notes__
    fuzz(lambda data: data.decode(), [b"text"], [b"\xff"], errors=(UnicodeDecodeError,))
