"""Matches paths against patterns with stars, in time that grows with the length of the path and of the pattern.

The patterns come from the repositories themselves. As a regular expression, a pattern with a dozen stars takes longer
than anybody waits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

#: Parts of a pattern beside single characters: any one character, any text, and any text without a slash.
ONE, ANY, ANY_NAME = "one character", "any text", "any text without a slash"


class Glob:
    """A pattern, as its parts: single characters, `ONE`, `ANY` and `ANY_NAME`. With `below`, a pattern that matches a
    folder also matches the files in it."""

    def __init__(self, parts: Iterable[str], *, below: bool = False) -> None:
        # Bit n of a number stands for the state in which the first n characters of the pattern have been found.
        self._next: dict[str, int] = {}  # character -> states that are reached with it
        self._next_any = self._stay = self._stay_in_name = 0
        self._below, state = below, 1
        for part in parts:
            if part == ANY:
                self._stay |= state
            elif part == ANY_NAME:
                self._stay_in_name |= state
            else:
                state <<= 1
                if part == ONE:
                    self._next_any |= state
                else:
                    self._next[part] = self._next.get(part, 0) | state
        self._found = state

    def matches(self, path: str) -> bool:
        """Whether the pattern matches the whole path."""
        states = 1
        for character in path:
            if character == "/":
                if self._below and states & self._found:
                    return True
                stay = self._stay
            else:
                stay = self._stay | self._stay_in_name
            reached = self._next.get(character, 0) | self._next_any
            states = states << 1 & reached | states & stay
            if not states:
                return False
        return bool(states & self._found)


@functools.lru_cache(4_096)
def reuse(pattern: str) -> Glob:
    """A pattern of a REUSE.toml: `*` stops at slashes, `**` does not."""
    parts = pattern.replace("**", "\0")
    return Glob({"\0": ANY, "*": ANY_NAME}.get(character, character) for character in parts)


@functools.lru_cache(4_096)
def debian(pattern: str) -> Glob:
    """A pattern of a debian/copyright: `*` also matches slashes, `?` is one character; a folder matches its files."""
    parts = pattern.removeprefix("./").replace("\\", "")
    below = not pattern.endswith("*")
    return Glob(({"*": ANY, "?": ONE}.get(character, character) for character in parts), below=below)
