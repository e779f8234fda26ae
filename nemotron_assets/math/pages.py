"""Makes `math.candidate_pages` WARC file by WARC file: pages that the detector finds, and pages fetched for URL
lists."""

from __future__ import annotations

import functools
import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from nemotron_assets.math.candidates import detect_pages
from nemotron_assets.math.lists import Pointer, Pointers
from nemotron_assets.math.tables import CANDIDATE_PAGES
from nemotron_assets.recipe.math.pages import MathCandidates
from nemotron_assets.recipe.web.privacy import OptOuts
from nemotron_assets.rights.tombstones import load
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Reject, Rejects
from nemotron_assets.text.opt_outs import OptedOut
from nemotron_assets.warc.pages import page_batch
from nemotron_assets.warc.reader import Limits, NotWarc, Page, WarcFile
from resources.crawl import Crawl, CrawlError, Unavailable

if TYPE_CHECKING:
    from resources.compute import Compute
    from resources.lakehouse import Reader

_COLUMNS = (
    "id", "snapshot", "warc_file", "warc_offset", "warc_length", "url", "host", "fetched_at", "mime", "charset", "html",
    "content_hash", "opt_outs",
)  # fmt: skip


class Candidates:
    """One run over the pages of a snapshot and over its records on the URL lists."""

    def __init__(
        self,
        pages: Reader,
        recipe: MathCandidates,
        limits: Limits,
        crawl: Crawl,
        compute: Compute,
        log: Callable[[str], None],
        opt_outs: OptOuts,
    ) -> None:
        self.opt_outs = OptedOut.of(opt_outs)
        self.pages, self.recipe, self.limits, self.crawl, self.compute = pages, recipe, limits, crawl, compute
        self.log, self.rejects = log, Rejects()
        self.snapshot, self.tombstones = pages.partition, load(pages.lake)

    def parts(self) -> Iterator[Part]:
        """One part per WARC file that has pages in the lake or records on a list."""
        version = content_hash(f"{self.recipe.model_dump_json()} {self.opt_outs.version}")[:16]
        contents = self.pages.parts() if self.pages.rows else {}
        with Pointers(self.recipe, self.crawl, self.snapshot) as pointers:
            if self.recipe.lists:
                self.log(f"{self.snapshot}: found {pointers.found} records for {pointers.listed} listed URLs")
            listed = pointers.files()
            for file in sorted(contents.keys() | listed.keys()):
                state = f"{contents.get(file, '')}-{listed.get(file, '')}-{version}"
                yield Part(file, state, functools.partial(self._make, file, file in contents, pointers))

    def _make(self, file: str, ingested: bool, pointers: Pointers) -> Iterator[pl.DataFrame]:
        """Rows of `math.candidate_pages` for one WARC file; `ingested`: its pages are in the lake."""
        listed = {pointer.offset: pointer for pointer in pointers.in_file(file)}
        detect = functools.partial(detect_pages, recipe=self.recipe)
        stage = f"{CANDIDATE_PAGES.full_name} of {file}"
        if ingested:
            own = map(self._allowed, self.pages.part(file).batches(_COLUMNS, batch_size=self.recipe.batch_rows))
            for frame in self.compute.map(own, detect, reject=self.rejects.add, stage=stage):
                wanted = pl.col("warc_offset").is_in(list(listed))
                if self.recipe.detector:
                    wanted |= pl.col("score") >= self.recipe.min_score
                yield _rows(frame.filter(wanted), listed, fetched=False)
            seen = self.pages.part(file).scan().select("warc_offset").collect()["warc_offset"].to_list()
            rest = [listed[offset] for offset in sorted(listed.keys() - set(seen))]
        else:
            rest = list(listed.values())
        if rest:
            for frame in self.compute.map(
                map(self._allowed, self._fetched(file, rest)), detect, reject=self.rejects.add, stage=stage
            ):
                yield _rows(frame, listed, fetched=True)

    def _allowed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The pages of a batch that do not opt out."""
        kept = [reason is None for reason in self.opt_outs.reasons(batch)]
        batch = batch.drop_columns(["opt_outs"])
        return batch if all(kept) else batch.filter(pa.array(kept))

    def _fetched(self, file: str, pointers: list[Pointer]) -> Iterator[pa.RecordBatch]:
        """The pages at pointers into a file, each fetched by a ranged read of its record. Addresses on an opt-out list
        are not fetched."""
        found: list[Page] = []
        blocked = self.opt_outs.lists.reasons([pointer.url for pointer in pointers])
        for pointer in (pointer for pointer, reason in zip(pointers, blocked, strict=True) if reason is None):
            try:
                found += self._fetch(file, pointer)
            except Unavailable:
                if not self.crawl.alive():
                    raise  # the source does not answer at all: no record is rejected, and the next run goes on here
                self._reject(file, pointer, "unavailable", "the source did not deliver the record")
            except (CrawlError, NotWarc) as problem:
                self._reject(file, pointer, "unreadable_record", str(problem))
            if len(found) >= self.recipe.batch_rows:
                yield self._batch(found, file)
                found = []
        if found:
            yield self._batch(found, file)

    def _batch(self, found: list[Page], file: str) -> pa.RecordBatch:
        """Fetched pages as rows, without those that `nemotron forget` removed."""
        return self.tombstones.split(page_batch(found, self.snapshot, file).select(list(_COLUMNS)))[0]

    def _fetch(self, file: str, pointer: Pointer) -> list[Page]:
        """The page of one record, in a list; an empty list, and a rejected row, if the record has no usable page."""
        record = io.BytesIO(self.crawl.read_range(file, pointer.offset, pointer.length))
        source = WarcFile(record, self.limits, is_piece=True)
        pages = list(source.pages())
        if len(pages) > 1:  # several records in one gzip member
            pages = [page for page in pages if page.url == pointer.url]
        if len(pages) != 1:
            fates = ", ".join(sorted(fate for fate, number in source.counts.records.items() if number))
            self._reject(file, pointer, "no_page", f"the record holds no usable page: {fates or 'it is empty'}")
            return []
        pages[0].offset, pages[0].length = pointer.offset, pointer.length
        return pages

    def _reject(self, file: str, pointer: Pointer, cause: str, detail: str) -> None:
        page = row_id(PAGES.full_name, self.snapshot, file, pointer.offset)
        self.rejects.add(Reject(page, cause, f"{file} at {pointer.offset}, {pointer.url}: {detail}"))


def _rows(pages: pl.DataFrame, listed: dict[int, Pointer], *, fetched: bool) -> pl.DataFrame:
    """Rows of `math.candidate_pages`; `listed` is {offset: pointer} of the file."""
    names = [list(listed[offset].lists) if offset in listed else [] for offset in pages["warc_offset"]]
    ids = [row_id(CANDIDATE_PAGES.full_name, page) for page in pages["id"]]
    return pages.with_columns(
        id=pl.Series(ids, dtype=pl.String),
        parents=pl.concat_list("id"),
        lists=pl.Series(names, dtype=pl.List(pl.String)),
        fetched=pl.lit(fetched),
    ).select(CANDIDATE_PAGES.column_names)


def opted_out(pages: Reader, opt_outs: OptOuts) -> dict[str, int]:
    """{reason: pages} of the pages of a snapshot that are left out, because they are on an opt-out list or opt out
    themselves."""
    honoured, counts = OptedOut.of(opt_outs), Counter()
    for batch in pages.batches(("url", "opt_outs"), batch_size=8_192):
        counts.update(filter(None, honoured.reasons(batch)))
    return dict(counts.most_common())
