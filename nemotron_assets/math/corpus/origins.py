"""Finds the origins of published pages: the addresses that decide whether a page is held out.

These are the address of the page itself, of every page that was left out as its duplicate, and for each of them the
address of the web document that was kept in the place of its own web document. For example, a page of a mirror has the
address of the mirror and that of the original. Where the repeated spans of a web document were all that it had, the
documents that have these spans count, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from nemotron_assets.held_out import held_out_order, page_hash
from nemotron_assets.math.corpus.tables import CLEANED, DUPLICATES
from nemotron_assets.math.tables import RENDERED
from nemotron_assets.web.dedup.tables import DUPLICATES as WEB_DUPLICATES
from nemotron_assets.web.dedup.tables import REPEATED_SPANS
from nemotron_assets.web.tables import DOCUMENTS

if TYPE_CHECKING:
    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

_FIRST = pl.col("parents").list.first()


def origins_of(lake: Lakehouse, kept: pl.DataFrame) -> pl.DataFrame:
    """(cleaned, origin_hashes) of the pages with the ids `kept.cleaned` in `math.cleaned`. The hashes of a page are
    those of its addresses, without repetition, those that are held out first at the head (see held_out.py). The tables
    are streamed; the links of these pages must fit into memory."""
    left_out = _of(lake, DUPLICATES, kept["cleaned"], pl.col("duplicate_of"), page=_FIRST)
    pages = pl.concat([kept.select("cleaned", page="cleaned"), left_out.rename({"of": "cleaned"})])
    own = _of(lake, CLEANED, pages["page"], pl.col("id"), "url", rendered=_FIRST)
    pages = pages.join(own, left_on="page", right_on="of")
    records = _of(lake, RENDERED, pages["rendered"], pl.col("id"), record=_FIRST)
    documents = pages.join(records, left_on="rendered", right_on="of")
    documents = documents.join(
        _of(lake, DOCUMENTS, documents["record"], _FIRST, document="id"), left_on="record", right_on="of"
    ).select("cleaned", "document")
    for stand_ins in (_kept_instead, _of_their_spans):
        others = stand_ins(lake, documents["document"])
        others = documents.join(others, on="document").select("cleaned", document="other")
        documents = pl.concat([documents, others]).unique()
    addresses = _of(lake, DOCUMENTS, documents["document"], pl.col("id"), "url")
    found = documents.join(addresses, left_on="document", right_on="of").select("cleaned", "url")
    hashes = pl.concat([pages.select("cleaned", "url"), found]).select("cleaned", hash=page_hash()).unique()
    ordered = hashes.sort("cleaned", held_out_order("hash"), "hash")
    return ordered.group_by("cleaned", maintain_order=True).agg(origin_hashes="hash")


def _kept_instead(lake: Lakehouse, documents: pl.Series) -> pl.DataFrame:
    """(document, other): the documents that were kept in the place of dropped ones."""
    return _of(lake, WEB_DUPLICATES, documents, _FIRST, other="duplicate_of").rename({"of": "document"})


def _of_their_spans(lake: Lakehouse, documents: pl.Series) -> pl.DataFrame:
    """(document, other): for documents of which nothing new was left, those that have their repeated spans."""
    spans = _of(lake, REPEATED_SPANS, documents, _FIRST, "why", other="first_document").rename({"of": "document"})
    dropped = spans.filter(pl.col("why") != "repeated").select("document").unique()
    return spans.join(dropped, on="document", how="semi").select("document", "other").unique()


def _of(lake: Lakehouse, table: Table, ids: pl.Series, key: pl.Expr, *columns: str, **more: str | pl.Expr):
    """The columns of the rows of all snapshots whose `key` is one of the `ids`, with the key as `of`."""
    wanted = ids.unique().to_frame("of").lazy()
    rows = lake.read(table).scan().select(*columns, of=key, **more)
    return rows.join(wanted, on="of", how="semi").collect(engine="streaming").select("of", *columns, *more)
