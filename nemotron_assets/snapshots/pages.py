"""A snapshot's files as parts of `snapshots.pages`, each with the counts of its records' fates.

Every file is parsed once; its pages are one commit, its counts the next. A file whose counts are missing, because a run
was killed between the two, is parsed again and replaces both.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from nemotron_assets.snapshots import warc
from nemotron_assets.snapshots.rows import RowFile
from nemotron_assets.snapshots.tables import INGESTED, PAGES, RECORDS
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from resources.crawl import Crawl, CrawlError, Missing, Oversized, Unavailable, file_fingerprint
from resources.lakehouse import rows_with

if TYPE_CHECKING:
    from nemotron_assets.recipe.snapshots import Pages as PagesRecipe
    from resources.lakehouse import Lakehouse

_SCHEMA = PAGES.arrow_schema()


def limits_of(recipe: PagesRecipe) -> warc.Limits:
    """The recipe's `pages` section as the parser wants it."""
    return warc.Limits(
        max_body=int(recipe.max_html_mb * (1 << 20)),
        mimes=tuple(recipe.mimes),
        keep_truncated=recipe.keep_truncated,
        batch_rows=recipe.batch_rows,
        batch_bytes=recipe.batch_mb << 20,
    )


def page_batch(pages: list[warc.Page], snapshot: str, file: str) -> pa.RecordBatch:
    """Pages of one file as rows of `snapshots.pages`."""
    n = len(pages)
    prefix = (PAGES.full_name, snapshot, file)
    columns = {
        "id": [row_id(*prefix, page.offset) for page in pages],
        "parents": [[]] * n,
        "snapshot": [snapshot] * n,
        "content_hash": [content_hash(page.html) for page in pages],
        "warc_file": [file] * n,
        "warc_offset": [page.offset for page in pages],
        "warc_length": [page.length for page in pages],
        "html": _binary([page.html for page in pages]),
    }
    for name in _SCHEMA.names:
        if name not in columns:
            columns[name] = [getattr(page, name) for page in pages]
    return pa.RecordBatch.from_arrays(
        [c if isinstance(c := columns[field.name], pa.Array) else pa.array(c, field.type) for field in _SCHEMA],
        schema=_SCHEMA,
    )


def _binary(values: list[bytes]) -> pa.LargeBinaryArray:
    """Bodies as one array, copied once: `pa.array` grows its buffer step by step and copies it each time."""
    ends = np.cumsum([0, *map(len, values)], dtype=np.int64)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(values), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    )


def snapshot_parts(
    snapshot: str, recipe: PagesRecipe, crawl: Crawl, lake: Lakehouse, run_id: str, log: Callable[[str], None]
) -> Parts:
    """The parts of one partition of `snapshots.pages`: the files named to `nemotron ingest`, or the crawl's."""
    files = _SnapshotFiles(snapshot, recipe, crawl, lake, run_id, log)
    return Parts(files.parts(), beside=(RECORDS,), rejects=files.rejects)


