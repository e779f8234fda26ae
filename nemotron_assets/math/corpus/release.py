"""Makes the published subsets: cleaned pages by score, without duplicates and contaminated pages, with their origin.

A page on mathematics is often a web document, too, and both must be on the same side of the held-out split. So the
address decides. Where a page has a duplicate at another address, every one of these addresses counts: see origins.py.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from nemotron_assets.dedup.arrivals import CascadingParts
from nemotron_assets.math.corpus.origins import origins_of
from nemotron_assets.math.corpus.tables import CLEANED, CONTAMINATION, DUPLICATES, NEMOTRON_CC_MATH, QUALITY
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.recipe.math.corpus import MathRelease
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

_BATCH = 256
_FIRST = pl.col("parents").list.first()


class CascadingRelease(CascadingParts):
    """The parts of the asset's snapshot, and the parts of other snapshots whose origins change with it.

    A page of a later snapshot may duplicate a web document of this snapshot, and a page of this snapshot may be left
    out because it duplicates a page of an earlier one. The address of the page here is then an origin of the page
    there.
    """

    table = NEMOTRON_CC_MATH

    def __init__(self, lake: Lakehouse, snapshot: str, recipe: MathRelease, **run: Any) -> None:
        super().__init__(lake, snapshot, **run)
        self.recipe = recipe
        self.left_out: Counter[str] = Counter()

    def parts_of(self, snapshot: str) -> Iterator[Part]:
        left_out = self.left_out if snapshot == self.snapshot else Counter()
        return release_parts(self.lake, snapshot, self.recipe, left_out)

    def earlier(self) -> list[str]:
        kept = self.lake.read(DUPLICATES, self.snapshot).scan().select(pl.col("duplicate_of_snapshot").unique())
        named = set(kept.collect(engine="streaming").to_series())
        return [other for other in self._made() if other < self.snapshot and other in named]

    def later(self) -> list[str]:
        return [other for other in self._made() if other > self.snapshot]

    def _made(self) -> list[str]:
        return self.lake.read(self.table).snapshots()


def release_parts(lake: Lakehouse, snapshot: str, recipe: MathRelease, left_out: Counter[str]) -> Iterator[Part]:
    """One part of `math.nemotron_cc_math` per subset. `left_out` counts the pages that are in no subset, by reason. The
    ids and scores of a snapshot's cleaned pages must fit into memory."""
    kept, content = _kept(lake, snapshot, recipe, left_out), lake.read(CLEANED, snapshot).content()
    for name in recipe.lowest_score:
        subset = kept.filter(pl.col("category") == name).sort("cleaned")
        origins = pl.col("origin_hashes").list.join(" ")
        facts = pl.concat_str(["cleaned", "score", "edu_score", "warc_id", origins], separator=" ", ignore_nulls=True)
        fingerprint = content_hash("\n".join([content, *subset.select(facts).to_series()]))
        if len(subset):
            yield Part(name, fingerprint, functools.partial(_published, lake, snapshot, subset))


def _published(lake: Lakehouse, snapshot: str, kept: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield rows of `math.nemotron_cc_math` for the pages in `kept`, which has the columns of `_kept`."""
    columns = ("id", "snapshot", "warc_file", "url", "language", "text", "characters", "generator", "content_hash")
    for batch in lake.read(CLEANED, snapshot).batches(columns, batch_size=_BATCH):
        rows = pl.from_arrow(batch).rename({"id": "cleaned"}).join(kept, on="cleaned", maintain_order="left")
        if rows.is_empty():
            continue
        ids = [row_id(NEMOTRON_CC_MATH.full_name, page) for page in rows["cleaned"]]
        models = pl.when(pl.col("generator").is_null()).then(pl.lit([], pl.List(pl.String)))
        yield rows.with_columns(
            id=pl.Series(ids, dtype=pl.String),
            parents=pl.concat_list("cleaned"),
            models_used=models.otherwise(pl.concat_list("generator")),
            finemath_scores="score",
            finemath_int_scores="int_score",
            nemocurator_scores="edu_score",
            nemocurator_int_scores="edu_int_score",
            warc_filename="warc_file",
            origin_hash=pl.col("origin_hashes").list.first(),
        ).select(NEMOTRON_CC_MATH.column_names)


def category(recipe: MathRelease, score: str = "int_score") -> pl.Expr:
    """The subset of a page, by its score; null if the score is too low for any subset."""
    expression = pl.lit(None, pl.String)
    for name, lowest in sorted(recipe.lowest_score.items(), key=lambda item: item[1]):
        expression = pl.when(pl.col(score) >= lowest).then(pl.lit(name)).otherwise(expression)
    return expression


def _kept(lake: Lakehouse, snapshot: str, recipe: MathRelease, left_out: Counter[str]) -> pl.DataFrame:
    """The published pages of a snapshot, with the columns cleaned (id), score, int_score, edu_score, edu_int_score,
    model_id, category, warc_id and origin_hashes. In memory: short values of the cleaned pages of one snapshot, about
    500 bytes for each; no texts."""
    rendered = lake.read(RENDERED, snapshot).scan().select(rendered="id", page=_FIRST)
    pages = (
        lake.read(CLEANED, snapshot)
        .scan()
        .select(cleaned="id", rendered=_FIRST)
        .join(
            lake.read(QUALITY, snapshot).scan().drop("id").with_columns(cleaned=_FIRST).drop("parents", "snapshot"),
            on="cleaned",
            how="left",
        )
        .join(rendered, on="rendered", how="left")
        .with_columns(category=category(recipe))
        .collect(engine="streaming")
    )
    duplicates = lake.read(DUPLICATES, snapshot).scan().select(cleaned=_FIRST).collect()
    items = lake.read(CONTAMINATION, snapshot).scan().filter("removed").select(rendered=_FIRST).unique().collect()
    for reason, wanted in (
        ("contaminated", pages.join(items, on="rendered", how="anti")),
        ("duplicates", pages.join(duplicates, on="cleaned", how="anti")),
        ("not_scored", pages.filter(pl.col("score").is_not_null())),
        ("low_score", pages.filter(pl.col("category").is_not_null() | pl.col("score").is_null())),
    ):
        left_out[reason] += len(pages) - len(wanted)
    left = pages.join(items, on="rendered", how="anti").join(duplicates, on="cleaned", how="anti")
    left = left.filter(pl.col("category").is_not_null())
    return (
        left.join(_places(lake, snapshot), on="page", how="left")
        .join(origins_of(lake, left.select("cleaned")), on="cleaned", how="left")
        .drop("rendered", "page")
    )


def _places(lake: Lakehouse, snapshot: str) -> pl.DataFrame:
    """(page, warc_id) of every candidate page; warc_id is "offset:length" of its WARC record in bytes."""
    place = pl.format("{}:{}", "warc_offset", "warc_length")
    return lake.read(CANDIDATE_PAGES, snapshot).scan().select(page=_FIRST, warc_id=place).unique("page").collect()
