"""Reads Parquet and JSON-lines files with a column of text or HTML into pages.

A row of text becomes a page of media type text/plain in UTF-8, which every later step treats like any other page. A row
without usable content gets a fate, like a WARC record. Files are streamed, and the length of a line is bounded.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from nemotron_assets.warc import charset
from nemotron_assets.warc.reader import Counts, Limits, OnBroken, Page, host_of, sha1_digest

#: A JSON line may be this many times longer than the largest body: it has escapes and other columns.
_LINE_FACTOR = 8
_URL_COLUMNS = ("url", "uri", "link")
_TIME_COLUMNS = ("fetched_at", "date", "timestamp", "crawl_date")


class BadColumn(ValueError):
    """The file lacks the column, or the column holds neither text nor bytes; the message says what the file has."""


def columns_of(path: Path, format_: str, max_line: int = 64 << 20) -> list[str]:
    """The column names of a file: those of the Parquet schema, or the keys of the first JSON line. Raises `BadColumn`
    for a file that cannot be read."""
    if format_ == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_schema(path).names
        except (pa.ArrowInvalid, OSError) as error:
            raise BadColumn(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error
    try:
        with open_lines(path) as stream:
            first = json.loads(stream.readline(max_line))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadColumn(f"{path} is not a readable gzip file: {error}") from error
    except (ValueError, RecursionError) as error:
        raise BadColumn(f"{path}: its first line is not JSON: {error}") from error
    if not isinstance(first, dict):
        raise BadColumn(f"{path}: its first line is a JSON {type(first).__name__}, not an object")
    return list(first)


def check_column(path: Path, format_: str, column: str) -> None:
    """Raise `BadColumn` unless the file has the column and, in Parquet, the column holds text or bytes."""
    names = columns_of(path, format_)
    if column not in names:
        raise BadColumn(f"{path} has no column {column!r}; it has {', '.join(map(repr, names)) or 'no columns'}")
    if format_ == "parquet":
        import pyarrow.parquet as pq

        kind = str(pq.read_schema(path).field(column).type)
        if not any(word in kind.split("<")[0] for word in ("string", "binary", "dictionary")):
            raise BadColumn(f"{path}: column {column!r} is {kind}, not text")


def open_lines(path: Path) -> BinaryIO:
    """Open a JSON-lines file; it is decompressed if its name ends in .gz."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")


class RowFile:
    """One Parquet or JSON-lines file as a stream of pages. `spec` is the file's row of `snapshots.ingested`. The offset
    of a page is its row number, from 0. `counts` is complete when `batches` has ended.
    """

    def __init__(self, path: Path, spec: dict, limits: Limits, on_broken: OnBroken) -> None:
        self.path, self.spec, self.limits, self.on_broken = path, spec, limits, on_broken
        self.counts = Counts()
        self.column = spec["text_column"] or spec["html_column"]
        self.is_text = spec["text_column"] is not None
        self.ingested_at = spec["at"] if spec["at"].tzinfo else spec["at"].replace(tzinfo=UTC)

    def batches(self) -> Iterator[list[Page]]:
        """The pages in file order, in lists bounded in rows and in bytes of bodies."""
        batch: list[Page] = []
        size = 0
        for number, row in enumerate(self._parquet() if self.spec["format"] == "parquet" else self._jsonl()):
            page = self._page(number, row)
            if page is None:
                continue
            if batch and (len(batch) >= self.limits.batch_rows or size + len(page.html) > self.limits.batch_bytes):
                yield batch
                batch, size = [], 0
            batch.append(page)
            size += len(page.html)
        if batch:
            yield batch

    def _page(self, number: int, row: dict[str, Any] | str) -> Page | None:
        """The page of a row, or None if it is not usable; counts the row. A string instead of a row says why the row
        could not be parsed."""
        value = row.get(self.column) if isinstance(row, dict) else None
        if isinstance(row, str) or not isinstance(value, str | bytes | None):
            detail = row if isinstance(row, str) else f"column {self.column!r} holds a {type(value).__name__}"
            self.on_broken(number, "malformed", detail)
            self.counts.add("malformed", 0)
            return None
        body = value.encode("utf-8", "replace") if isinstance(value, str) else value or b""
        if not body or body.isspace():
            self.counts.add("empty", len(body))
            return None
        if len(body) > self.limits.max_body:
            self.counts.add("too_large", len(body))
            return None
        url = self._first(row, (self.spec["url_column"],) if self.spec["url_column"] else _URL_COLUMNS)
        url = url if isinstance(url, str) and url else f"ingest:{self.spec['snapshot']}/{self.spec['file']}#{number}"
        # Text was UTF-8 in the file, whatever its markup says. Bytes are treated like a page without an HTTP header.
        decision = charset.Charset("utf-8", "default") if isinstance(value, str) else charset.decide(body, None)
        self.counts.add("page", len(body))
        return Page(
            url=url,
            host=host_of(url),
            fetched_at=_time(self._first(row, _TIME_COLUMNS)) or self.ingested_at,
            status=200,
            mime="text/plain" if self.is_text else "text/html",
            charset=decision.name,
            charset_source=decision.source,
            html=body,
            payload_digest=sha1_digest(body),
            fate="page",
            offset=number,
        )

    @staticmethod
    def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
        """The first value that is not null among the named columns, or None."""
        return next((row[name] for name in names if row.get(name) is not None), None)

    def _parquet(self) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.path, pre_buffer=False) as file:
            wanted = {self.column, self.spec["url_column"], *_URL_COLUMNS, *_TIME_COLUMNS}
            names = [name for name in file.schema_arrow.names if name in wanted]
            for batch in file.iter_batches(batch_size=64, columns=names, use_threads=False):
                yield from batch.to_pylist()

    def _jsonl(self) -> Iterator[dict[str, Any] | str]:
        """The rows of a JSON-lines file; a string, which says what is wrong, in place of a row that is not usable."""
        longest = self.limits.max_body * _LINE_FACTOR
        with open_lines(self.path) as stream:
            while line := stream.readline(longest):
                if len(line) == longest and not line.endswith(b"\n"):
                    while rest := stream.readline(longest):
                        if rest.endswith(b"\n"):
                            break
                    yield f"the line has more than {longest} bytes"
                    continue
                if line.isspace():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    yield f"the line is not JSON: {error}"
                    continue
                yield row if isinstance(row, dict) else f"the line is a JSON {type(row).__name__}, not an object"


def _time(value: Any) -> datetime | None:
    """A time of a row as a datetime with a time zone, UTC if the row names none; None if it cannot be read."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo else value.replace(tzinfo=UTC)
