"""What is known of the embedded sample: which pages have formulas, and which. For checks, examples and benchmarks."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from resources.crawl import SAMPLE


@dataclass(frozen=True)
class DetectorScores:
    """How the detector did on pages whose formulas are known."""

    true: int
    found: int
    missed: list[str]
    wrong: list[str]

    @property
    def recall(self) -> float:
        return 1 - len(self.missed) / self.true if self.true else 1.0

    @property
    def precision(self) -> float:
        return 1 - len(self.wrong) / self.found if self.found else 1.0


def pages_with_formulas() -> Iterator[dict]:
    """The sample's pages with formulas: snapshot, url, also (other places of the same page), encodings, tex."""
    yield from _lines("math.jsonl.gz")


def formulas_of(snapshot: str) -> dict[str, list[tuple[str, str]]]:
    """{address: [(encoding, TeX)]} of a snapshot's pages in the sample."""
    found = {}
    for page in pages_with_formulas():
        for place, url in [(page["snapshot"], page["url"]), *page["also"]]:
            if place == snapshot:
                found[url] = [(encoding, tex) for encoding, tex in page["tex"]]
    return found


def detector_scores(
    snapshot: str, pages: pl.LazyFrame, candidates: pl.LazyFrame, min_score: float
) -> DetectorScores | None:
    """Scores of the candidates (url, score) among a snapshot's pages (url); None for a snapshot nothing is known of."""
    known = {page["url"]: page["formulas"] > 0 for page in _lines("pages.jsonl.gz") if page["snapshot"] == snapshot}
    if not known:
        return None
    there = set(pages.select("url").collect()["url"]) & known.keys()
    true = {url for url in there if known[url]}
    found = set(candidates.filter(pl.col("score") >= min_score).select("url").collect()["url"]) & there
    return DetectorScores(len(true), len(found), sorted(true - found), sorted(found - true))


def _lines(name: str) -> Iterator[dict]:
    with gzip.open(SAMPLE / "truth" / name, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)
