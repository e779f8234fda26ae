"""Documents of any number with planted duplicates, made one by one from their numbers, and the truth about them.

A document has about 430 words of a made-up vocabulary, 3 kB in all, so two documents are similar only if one was made
from the other. Documents come in blocks of 20: 17 originals, two changed copies and an exact copy. Every original has
at most one copy. The copies of block b are made from the originals of block `source(b)`, a different block for each b,
which may come earlier or later. A second snapshot has copies of the first one's originals in the same way.

A changed copy has single words replaced; its similarity is about a random number between 0.6 and 0.95. The truth has
the exact similarity of each copy to its original, from sets of 5-grams in plain Python, without the code it judges.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

BLOCK = 20
CHANGED, EXACT = (0, 1), (2,)
#: The original that a block lends for a copy: copies 0, 1 and 2 are made from originals 5, 6 and 7; those of a second
#: snapshot from originals 8, 9 and 10.
LENT = {0: 5, 1: 6, 2: 7}
SHINGLE = 5
FILE_ROWS = 25_000  # about what one of Common Crawl's WARC files leaves
HOSTS = 997


@dataclass(frozen=True)
class Corpus:
    """A snapshot of generated documents, a multiple of 20. Copies are made from the originals of `old`, by default of
    this snapshot."""

    snapshot: str
    documents: int
    seed: int
    old: Corpus | None = None

    def source(self, row: int) -> tuple[Corpus, int] | None:
        """The corpus and row that a copy is made from; None for an original."""
        block, place = divmod(row, BLOCK)
        if place not in LENT:
            return None
        lending = self.old or self
        blocks = max(1, lending.documents // BLOCK)
        return lending, (block * _stride(blocks) + 1) % blocks * BLOCK + LENT[place] + (3 if self.old else 0)

    def text(self, row: int) -> str:
        """The text of a document. It follows from its number alone."""
        found = self.source(row)
        if found is None:
            return " ".join(_words(self.seed, row))
        words = _words(found[0].seed, found[1])
        return " ".join(self._changed(words, row) if row % BLOCK in CHANGED else words)

    def _changed(self, words: list[str], row: int) -> list[str]:
        chance = random.Random(self.seed * 1_000_003 + row)
        share = 1 - 2 / (1 + 1 / chance.uniform(0.6, 0.95))
        each = 1 - (1 - share) ** (1 / SHINGLE)
        return [f"changed{chance.randrange(10**6)}" if chance.random() < each else word for word in words]

    def truth(self) -> Iterator[tuple[int, int, float]]:
        """(row of a copy, row of its original, exact similarity of the two) for every copy."""
        for row in range(self.documents):
            if (found := self.source(row)) is not None:
                similarity = 1.0 if row % BLOCK in EXACT else jaccard(self.text(row), found[0].text(found[1]))
                yield row, found[1], similarity

    def parts(self):
        """The documents as parts of `web.documents`, one part per WARC file."""
        from nemotron_assets.table.parts import Part, Parts

        firsts = range(0, self.documents, FILE_ROWS)
        return Parts(Part(f"file-{n:05}", "1", lambda n=n: self._frames(n)) for n in range(len(firsts)))

    def _frames(self, number: int):
        import polars as pl

        from nemotron_assets.table.ids import content_hash, row_id
        from nemotron_assets.web.tables import DOCUMENTS

        began, last = datetime(2025, 1, 1, tzinfo=UTC), min(self.documents, (number + 1) * FILE_ROWS)
        for first in range(number * FILE_ROWS, last, 1_000):
            rows = range(first, min(first + 1_000, last))
            texts = [self.text(row) for row in rows]
            yield pl.DataFrame(
                {
                    "id": [document_id(self.snapshot, row) for row in rows],
                    "parents": [[row_id("snapshots.pages", self.snapshot, row)] for row in rows],
                    "snapshot": self.snapshot,
                    "warc_file": f"file-{number:05}",
                    "url": [f"https://host{row % HOSTS}.example/{row}" for row in rows],
                    "host": [f"host{row % HOSTS}.example" for row in rows],
                    "fetched_at": [began + timedelta(seconds=row) for row in rows],
                    "language": "en",
                    "language_score": 1.0,
                    "title": "a page",
                    "text": texts,
                    "characters": [len(text) for text in texts],
                    "content_hash": [content_hash(text) for text in texts],
                },
                schema_overrides={"fetched_at": pl.Datetime("us", "UTC")},
            ).select(DOCUMENTS.column_names)


def document_id(snapshot: str, row: int) -> str:
    """The id of a document."""
    from nemotron_assets.table.ids import row_id
    from nemotron_assets.web.tables import DOCUMENTS

    return row_id(DOCUMENTS.full_name, snapshot, row)


def jaccard(one: str, other: str) -> float:
    """The similarity of two texts: the share of common 5-grams of words."""
    left, right = (
        set(zip(*(words[k:] for k in range(SHINGLE)), strict=False)) for words in (one.split(), other.split())
    )
    return len(left & right) / len(left | right)


def _words(seed: int, row: int) -> list[str]:
    import numpy as np

    draw = np.random.Generator(np.random.Philox(key=seed, counter=row << 32))
    count = int(np.clip(430 * np.exp(0.5 * draw.standard_normal() - 0.125), 60, 4_000))
    # Common words come often: the square of an even number falls mostly on low places.
    return _vocabulary()[(draw.random(count) ** 2 * len(_vocabulary())).astype(np.int64)].tolist()


@cache
def _vocabulary():
    """50,000 words of one to four syllables as an array of objects."""
    import numpy as np

    chance = random.Random(0)
    syllables = [a + b + c for a in "bcdfglmnprstvz" for b in "aeiou" for c in ("", "", "n", "r", "s", "l")]
    words: dict[str, None] = {}
    while len(words) < 50_000:
        words["".join(chance.choices(syllables, k=chance.choice((1, 2, 2, 3, 3, 4))))] = None
    return np.array(list(words), object)


@cache
def _stride(blocks: int) -> int:
    """A number without a common divisor with `blocks`, so that multiples of it reach each block once."""
    import math

    return next(n for n in range(max(1, blocks * 5 // 8), 2 * blocks + 2) if math.gcd(n, blocks) == 1)
