"""Finds the pages of URL lists in a snapshot, as pointers to their WARC records (Nemotron-CC-Math §2.1).

A list has either URLs, which are looked up in the columnar index of the crawl, or pointers to WARC records. The lookup
is a join in DuckDB on disk, one file of the index at a time, so that neither list nor index must fit into memory.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass

from nemotron_assets.recipe.math.pages import MathCandidates, UrlList
from nemotron_assets.table.scratch import scratch_folder
from resources.crawl import Crawl, CrawlError

_INDEX = ("url", "fetch_status", "warc_filename", "warc_record_offset", "warc_record_length")
_POINTERS = (("warc_record_offset", "warc_record_length"), ("offset", "length"), ("warc_offset", "warc_length"))
_MAX_URL = 4_096  # characters
_CSV = "read_csv({}, all_varchar = true)"
_JSON = "read_ndjson({}, union_by_name = true)"
_READERS = {
    ".parquet": "read_parquet({})", ".csv": _CSV, ".csv.gz": _CSV, ".tsv": _CSV, ".jsonl": _JSON,
    ".jsonl.gz": _JSON, ".json.gz": _JSON,
}  # fmt: skip


class ListError(ValueError):
    """A URL list cannot be used; the message names the list and says what it needs."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A record of the crawl that one or more `lists` name. `offset` and `length` are bytes in its WARC file; `url` is
    "" if the list has only the pointer."""

    offset: int
    length: int
    url: str
    lists: tuple[str, ...]


def files_of(urls: UrlList) -> list[str]:
    """The files of a list. Raises `ListError` if there is no file, or a file whose ending is not known."""
    files = sorted(glob.glob(os.path.expanduser(urls.path)))
    if not files:
        raise ListError(f"URL list {urls.name}: there is no file {urls.path}; correct math.pages.candidates.lists")
    for file in files:
        if not file.endswith(tuple(_READERS)):
            raise ListError(f"URL list {urls.name}: {file} must end in one of {', '.join(_READERS)}")
    return files


class Pointers:
    """The records of one snapshot that the lists name, in a temporary database on disk. Use it as a context manager.
    `listed` is the number of different URLs on the lists, `found` the number of records found."""

    def __init__(self, recipe: MathCandidates, crawl: Crawl, snapshot: str) -> None:
        self.recipe, self.crawl, self.snapshot = recipe, crawl, snapshot
        self.listed, self.found = 0, 0
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Pointers:
        import duckdb

        with contextlib.ExitStack() as stack:
            folder = str(stack.enter_context(scratch_folder("nemotron-lists-")))
            self._database = duckdb.connect(
                os.path.join(folder, "lists.duckdb"),
                config={
                    "memory_limit": f"{self.recipe.memory_mb}MB",
                    "threads": 1,
                    "temp_directory": folder,
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                },
            )
            stack.callback(self._database.close)
            self._database.execute(
                "CREATE TABLE urls (url VARCHAR, list VARCHAR);"
                "CREATE TABLE pointers (warc_file VARCHAR, warc_offset BIGINT, warc_length BIGINT, url VARCHAR, "
                "list VARCHAR)"
            )
            for urls in self.recipe.lists:
                self._read(urls)
            self._join()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def files(self) -> dict[str, str]:
        """{WARC file: a hash of its records on the lists}."""
        rows = self._database.execute(
            "SELECT warc_file, CAST(bit_xor(hash(warc_offset, warc_length, url, lists)) AS VARCHAR) FROM records "
            "GROUP BY 1"
        )
        return dict(rows.fetchall())

    def in_file(self, warc_file: str) -> Iterator[Pointer]:
        """The records of one WARC file that are on the lists, in the order of their offsets."""
        rows = self._database.cursor().execute(
            "SELECT warc_offset, warc_length, url, lists FROM records WHERE warc_file = ? ORDER BY warc_offset",
            [warc_file],
        )
        while some := rows.fetchmany(1_024):
            for offset, length, url, lists in some:
                yield Pointer(offset, length, url, tuple(lists))

    # -- making the table ---------------------------------------------------------------------------------------------

    def _read(self, urls: UrlList) -> None:
        """Read a list into the database: its pointers to records of this snapshot, or else its URLs."""
        import duckdb

        for file in files_of(urls):
            source = _READERS[next(ending for ending in _READERS if file.endswith(ending))].format("?")
            try:
                columns = {
                    row[0] for row in self._database.execute(f"DESCRIBE SELECT * FROM {source}", [file]).fetchall()
                }
                place = next((pair for pair in _POINTERS if columns.issuperset(pair)), None)
                if place and "warc_filename" in columns:
                    url = "CAST(url AS VARCHAR)" if "url" in columns else "''"
                    self._database.execute(
                        f"INSERT INTO pointers SELECT DISTINCT warc_filename, TRY_CAST({place[0]} AS BIGINT), "
                        f"TRY_CAST({place[1]} AS BIGINT), left({url}, {_MAX_URL}), ? FROM {source} "
                        f"WHERE contains(warc_filename, ?) AND TRY_CAST({place[0]} AS BIGINT) >= 0 "
                        f"AND TRY_CAST({place[1]} AS BIGINT) > 0",
                        [urls.name, file, f"crawl-data/{self.snapshot}/"],
                    )
                elif "url" in columns:
                    self._database.execute(
                        f"INSERT INTO urls SELECT DISTINCT CAST(url AS VARCHAR), ? FROM {source} "
                        f"WHERE length(CAST(url AS VARCHAR)) BETWEEN 1 AND {_MAX_URL}",
                        [urls.name, file],
                    )
                else:
                    raise ListError(
                        f"URL list {urls.name}: {file} needs a column url, or warc_filename with offset and length; "
                        f"it has {', '.join(sorted(columns))}"
                    )
            except duckdb.Error as error:
                raise ListError(f"URL list {urls.name}: {file} cannot be read: {str(error).splitlines()[0]}") from error

    def _join(self) -> None:
        """Look the URLs up in the index, and make the table of records from all pointers."""
        if self._database.execute("SELECT count(*) FROM urls").fetchone()[0]:
            for path in self._index_files():
                self._join_index(path)
        limit = "" if self.recipe.max_pages is None else f"LIMIT {self.recipe.max_pages}"
        # Lists and index are untrusted: only paths of this snapshot pass, and `Crawl` checks a path before it reads.
        self._database.execute(
            "CREATE TABLE records AS SELECT warc_file, warc_offset, max(warc_length) AS warc_length, min(url) AS url, "
            "list_sort(list_distinct(list(list))) AS lists FROM pointers WHERE starts_with(warc_file, ?) "
            f"GROUP BY warc_file, warc_offset ORDER BY warc_file, warc_offset {limit}",
            [f"crawl-data/{self.snapshot}/"],
        )
        self.listed = self._database.execute("SELECT count(DISTINCT url) FROM urls").fetchone()[0]
        self.found = self._database.execute("SELECT count(*) FROM records").fetchone()[0]

    def _index_files(self) -> list[str]:
        """The index files of the snapshot's successful responses, as its cc-index-table.paths.gz lists them."""
        listing = f"crawl-data/{self.snapshot}/cc-index-table.paths.gz"
        files = [path for path in self.crawl.paths_in(listing) if path.endswith(".parquet")]
        chosen = [file for file in files if "/subset=warc/" in file] or files
        if not chosen:
            raise CrawlError(f"{self.snapshot}: {listing} names no index file that ends in .parquet")
        return chosen

    def _join_index(self, path: str) -> None:
        """Look the URLs up in one index file, and add the pointers found."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        with self.crawl.open(path) as stream:
            index = pq.ParquetFile(stream, memory_map=False)
            if missing := set(_INDEX) - set(index.schema_arrow.names):
                raise CrawlError(f"{path} is not an index of the crawl: it lacks {', '.join(sorted(missing))}")
            schema = pa.schema([index.schema_arrow.field(name) for name in _INDEX])
            batches = (
                pa.RecordBatch.from_arrays([batch.column(name) for name in _INDEX], schema=schema)
                for batch in index.iter_batches(16_384, columns=list(_INDEX))
            )
            self._database.register("crawl_index", pa.RecordBatchReader.from_batches(schema, batches))
            self._database.execute(
                "INSERT INTO pointers SELECT warc_filename, warc_record_offset, warc_record_length, i.url, a.list "
                "FROM crawl_index AS i JOIN urls AS a ON i.url = a.url "
                "WHERE fetch_status = 200 AND warc_record_offset >= 0 AND warc_record_length > 0"
            )
            self._database.unregister("crawl_index")
