"""Numbers of things in messages."""

from __future__ import annotations


def counted(number: int, thing: str, plural: str = "") -> str:
    """A number with what it counts: "1 file", "1,200 files". A plural that does not end with an "s" is given."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {plural or f'{thing}s'}"
