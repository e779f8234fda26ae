"""Reads Parquet and JSON-lines files with a column of text or HTML into pages.

A row of text becomes a page of media type text/plain in UTF-8, which every later step treats like any other page. A row
without usable content gets a fate, like a WARC record. Files are streamed, and lines, rows and whole files are bounded.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.snapshots.lines import lines
from nemotron_assets.table.storable import storable
from nemotron_assets.warc import charset, page_terms
from nemotron_assets.warc.limits import Budget
from nemotron_assets.warc.reader import Counts, Limits, OnBroken, Page, host_of, in_batches, sha1_digest
from resources.parquet_pages import check_pages
from resources.repositories.facts import time_of

if TYPE_CHECKING:
    import pyarrow as pa

#: A JSON line may be this many times longer than the largest body: it has escapes and other columns.
_LINE_FACTOR = 8
#: Brackets and commas of a JSON line: a line of millions of small values takes a hundred times its size in memory.
_MAX_VALUES = 2_000_000
#: Lines, and bytes of a line, in which the columns of a JSON-lines file are looked for.
_FIRST_LINES, _FIRST_BYTES = 200, 64 << 20
#: Rows of Parquet that are decoded at a time.
_ROWS = 64
_URL_COLUMNS = ("url", "uri", "link")
_TIME_COLUMNS = ("fetched_at", "date", "timestamp", "crawl_date")


class BadColumn(ValueError):
    """The file lacks the column, or the column holds neither text nor bytes; the message says what the file has."""


class Unreadable(ValueError):
    """The file is empty, damaged, or not what its name says; the message says why."""


def columns_of(path: Path, format_: str) -> list[str]:
    """The column names of a file: those of the Parquet schema, or the keys of the first JSON lines. Raises `Unreadable`
    for a file without columns."""
    if not path.stat().st_size:
        raise Unreadable(f"{path} is empty")
    return list(_schema(path)) if format_ == "parquet" else _keys(path)


def check_column(path: Path, format_: str, column: str) -> None:
    """Raise `BadColumn` unless the file has the column and, in Parquet, the column holds text or bytes."""
    names = columns_of(path, format_)
    if column not in names:
        raise BadColumn(f"{path} has no column {column!r}; it has {', '.join(map(repr, names)) or 'no columns'}")
    if format_ == "parquet":
        from resources.repositories.parquet import is_text

        if not is_text(kind := _schema(path)[column]):
            raise BadColumn(f"{path}: column {column!r} is {kind}, not text")


def _schema(path: Path) -> dict[str, pa.DataType]:
    """{column: its type} of a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return {field.name: field.type for field in pq.read_schema(path)}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unreadable(f"{path} is not a readable Parquet file: {str(error).splitlines()[0]}") from error


def _keys(path: Path) -> list[str]:
    """The keys of the JSON objects in the first lines of a file. Lines that are not objects are left out."""
    found: dict[str, None] = {}
    why = "it has no line"
    try:
        for number, line in enumerate(lines(path, _FIRST_BYTES)):
            if number == _FIRST_LINES:
                break
            row = _parsed(line, _FIRST_BYTES) if line is None or line.strip() else "the line is empty"
            if isinstance(row, dict):
                found |= dict.fromkeys(row)
            elif why.startswith("it has"):
                why = row
    except (OSError, EOFError, ValueError, zlib.error) as error:
        why = f"it is damaged: {error}"
    if not found:
        raise Unreadable(f"{path}: its first {_FIRST_LINES} lines hold no JSON object with columns ({why})")
    return list(found)


def _parsed(line: bytes | None, longest: int) -> dict[str, Any] | str:
    """The object of a JSON line, or a sentence that says why the line has none."""
    if line is None:
        return f"the line has more than {longest} bytes"
    if line.count(b",") + line.count(b"[") + line.count(b"{") > _MAX_VALUES:
        return f"the line has more than {_MAX_VALUES} values"
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"the line is not JSON: {error}"
    return row if isinstance(row, dict) else f"the line is a JSON {type(row).__name__}, not an object"


@dataclass(frozen=True)
class _Long:
    """Stands for a value that is longer than any page may be, and is not read."""

    size: int


