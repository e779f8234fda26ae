"""Reads a page again from its WARC file, to prove that the page in the lake equals the page in the crawl."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nemotron_assets.lineage.nodes import Origin
from nemotron_assets.warc.reader import Limits, WarcFile

if TYPE_CHECKING:
    from resources.crawl import Crawl


def read_back(origin: Origin, facts: Mapping[str, Any], crawl: Crawl) -> tuple[bytes, bool]:
    """(body of the page from a ranged read of its WARC record, whether it is the same page as in the lake).

    `facts` are the columns mime and payload_digest of the page's row. Raises ValueError if the page is a row of a
    Parquet or JSON-lines file, which has no byte range, or if the bytes hold no page. Errors of `crawl` are passed on.
    """
    if not origin.length:
        raise ValueError(f"{origin}: a row of a Parquet or JSON-lines file has no byte range to read")
    if origin.path:
        with open(origin.path, "rb") as stream:
            stream.seek(origin.offset)
            data = stream.read(origin.length)
    else:
        data = crawl.read_range(origin.file, origin.offset, origin.length)
    limits = Limits(max_body=1 << 30, mimes=(facts["mime"],), keep_truncated=True)
    record = WarcFile(io.BytesIO(data), limits)
    page = next(record.pages(), None)
    if page is None:
        fates = ", ".join(record.counts.records) or "no record"
        raise ValueError(f"{origin}: the bytes hold no page; the fate of the record there is: {fates}")
    return page.html, page.payload_digest == facts["payload_digest"] and page.url == origin.url
