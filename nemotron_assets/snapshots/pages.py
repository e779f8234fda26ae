"""Makes `snapshots.pages` file by file, and counts the fates of each file's records in `snapshots.records`.

Every file is parsed once. Its pages are one commit, and its counts are the next. If a run is killed between the two
commits, the counts are missing: then the next run parses the file again and replaces its pages and counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from nemotron_assets.rights.tombstones import load
from nemotron_assets.snapshots.ranges import section
from nemotron_assets.snapshots.rows import RowFile, Unreadable
from nemotron_assets.snapshots.spread import Cores, SpreadFile
from nemotron_assets.snapshots.tables import INGESTED, PAGES, RECORDS
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from nemotron_assets.warc.limits import limits_of
from nemotron_assets.warc.pages import page_batch
from nemotron_assets.warc.reader import BROKEN, Counts, EmptyFile, NotWarc, OnBroken, OverLimit, WarcFile
from resources.crawl import Crawl, CrawlError, Missing, Oversized, Unavailable, file_fingerprint

if TYPE_CHECKING:
    from nemotron_assets.recipe.snapshots import Pages as PagesRecipe
    from resources.lakehouse import Lakehouse


def snapshot_parts(
    snapshot: str,
    recipe: PagesRecipe,
    crawl: Crawl,
    lake: Lakehouse,
    run_id: str,
    log: Callable[[str], None],
    cores: Cores | None = None,
) -> Parts:
    """The parts of one partition of `snapshots.pages`: one per file that `nemotron ingest` named, or per WARC file of
    the crawl. Large WARC files are read on all `cores`, by default in this process."""
    files = _SnapshotFiles(snapshot, recipe, crawl, lake, run_id, log, cores)
    return Parts(files.parts(), beside=(RECORDS,), rejects=files.rejects)


#: Raise it when own files are read in another way, so that files that are in the lake are read again.
_READER = "2"


class _SnapshotFiles:
    """One run over the files of a snapshot."""

    def __init__(self, snapshot, recipe, crawl, lake, run_id, log, cores=None) -> None:
        self.cores = cores
        self.snapshot, self.limits, self.crawl, self.lake = snapshot, limits_of(recipe), crawl, lake
        self.run_id, self.log = run_id, log
        self.rejects, self.tombstones = Rejects(), load(lake)
        self.counts: dict[str, Counts] = {}

    def parts(self) -> Iterator[Part]:
        files = self._files()
        counted = self._counted_states()
        for file, content, make in files:
            state = self._state(counted.get(file), content)
            yield Part(file, state, make)
            # The part is committed now. `make` cannot store the counts: delta-rs does not write while it reads from it.
            if file in self.counts:
                self._store_counts(file, state, self.counts.pop(file))
        for file in counted.keys() - {file for file, _, _ in files}:
            self._store_counts(file, "", Counts())

    def _files(self) -> list[tuple[str, str, Callable[[], Iterator[pa.RecordBatch]]]]:
        """(name, fingerprint, function that yields its pages) of every file of the snapshot."""
        ingested = self.lake.read(INGESTED, self.snapshot).scan().sort("file").collect().to_dicts()
        if ingested:
            return [(row["file"], _content(row), lambda row=row: self._ingested(row)) for row in ingested]
        paths = self.crawl.warc_paths(self.snapshot)
        chosen = paths[: self.crawl.max_warc_files]
        self.log(f"{self.snapshot}: reading {len(chosen)} of {len(paths)} WARC files")
        return [(path, self._fingerprint(path), lambda path=path: self._crawled(path)) for path in chosen]

    def _counted_states(self) -> dict[str, tuple[str, bool]]:
        """{file: (its state when its records were counted, whether the file was broken)}."""
        import polars as pl

        broken = (pl.col("fate") == "broken_file").any()
        records = self.lake.read(RECORDS, self.snapshot).scan()
        rows = records.group_by("warc_file").agg(pl.col("state").first(), broken.alias("broken")).collect()
        return {file: (state, is_broken) for file, state, is_broken in rows.iter_rows()}

    def _state(self, counted: tuple[str, bool] | None, content: str) -> str:
        """The fingerprint of a part, as "content#run id": the stored one if the file has counts, was not broken and has
        not changed; else a new one, so that the file is read again.
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
                yield from self._warc(path, stream, "broken_file")
        except Unavailable as problem:
            if not self.crawl.alive():
                raise  # the source does not answer at all: no file is marked as broken, and the next run goes on here
            self._broken_file(path, problem)
        except (Missing, Oversized) as problem:
            self._broken_file(path, problem)

    def _ingested(self, row: dict) -> Iterator[pa.RecordBatch]:
        place, file = Path(row["path"]), row["file"]
        if file_fingerprint(place) != row["fingerprint"]:
            raise CrawlError(f"{place} has changed since `nemotron ingest` named it: run `nemotron ingest` again")
        whole, first = row["whole_file"] or file, row["first"] or 0
        if row["format"] == "warc":
            with place.open("rb") as stream:
                part = stream if row["first"] is None else section(stream, first, row["end"])
                yield from self._warc(file, part, "empty_file", whole, first)
            return
        source = RowFile(place, row, self.limits, self._broken_record_handler(whole))
        try:
            yield from self._stored(file, self._rows(source, whole, file), source.counts)
        except Unreadable as problem:
            # The rows before the damage are kept; the rows after it cannot be found.
            self._broken_file(file, problem, source.counts)

    def _warc(
        self, file: str, stream: BinaryIO, if_empty: str, whole: str = "", first: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """The pages of a WARC file. A file that cannot be read, or not to its end, is counted as such; `if_empty` is
        the fate of an empty one. Of a range of the file `whole`, the stream begins at the offset `first` there."""
        counts, is_range, whole = None, bool(whole) and whole != file, whole or file
        try:
            on_broken = self._broken_record_handler(whole, first)
            if self.cores and stream.seek(0, 2) > 2 * self.cores.piece_bytes:
                to_rows = functools.partial(page_batch, snapshot=self.snapshot, file=whole, part=file)
                place = {"first": first, "is_piece": is_range}
                source = SpreadFile(stream, self.limits, on_broken, to_rows, self.cores, **place)
                batches = source.batches()
            else:
                source = WarcFile(stream, self.limits, on_broken, is_piece=is_range)
                batches = self._rows(source, whole, file, first)
            counts = source.counts
            yield from self._stored(file, batches, counts)
        except EmptyFile as problem:
            self._broken_file(file, problem, fate=if_empty)
        except (NotWarc, OverLimit) as problem:
            self._broken_file(file, problem, counts)

    def _rows(self, source: WarcFile | RowFile, whole: str, file: str, first: int = 0) -> Iterator[pa.RecordBatch]:
        """The pages of a file as rows. Of a range of the file `whole`, offsets count from `first` on."""
        for pages in source.batches():
            for page in pages:
                page.offset += first
            yield page_batch(pages, self.snapshot, whole, file)

    def _stored(self, file: str, batches: Iterable[pa.RecordBatch], counts: Counts) -> Iterator[pa.RecordBatch]:
        """The rows without those that were forgotten."""
        for batch in batches:
            kept, forgotten = self.tombstones.split(batch)
            for fate, html in zip(forgotten["fate"].to_pylist(), forgotten["html"].to_pylist(), strict=True):
                counts.move(fate, "forgotten", len(html))
            yield kept
        self.counts[file] = counts

    def _broken_record_handler(self, file: str, first: int = 0) -> OnBroken:
        """A function that puts a broken record of a file into the quarantine. Its offsets count from `first` on."""
        return lambda offset, fate, detail: self.rejects.add(
            Reject(
                row_id(PAGES.full_name, self.snapshot, file, first + offset),
                fate,
                f"{file} at {first + offset}: {detail}",
            )
        )

    def _broken_file(
        self, file: str, problem: Exception, counts: Counts | None = None, fate: str = "broken_file"
    ) -> None:
        self.log(f"{file}: {problem}")
        if fate in BROKEN:
            self.rejects.add(Reject(row_id(PAGES.full_name, self.snapshot, file), fate, f"{file}: {problem}"))
        self.counts[file] = counts or Counts()
        self.counts[file].add(fate, 0)

    def _store_counts(self, file: str, state: str, counts: Counts) -> None:
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
        earlier = {"snapshot": self.snapshot, "warc_file": file}
        self.lake.replace(RECORDS, pa.Table.from_pylist(rows, RECORDS.arrow_schema()), earlier, run_id=self.run_id)


def _content(row: dict) -> str:
    """What the pages of a row of `snapshots.ingested` are made of."""
    section = "" if row["first"] is None else f":{row['first']}-{row['end']}"
    return f"{row['fingerprint']}:{_READER}{section}"
