"""The held-out texts by domain: English web pages, pages in other languages, mathematics, code, SFT data.

Web pages are held out of the unique documents, not of the curated ones. So they stay the same when curation changes,
and the scores of models trained on different selections can be compared. The other domains are held out of the tables
that the blend reads: only there the licences allow the use of code and secrets are removed, for example. The blend
leaves out every row that is held out, and everything that was written from one (see held_out.py).

A page is not measured if another text with the same address was dropped as a duplicate of a page that is trained on: an
earlier version of the page may read like that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from nemotron_assets.held_out import ADDRESS, all_held_out, is_held_out, origin_hash, page_hash

#: What a function gives out for a text: the text, possibly with its id.
T = TypeVar("T")

WEB, MATHS = "web.unique_documents", "math.nemotron_cc_math"
CODE, SFT = "code.curated", "sft.procedural"
DOCUMENTS, DUPLICATES = "web.documents", "web.duplicates"


@dataclass(frozen=True)
class Domain:
    """One kind of held-out text: rows of `table` that `which` selects, with their text in the column `text`.

    `origin` is the column that decides what is held out, a hash or an address, and `origins` the column with all hashes
    of a row that may have several.
    """

    table: str
    which: pl.Expr
    text: str = "text"
    origin: str = "content_hash"
    origins: str | None = None

    def hashes(self) -> pl.Expr:
        """The hashes that decide on a row, as a list."""
        return pl.col(self.origins) if self.origins else pl.concat_list(origin_hash(self.origin))


def domains(languages: Iterable[str]) -> dict[str, Domain]:
    """The domains by the name of their task. `languages` are those that the blend trains on, beside English."""
    return {
        "held_out_english_web": Domain(WEB, pl.col("language") == "en", origin=ADDRESS),
        "held_out_other_languages": Domain(WEB, pl.col("language").is_in(list(languages)), origin=ADDRESS),
        "held_out_maths": Domain(MATHS, pl.lit(True), origin="origin_hash", origins="origin_hashes"),
        "held_out_code": Domain(CODE, pl.lit(True), text="content"),
        "held_out_sft": Domain(SFT, pl.col("status") == "verified", origin="origin_hash"),
    }


def read_elsewhere(documents: pl.LazyFrame, duplicates: pl.LazyFrame, share: float) -> pl.Series:
    """The hashes of held-out pages with a document that was dropped as a duplicate of a document of a page that is
    trained on. `documents` and `duplicates` are rows of `web.documents` and `web.duplicates`."""
    # The ids of held-out documents are in memory, a small share of all; the duplicates and the documents are streamed.
    held = documents.select("id", hash=page_hash()).filter(is_held_out(share, "hash")).collect(engine="streaming")
    kept = duplicates.select("duplicate_of", id=pl.col("parents").list.first())
    dropped = kept.join(held.lazy(), on="id", how="semi").collect(engine="streaming").join(held, on="id")
    trained_on = documents.filter(~is_held_out(share, ADDRESS)).select(duplicate_of="id")
    trained_on = trained_on.join(dropped.lazy(), on="duplicate_of", how="semi").collect(engine="streaming")
    return dropped.join(trained_on, on="duplicate_of", how="semi")["hash"].unique()


def held_out(domain: Domain, tables: Mapping[str, pl.LazyFrame], share: float, without: pl.Series) -> pl.LazyFrame:
    """The held-out rows of a domain, with the columns `id`, `hash` and `text`, but none of the pages whose hashes are
    in `without`. A table that the lake does not have is empty in `tables`."""
    rows = tables[domain.table].filter(domain.which).with_columns(hashes=domain.hashes())
    read = pl.col("hashes").list.eval(pl.element().is_in(without.implode())).list.any()
    rows = rows.filter(all_held_out(share, "hashes") & ~read)
    return rows.select("id", hash=pl.col("hashes").list.first(), text=domain.text)


def chosen(rows: pl.LazyFrame, limit: int | None) -> Iterator[str]:
    """The texts of held-out rows. With a limit, those with the lowest hashes; without one, all texts, streamed."""
    return (text for _, text in identified(rows, limit))


def identified(rows: pl.LazyFrame, limit: int | None) -> Iterator[tuple[str, str]]:
    """The same texts as `chosen`, each with the id of its row: (id, text)."""
    if limit is not None:
        found = rows.bottom_k(limit, by=["hash", "text"]).collect(engine="streaming").sort("hash", "text")
        yield from found.select("id", "text").iter_rows()
        return
    for batch in rows.collect_batches(chunk_size=256, engine="streaming"):
        yield from batch.select("id", "text").iter_rows()


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
    choose: Callable[[pl.LazyFrame, int | None], Iterator[T]] = chosen,
) -> dict[str, Iterator[T]]:
    """{task: its held-out texts, at most `limit` that `choose` selects}, without the domains that have no text: a lake
    may have no code, for example."""
    without = read_elsewhere(tables[DOCUMENTS], tables[DUPLICATES], share)
    found = {name: held_out(domain, tables, share, without) for name, domain in domains(languages).items()}
    filled = [name for name, rows in found.items() if rows.head(1).collect(engine="streaming").height]
    return {name: choose(found[name], limit) for name in filled}
