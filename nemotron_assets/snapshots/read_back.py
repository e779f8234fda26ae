"""Reads a page again from its WARC file, to prove that the page in the lake equals the page in the crawl."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nemotron_assets.lineage.nodes import Origin
from nemotron_assets.warc.members import ZSTD, dictionary_size
from nemotron_assets.warc.reader import Limits, WarcFile

if TYPE_CHECKING:
    from resources.crawl import Crawl


def read_back(origin: Origin, facts: Mapping[str, Any], crawl: Crawl) -> tuple[bytes, bool]:
    """(body of the page from a ranged read of its WARC record, whether it is the same page as in the lake).

    `facts` are the columns mime, payload_digest and warc_inner_offset of the page's row. Raises ValueError if the page
    is a row of a Parquet or JSON-lines file, which has no byte range, or if the bytes hold no page. Errors of `crawl`
    are passed on.
    """
    if not origin.length:
        raise ValueError(f"{origin}: a row of a Parquet or JSON-lines file has no byte range to read")
    data = _bytes(origin, crawl, origin.offset, origin.length)
    if data.startswith(ZSTD):
        # The frame may need the dictionary with which the file begins.
        start = _bytes(origin, crawl, 0, 8)
        if size := dictionary_size(start):
            data = _bytes(origin, crawl, 0, size) + data
    limits = Limits(max_body=1 << 30, mimes=(facts["mime"],), keep_truncated=True)
    record = WarcFile(io.BytesIO(data), limits, is_piece=True)
    inner = facts.get("warc_inner_offset")
    page = next((page for page in record.pages() if page.inner_offset == inner), None)
    if page is None:
        fates = ", ".join(record.counts.records) or "no record"
        raise ValueError(f"{origin}: the bytes hold no page; the fate of the record there is: {fates}")
    return page.html, page.payload_digest == facts["payload_digest"] and page.url == origin.url


def _bytes(origin: Origin, crawl: Crawl, offset: int, length: int) -> bytes:
    """Bytes of the file of a page."""
    if not origin.path:
        return crawl.read_range(origin.file, offset, length)
    with open(origin.path, "rb") as stream:
        stream.seek(offset)
        return stream.read(length)