class RowFile:
    """One Parquet or JSON-lines file as a stream of pages. `spec` is the file's row of `snapshots.ingested`, or that of
    a range of it. The offset of a page is its row number in the file, from 0. `counts` is complete when `batches` has
    ended.
    """

    def __init__(self, path: Path, spec: dict, limits: Limits, on_broken: OnBroken) -> None:
        self.path, self.spec, self.limits, self.on_broken = path, spec, limits, on_broken
        self.counts = Counts()
        self.column = spec["text_column"] or spec["html_column"]
        self.is_text = spec["text_column"] is not None
        self.ingested_at = spec["at"] if spec["at"].tzinfo else spec["at"].replace(tzinfo=UTC)
        self.file = spec["whole_file"] or spec["file"]
        self._section = None if spec["first"] is None else (spec["first"], spec["end"])
        self._budget = Budget(limits)

    def batches(self) -> Iterator[list[Page]]:
        """The pages in file order, in lists bounded in rows and in bytes of bodies. Raises `Unreadable` where the file
        is damaged or exceeds a limit; the pages before that place have been yielded."""
        rows = enumerate(self._rows() if self.path.stat().st_size else (), self.spec["first_row"] or 0)
        pages = (page for number, row in rows if (page := self._page(number, row)) is not None)
        yield from in_batches(pages, self.limits)
        if not self.counts.records:
            self.counts.add("empty_file", 0)

    def _rows(self) -> Iterator[dict[str, Any] | str]:
        import pyarrow as pa

        try:
            yield from self._parquet() if self.spec["format"] == "parquet" else self._jsonl()
        except (OSError, EOFError, ValueError, OverflowError, zlib.error, pa.ArrowException) as problem:
            raise Unreadable(str(problem)) from problem

    def _page(self, number: int, row: dict[str, Any] | str) -> Page | None:
        """The page of a row, or None if it is not usable; counts the row. A string instead of a row says why the row
        could not be parsed."""
        value = row.get(self.column) if isinstance(row, dict) else None
        if isinstance(row, str) or not isinstance(value, str | bytes | _Long | None):
            detail = row if isinstance(row, str) else f"column {self.column!r} holds a {type(value).__name__}"
            self.on_broken(number, "malformed", detail)
            self.counts.add("malformed", 0)
            return None
        if isinstance(value, _Long):
            self.counts.add("too_large", value.size)
            return None
        body = value.encode("utf-8", "replace") if isinstance(value, str) else value or b""
        if not body or body.isspace():
            self.counts.add("empty", len(body))
            return None
        if len(body) > self.limits.max_body:
            self.counts.add("too_large", len(body))
            return None
        url = self._first(row, (self.spec["url_column"],) if self.spec["url_column"] else _URL_COLUMNS)
        url = storable(url) if isinstance(url, str) else ""
        url = url or f"ingest:{self.spec['snapshot']}/{self.file}#{number}"
        # Text was UTF-8 in the file, whatever its markup says. Bytes are treated like a page without an HTTP header.
        decision = charset.Charset("utf-8", "default") if isinstance(value, str) else charset.decide(body, None)
        self.counts.add("page", len(body))
        return Page(
            url=url,
            host=host_of(url),
            fetched_at=time_of(self._first(row, _TIME_COLUMNS)) or self.ingested_at,
            status=200,
            mime="text/plain" if self.is_text else "text/html",
            charset=decision.name,
            charset_source=decision.source,
            html=body,
            payload_digest=sha1_digest(body),
            fate="page",
            opt_outs=() if self.is_text else page_terms.opt_outs(page_terms.NO_HEAD, body, decision.name),
            offset=number,
        )

    @staticmethod
    def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
        """The first value that is not null among the named columns, or None."""
        return next((row[name] for name in names if row.get(name) is not None), None)

    def _parquet(self) -> Iterator[dict[str, Any]]:
        import pyarrow.parquet as pq

        from resources.repositories.parquet import values

        wanted = {self.column, self.spec["url_column"], *_URL_COLUMNS, *_TIME_COLUMNS}
        groups = range(*self._section) if self._section else None
        with self.path.open("rb") as stream:
            check_pages(stream, pq.read_metadata(self.path), wanted, self.limits.max_page, groups)
        # Read as a dictionary, a value that stands in every row is in memory once and not once for every row.
        with pq.ParquetFile(self.path, pre_buffer=False, read_dictionary=[self.column]) as file:
            names = list(dict.fromkeys(name for name in file.schema_arrow.names if name in wanted))
            for batch in file.iter_batches(_ROWS, row_groups=groups, columns=names, use_threads=False):
                columns = {name: batch.column(batch.schema.names.index(name)) for name in names}
                facts = {name: values(column) for name, column in columns.items() if name != self.column}
                for number, value in enumerate(self._contents(columns[self.column])):
                    self._budget.spend(value.size if isinstance(value, _Long) else len(value or ""))
                    yield {name: column[number] for name, column in facts.items()} | {self.column: value}

    def _contents(self, column: pa.Array) -> Iterator[str | bytes | _Long | None]:
        """The values of a column of text or bytes, one at a time. Bytes of a text that are not UTF-8 are replaced."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.types as types

        places: Any = range(len(column))
        if types.is_dictionary(column.type):
            column, places = column.dictionary, column.indices.to_pylist()
        is_bytes = (
            types.is_binary(column.type) or types.is_large_binary(column.type) or types.is_binary_view(column.type)
        )
        raw = column.cast(pa.large_binary())
        sizes = pc.binary_length(raw).to_pylist()
        for place in places:
            size = None if place is None else sizes[place]
            if size is None:
                yield None
            elif size > self.limits.max_body:
                yield _Long(size)
            else:
                data = raw[place].as_py()
                yield data if is_bytes else data.decode("utf-8", "replace")

    def _jsonl(self) -> Iterator[dict[str, Any] | str]:
        """The rows of a JSON-lines file; a string, which says what is wrong, in place of a row that is not usable."""
        longest = self.limits.max_body * _LINE_FACTOR
        for line in lines(self.path, longest, self._section):
            self._budget.spend(longest if line is None else len(line) + 1)
            if line is None or line.strip():
                yield _parsed(line, longest)
