"""Reads the WARC record of a page again, to prove that the lake holds what the crawl has."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from nemotron_assets.lineage.nodes import Origin
from nemotron_assets.warc.reader import Limits, WarcFile


def read_back(origin: Origin, facts: Mapping[str, Any], crawl) -> tuple[bytes, bool]:
    """The page's body from a ranged read of its WARC record, and whether it is the same page as in the lake.

    `facts` are those of the page's node, `crawl` is the `Crawl` resource. Raises ValueError for a row of a Parquet or
    JSON-lines file, which has no byte range, or when the bytes hold no readable record; `crawl`'s own errors pass.
    """
    if not origin.length:
        raise ValueError(f"{origin}: a row of this file has no byte range to read")
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
        raise ValueError(f"{origin}: the bytes there hold no page, but {record.counts.records}")
    return page.html, page.payload_digest == facts["payload_digest"] and page.url == origin.url
