"""The tables that academic documents can be chosen from. Imports nothing, because table declarations read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The columns of a table that academic documents are chosen from: the hash or address that decides whether a
    document is held out, the column whose highest values are the best documents, and a score of educational value (0 to
    5), or None."""

    origin: str
    best: str
    score: str | None = None


#: Every table with texts that academic documents can be chosen from. A new table needs an entry here.
TABLES: dict[str, Layout] = {
    "web.curated": Layout("url", "bucket"),
    "math.nemotron_cc_math": Layout("origin_hash", "finemath_scores", "nemocurator_scores"),
}
