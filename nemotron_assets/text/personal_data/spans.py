"""What the finders of personal data share: the type of a match, and a test whether a number ends where it seems to."""

from __future__ import annotations

#: Start and end of a match, in code points; the end is exclusive.
Span = tuple[int, int]


def continues(text: str, end: int) -> bool:
    """Whether a number that seems to end at `end` goes on as a word or as a longer number.

    "4111x" and "4111-22" go on after "4111"; "4111." and "4111 22" do not.
    """
    after = text[end : end + 2]
    return bool(after) and (after[0].isalnum() or after[0] == "_" or (after[0] in ".-/" and after[1:].isalnum()))