class _SnapshotFiles:
    """One run over a snapshot's files."""

    def __init__(self, snapshot, recipe, crawl, lake, run_id, log) -> None:
        self.snapshot, self.limits, self.crawl, self.lake = snapshot, limits_of(recipe), crawl, lake
        self.run_id, self.log = run_id, log
        self.rejects = Rejects()
        self.counts: dict[str, warc.Counts] = {}

    def parts(self) -> Iterator[Part]:
        files = self._files()
        counted = self._counted()
        for file, content, make in files:
            state = self._state(counted.get(file), content)
            yield Part(file, state, make)
            # Here the part is committed. (Not inside `make`: delta-rs cannot write while it is pulling from it.)
            if file in self.counts:
                self._store_counts(file, state, self.counts.pop(file))
        for file in counted.keys() - {file for file, _, _ in files}:
            self._store_counts(file, "", warc.Counts())

    def _files(self) -> list[tuple[str, str, Callable[[], Iterator[pa.RecordBatch]]]]:
        """(name, fingerprint, what makes its pages) of every file of the snapshot."""
        ingested = self.lake.read(INGESTED, self.snapshot).scan().sort("file").collect().to_dicts()
        if ingested:
            return [(row["file"], row["fingerprint"], lambda row=row: self._ingested(row)) for row in ingested]
        paths = self.crawl.warc_paths(self.snapshot)
        chosen = paths[: self.crawl.max_warc_files]
        self.log(f"{self.snapshot}: {len(chosen)} of {len(paths)} WARC files")
        return [(path, self._fingerprint(path), lambda path=path: self._crawled(path)) for path in chosen]

    def _counted(self) -> dict[str, tuple[str, bool]]:
        """{file: (the state it was counted in, whether it was broken)}."""
        import polars as pl

        broken = (pl.col("fate") == "broken_file").any()
        records = self.lake.read(RECORDS, self.snapshot).scan()
        rows = records.group_by("warc_file").agg(pl.col("state").first(), broken.alias("broken")).collect()
        return {file: (state, is_broken) for file, state, is_broken in rows.iter_rows()}

    def _state(self, counted: tuple[str, bool] | None, content: str) -> str:
        """The fingerprint of a part: the one it was counted with if nothing changed since, else a new one.

        A file without counts (a run was killed between the two commits) and a file that was broken are read again.
        """
        if counted and not counted[1] and counted[0].rpartition("#")[0] == content:
            return counted[0]
        return f"{content}#{self.run_id}"

    def _fingerprint(self, path: str) -> str:
        try:
            return self.crawl.fingerprint(path)
        except Missing:
            return "missing"

    def _crawled(self, path: str) -> Iterator[pa.RecordBatch]:
        try:
            with self.crawl.open(path) as stream:
                yield from self._parse(path, warc.WarcFile(stream, self.limits, self._reject_in(path)))
        except Unavailable as problem:
            if not self.crawl.alive():
                raise  # the source is gone, not the file: nothing is given up, the next run goes on here
            self._broken_file(path, problem)
        except (Missing, Oversized, warc.NotWarc) as problem:
            self._broken_file(path, problem)

    def _ingested(self, row: dict) -> Iterator[pa.RecordBatch]:
        place, file = Path(row["path"]), row["file"]
        if file_fingerprint(place) != row["fingerprint"]:
            raise CrawlError(f"{place} has changed since it was ingested: run `nemotron ingest` again")
        if row["format"] == "warc":
            try:
                with place.open("rb") as stream:
                    yield from self._parse(file, warc.WarcFile(stream, self.limits, self._reject_in(file)))
            except warc.NotWarc as problem:
                self._broken_file(file, problem)
            return
        source = RowFile(place, row, self.limits, self._reject_in(file))
        try:
            yield from self._parse(file, source)
        except (OSError, EOFError, zlib.error, pa.ArrowException) as problem:
            # What was read before the damage is kept; rows after it cannot be found.
            self._broken_file(file, problem, source.counts)

    def _parse(self, file: str, source: warc.WarcFile | RowFile) -> Iterator[pa.RecordBatch]:
        for pages in source.batches():
            yield page_batch(pages, self.snapshot, file)
        self.counts[file] = source.counts

    def _reject_in(self, file: str) -> warc.OnBroken:
        return lambda offset, fate, detail: self.rejects.add(
            Reject(row_id(PAGES.full_name, self.snapshot, file, offset), fate, f"{file} at {offset}: {detail}")
        )

    def _broken_file(self, file: str, problem: Exception, counts: warc.Counts | None = None) -> None:
        self.log(f"{file} is broken: {problem}")
        self.rejects.add(Reject(row_id(PAGES.full_name, self.snapshot, file), "broken_file", f"{file}: {problem}"))
        counts = counts or warc.Counts()
        counts.add("broken_file", 0)
        self.counts[file] = counts

    def _store_counts(self, file: str, state: str, counts: warc.Counts) -> None:
        rows = [
            {
                "id": row_id(RECORDS.full_name, self.snapshot, file, fate),
                "snapshot": self.snapshot,
                "warc_file": file,
                "fate": fate,
                "records": number,
                "bytes": counts.bytes[fate],
                "state": state,
            }
            for fate, number in counts.records.items()
        ]
        earlier = rows_with({"snapshot": self.snapshot, "warc_file": file})
        self.lake.replace(RECORDS, pa.Table.from_pylist(rows, RECORDS.arrow_schema()), earlier, run_id=self.run_id)
