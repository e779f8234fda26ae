"""Shared by the tests of synthetic data: documents of web.curated, and a token counter that counts words."""

from __future__ import annotations

import polars as pl

from nemotron_assets.table.ids import content_hash, row_id

SNAPSHOT = "CC-MAIN-2024-51"


def words(texts):
    """The number of words of each text, instead of tokens."""
    return [len(text.split()) for text in texts]


def animals(*names: str, level: str = "high", lines: int = 3) -> pl.DataFrame:
    """Documents of `lines` lines of about 40 tokens, one per animal."""
    rows = []
    for name in names:
        text = "\n".join(
            f"The {name} of valley {i} was counted by the rangers in {1990 + i}; they found {i * 7 + 3} animals "
            f"and wrote down where each one slept, what it ate, and how far it moved in a night."
            for i in range(1, lines + 1)
        )
        rows.append(
            {
                "id": row_id("web.curated", name),
                "parents": [row_id("web.unique_documents", name)],
                "snapshot": SNAPSHOT,
                "url": f"http://example.org/{name}",
                "language": "en",
                "level": level,
                "bucket": {"high": 19, "low": 3}.get(level, 14),
                "text": text,
                "characters": len(text),
                "content_hash": content_hash(text),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"bucket": pl.Int32})
