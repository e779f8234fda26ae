"""Shapes the pages of a WARC file into rows of `snapshots.pages`.

The asset `snapshots/pages` uses it for whole files, and `math/candidate_pages` for single records that it fetches.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.storable import storable
from nemotron_assets.warc.reader import Page

_SCHEMA = PAGES.arrow_schema()
#: The size of a stretch of a file that takes the place of a host: rows, or bytes of a WARC file.
_STRETCH_ROWS, _STRETCH_BYTES = 100, 1 << 20


def page_batch(pages: list[Page], snapshot: str, file: str, part: str = "") -> pa.RecordBatch:
    """Pages of one file as rows of `snapshots.pages`. `part` is the name of the range that they come from, if the file
    is read in ranges; ids and the names of hosts are those of the file."""
    n = len(pages)
    prefix = (PAGES.full_name, snapshot, file)
    # One header that no table can hold must not stop the whole file.
    texts = {name: [storable(getattr(page, name)) for page in pages] for name in ("url", "payload_digest")}
    columns = texts | {
        "id": [row_id(*prefix, page.offset, *_inner(page)) for page in pages],
        "parents": [[]] * n,
        "snapshot": [snapshot] * n,
        "content_hash": [content_hash(page.html) for page in pages],
        "warc_file": [part or file] * n,
        "warc_offset": [page.offset for page in pages],
        "warc_length": [page.length for page in pages],
        "warc_inner_offset": [page.inner_offset for page in pages],
        "host": [page.host or host_of_rows(snapshot, file, page.offset, page.length) for page in pages],
        "html": _binary([page.html for page in pages]),
    }
    for name in _SCHEMA.names:
        if name not in columns:
            columns[name] = [getattr(page, name) for page in pages]
    return pa.RecordBatch.from_arrays(
        [c if isinstance(c := columns[field.name], pa.Array) else pa.array(c, field.type) for field in _SCHEMA],
        schema=_SCHEMA,
    )


def _inner(page: Page) -> tuple[int, ...]:
    """The part of a page's key that tells it from the other records of its gzip member; () for the usual page."""
    return () if page.inner_offset is None else (page.inner_offset,)


def host_of_rows(snapshot: str, file: str, offset: int, length: int) -> str:
    """What takes the place of the host for a page whose address has none: a stretch of the page's file.

    Texts that stand close together in a file mostly come from one source, as the pages of a host do. A stretch has a
    bounded size, so that steps that work host by host never get a whole file at once. The name holds characters that no
    host name has. Example: "ingest:mine/texts.jsonl#0" is the first stretch of the file texts.jsonl.
    """
    return f"ingest:{snapshot}/{file}#{offset // (_STRETCH_BYTES if length else _STRETCH_ROWS)}"


def _binary(values: list[bytes]) -> pa.LargeBinaryArray:
    """Bodies as one array. They are copied once, while `pa.array` copies its buffer each time the buffer grows."""
    ends = np.cumsum([0, *map(len, values)], dtype=np.int64)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    )
