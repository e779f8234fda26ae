"""The held-out texts by domain: English web pages, pages in other languages, mathematics, code, SFT data.

Web pages are held out of the unique documents, not of the curated ones. So they stay the same when curation changes,
and the scores of models trained on different selections can be compared. The other domains are held out of the tables
that the blend reads: only there the licences allow the use of code and secrets are removed, for example. The blend
leaves out every row that is held out, and everything that was written from one.

One page can be in two corpora, with another text and so another hash in each: the unique documents hold what a reader
sees, the mathematics corpus holds every formula as TeX. A page that is held out of one and trained on in the other is
not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from nemotron_assets.held_out import is_held_out

WEB, KEPT_WEB, MATHS = "web.unique_documents", "web.curated", "math.nemotron_cc_math"
CODE, SFT = "code.curated", "sft.procedural"


@dataclass(frozen=True)
class Domain:
    """One kind of held-out text: rows of `table` that `which` selects, with their text in the column `text`.

    `origin` is the content hash that decides what is held out. `also_in` names another table with the same pages: a
    page whose address is in a row there that is not held out was trained on.
    """

    table: str
    which: pl.Expr
    text: str = "text"
    origin: str = "content_hash"
    also_in: str | None = None


def domains(languages: Iterable[str]) -> dict[str, Domain]:
    """The domains by the name of their task. `languages` are those that the blend trains on, beside English."""
    return {
        "held_out_english_web": Domain(WEB, pl.col("language") == "en", also_in=MATHS),
        "held_out_other_languages": Domain(WEB, pl.col("language").is_in(list(languages))),
        "held_out_maths": Domain(MATHS, pl.lit(True), also_in=KEPT_WEB),
        "held_out_code": Domain(CODE, pl.lit(True), text="content"),
        "held_out_sft": Domain(SFT, pl.col("status") == "verified", origin="origin_hash"),
    }


def held_out(domain: Domain, tables: Mapping[str, pl.LazyFrame], share: float) -> pl.LazyFrame:
    """The held-out rows of a domain, with the columns `hash` and `text`. A table that the lake does not have is empty
    in `tables`."""
    rows = tables[domain.table].filter(is_held_out(share, domain.origin) & domain.which)
    if domain.also_in:
        trained_on = tables[domain.also_in].filter(~is_held_out(share)).select("url")
        rows = rows.join(trained_on, on="url", how="anti")
    return rows.select(hash=domain.origin, text=domain.text)


def chosen(rows: pl.LazyFrame, limit: int | None) -> Iterator[str]:
    """The texts of held-out rows. With a limit, those with the lowest hashes; without one, all texts, streamed."""
    if limit is not None:
        yield from rows.bottom_k(limit, by=["hash", "text"]).collect(engine="streaming").sort("hash", "text")["text"]
        return
    for batch in rows.collect_batches(chunk_size=256, engine="streaming"):
        yield from batch["text"]


def longest(rows: pl.LazyFrame, limit: int | None) -> Iterator[str]:
    """The texts of the longest held-out rows, from the longest on; without a limit, all texts, streamed."""
    if limit is not None:
        rows = rows.with_columns(bytes=pl.col("text").str.len_bytes())
        found = rows.top_k(limit, by=["bytes", "hash"]).collect(engine="streaming")
        yield from found.sort("bytes", "hash", descending=True)["text"]
        return
    yield from chosen(rows, None)


def texts_by_domain(
    tables: Mapping[str, pl.LazyFrame],
    languages: Iterable[str],
    share: float,
    limit: int | None,
    choose: Callable[[pl.LazyFrame, int | None], Iterator[str]] = chosen,
) -> dict[str, Iterator[str]]:
    """{task: its held-out texts, at most `limit` that `choose` selects}, without the domains that have no text: a lake
    may have no code, for example."""
    found = {name: held_out(domain, tables, share) for name, domain in domains(languages).items()}
    filled = [name for name, rows in found.items() if rows.head(1).collect(engine="streaming").height]
    return {name: choose(found[name], limit) for name in filled}
