"""Ground truth of the embedded sample: its pages with formulas, and the formulas. For checks, examples, benchmarks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from resources.crawl import SAMPLE


@dataclass(frozen=True)
class DetectorScores:
    """The detector on pages whose formulas are known. `true`: pages with formulas; `found`: candidates; `missed`: URLs
    of pages with formulas that are not candidates; `wrong`: URLs of candidates without formulas."""

    true: int
    found: int
    missed: list[str]
    wrong: list[str]

    @property
    def recall(self) -> float:
        """The share of the pages with formulas that are candidates."""
        return 1 - len(self.missed) / self.true if self.true else 1.0

    @property
    def precision(self) -> float:
        """The share of the candidates that have formulas."""
        return 1 - len(self.wrong) / self.found if self.found else 1.0


def pages_with_formulas() -> Iterator[dict]:
    """The sample's pages with formulas, with the keys snapshot, url, also ([snapshot, url] of copies of the page),
    encodings ({encoding: formulas}) and tex ([encoding, TeX] of every formula)."""
    yield from _lines("math.jsonl.gz")


def formulas_of(snapshot: str) -> dict[str, list[tuple[str, str]]]:
    """{url: [(encoding, TeX)]} of the sample's pages with formulas in a snapshot."""
    found = {}
    for page in pages_with_formulas():
        for page_snapshot, url in [(page["snapshot"], page["url"]), *page["also"]]:
            if page_snapshot == snapshot:
                found[url] = [(encoding, tex) for encoding, tex in page["tex"]]
    return found


def detector_scores(
    snapshot: str, pages: pl.LazyFrame, candidates: pl.LazyFrame, min_score: float
) -> DetectorScores | None:
    """Score the candidates (url, score) of a snapshot's pages (url). None if the sample does not have the snapshot."""
    known = {page["url"]: page["formulas"] > 0 for page in _lines("pages.jsonl.gz") if page["snapshot"] == snapshot}
    if not known:
        return None
    here = pl.col("url").is_in(list(known))  # the pages of the sample
    present = set(pages.filter(here).select("url").collect()["url"])
    true = {url for url in present if known[url]}
    scored = candidates.filter(here & (pl.col("score") >= min_score))
    found = set(scored.select("url").collect()["url"]) & present
    return DetectorScores(len(true), len(found), sorted(true - found), sorted(found - true))


def _lines(name: str) -> Iterator[dict]:
    """The objects of a file of JSON lines in the sample's truth folder."""
    with gzip.open(SAMPLE / "truth" / name, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
