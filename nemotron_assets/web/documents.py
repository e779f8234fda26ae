"""A snapshot's pages as parts of `web.documents`, each with the counts of what became of its pages.

Each WARC file's documents are one commit, their counts the next. A file whose counts are missing, because a run was
killed between the two, is extracted again and replaces both.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from nemotron_assets.recipe import Documents
from nemotron_assets.table import Part, Parts, Reject, content_hash, row_id
from nemotron_assets.web.extract import extract_pages
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

_COLUMNS = ("id", "snapshot", "warc_file", "url", "host", "fetched_at", "html", "charset", "mime")


def as_documents(extracted: pl.DataFrame) -> pl.DataFrame:
    """Rows of `web.documents` from the kept rows of `extract_pages`."""
    kept = extracted.filter(pl.col("fate") == "document")
    return kept.with_columns(
        id=pl.Series([row_id(DOCUMENTS.full_name, page) for page in kept["id"]], dtype=pl.String),
        parents=pl.concat_list("id"),
        content_hash=pl.Series([content_hash(text) for text in kept["text"]], dtype=pl.String),
    ).select(DOCUMENTS.column_names)


class SnapshotDocuments:
    """One run over a snapshot's pages."""

    def __init__(self, pages: Reader, recipe: Documents, compute: Compute, lake: Lakehouse, run_id: str) -> None:
        self.pages, self.recipe, self.compute, self.lake, self.run_id = pages, recipe, compute, lake, run_id
        self.snapshot = pages.partition
        self.rejects = lake.rejects(DOCUMENTS, self.snapshot)
        self.counts: dict[str, Counter[tuple[str, str]]] = {}

    def parts(self) -> Parts:
        """The parts of this snapshot's partition of `web.documents`."""
        return Parts(self._parts(), beside=(EXTRACTION,))

    def _parts(self) -> Iterator[Part]:
        pages = self.pages.parts()
        counted = dict(self._counted())
        for file, content in pages.items():
            state = counted.get(file, "")
            if state.rpartition("#")[0] != content:
                state = f"{content}#{self.run_id}"
            yield Part(file, state, functools.partial(self._extract, file))
            # Here the part is committed; the lake cannot be written to while it pulls from `_extract`.
            if file in self.counts:
                self._store_counts(file, state, self.counts.pop(file))
        for file in counted.keys() - pages.keys():
            self._store_counts(file, "", Counter())

    def _counted(self) -> Iterator[tuple[str, str]]:
        """(file, state it was counted in) of every file with counts."""
        rows = self.lake.read(EXTRACTION, self.snapshot).scan().select("warc_file", "state").unique().collect()
        return rows.iter_rows()

    def _extract(self, file: str) -> Iterator[pl.DataFrame]:
        counts: Counter[tuple[str, str]] = Counter()

        def reject(row: Reject) -> None:
            counts["pages", "rejected"] += 1
            self.rejects.add(row)

        batches = self.pages.part(file).batches(_COLUMNS, batch_size=self.recipe.batch_rows)
        extract = functools.partial(extract_pages, recipe=self.recipe)
        for extracted in self.compute.map(batches, extract, reject=reject, stage=f"{DOCUMENTS.full_name} of {file}"):
            for fate, pages, characters in (
                extracted.group_by("fate").agg(pl.len(), pl.col("characters").sum()).iter_rows()
            ):
                counts["pages", fate] += pages
                counts["characters", fate] += characters
            yield as_documents(extracted)
        self.counts[file] = counts

    def _store_counts(self, file: str, state: str, counts: Counter[tuple[str, str]]) -> None:
        fates = sorted({fate for _, fate in counts})
        rows = [
            {
                "id": row_id(EXTRACTION.full_name, self.snapshot, file, fate),
                "snapshot": self.snapshot,
                "warc_file": file,
                "fate": fate,
                "pages": counts["pages", fate],
                "characters": counts["characters", fate],
                "state": state,
            }
            for fate in fates
        ]
        snapshot, name = (value.replace("'", "''") for value in (self.snapshot, file))
        self.lake.replace(
            EXTRACTION,
            pa.Table.from_pylist(rows, EXTRACTION.arrow_schema()),
            f"snapshot = '{snapshot}' AND warc_file = '{name}'",
            run_id=self.run_id,
        )
