"""A plain version of the definition of shingles and of the Jaccard similarity, with strings and sets."""

from __future__ import annotations

import itertools
import unicodedata

from nemotron_assets.dedup.shingles import WHITE_SPACE, Shingling


def normalised(text: str) -> str:
    lowered = "".join(character.lower()[0] for character in text)
    spaced = "".join(" " if ord(character) in WHITE_SPACE else character for character in lowered)
    return " ".join(filter(None, spaced.split(" ")))


def words(text: str) -> list[str]:
    """Maximal runs of letters, marks and numbers, of the text before lower-casing."""
    runs = itertools.groupby(text, lambda character: unicodedata.category(character)[0] in "LMN")
    return ["".join(character.lower()[0] for character in run) for inside, run in runs if inside]


def shingles(text: str | None, shingling: Shingling, characters: bool) -> set[tuple[str, ...]]:
    if characters or shingling.unit == "characters":
        units, size = tuple(normalised(text or "")), shingling.characters
    else:
        units, size = tuple(words(text or "")), shingling.words
    if not units:
        return set()
    return {units[k : k + size] for k in range(max(1, len(units) - size + 1))}


def jaccard(one: set, other: set) -> float:
    return len(one & other) / len(one | other) if one | other else 0.0
