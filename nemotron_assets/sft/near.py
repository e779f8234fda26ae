"""Finds questions that repeat earlier ones: exactly, or nearly by the house's MinHash with exact verification."""

from __future__ import annotations

from collections.abc import Sequence

from nemotron_assets.recipe.sft.stem import NearQuestions
from nemotron_assets.sft.options import key


def repeats(known: Sequence[str], new: Sequence[str], recipe: NearQuestions) -> dict[int, tuple[str, float]]:
    """{number of a new question: (the earlier question that it repeats, their similarity)}.

    Earlier questions are the known ones and the new ones before it that are kept. The similarity of equal questions is
    1; case and white space do not matter.
    """
    first: dict[str, str] = {}
    for text in known:
        first.setdefault(key(text), text)
    found: dict[int, tuple[str, float]] = {}
    for number, text in enumerate(new):
        if (name := key(text)) in first:
            found[number] = first[name], 1.0
        first.setdefault(name, text)
    left = [number for number in range(len(new)) if number not in found]
    return found | _near(known, [new[number] for number in left], left, recipe) if left else found


def _near(
    known: Sequence[str], new: Sequence[str], numbers: Sequence[int], recipe: NearQuestions
) -> dict[int, tuple[str, float]]:
    import pyarrow as pa

    from nemotron_assets.dedup.in_memory import find
    from nemotron_assets.dedup.shingles import Shingling

    texts = [*known, *new]
    near = find(
        [pa.array(texts, pa.large_string())],
        Shingling("characters", characters=recipe.characters),
        threshold=recipe.min_similarity,
        permutations=recipe.permutations,
        bands_by_rows=(recipe.bands, recipe.rows),
    )
    return {
        number: (texts[near.duplicate_of[at]], float(near.duplicate_similarity[at]))
        for at, number in enumerate(numbers, len(known))
        if near.duplicate_of[at] >= 0
    }
