"""Numbers of the search for benchmark items by common words, for every stage that searches texts for them."""

from __future__ import annotations

from pydantic import Field

from nemotron_assets.recipe.section import Section


class Overlap(Section):
    """How many common words make a text contain a benchmark item."""

    ngram: int = Field(
        13,
        ge=3,
        le=64,
        description="a page and a benchmark item overlap where they share so many words in a row, an n-gram (default, "
        "as is usual)",
    )
    min_share: float = Field(
        0.2, gt=0, le=1, description="a page has an item if it has at least this share of the item's n-grams (default)"
    )
    min_words: int = Field(
        5,
        ge=3,
        description="questions with fewer words are not looked for. A question with more, but fewer than `ngram`, is "
        "found if a page has all of it and its answer follows (default)",
    )
    answer_words: int = Field(
        60,
        ge=1,
        description="words after a question shorter than `ngram` within which its answer or choices must follow "
        "(default)",
    )
