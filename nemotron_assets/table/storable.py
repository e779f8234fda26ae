"""Makes any Python text storable: half of a surrogate pair is valid in JSON and in Python, but in no table."""

from __future__ import annotations


def storable(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair; two halves that belong together become a character.

    Example: the JSON text "a\\ud83d" ends in half an emoji, and becomes "a" and U+FFFD.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
