"""Turns the pages of a snapshot into parts of `web.documents`, and counts what became of every page.

A WARC file takes three commits: its documents, its counts of personal data (`web.privacy`), and last its counts of
pages (`web.extraction`). When a run is killed in between, the counts of pages are missing. The next run then extracts
the file again and replaces all three.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from nemotron_assets.recipe.web.documents import Documents
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from nemotron_assets.text.opt_outs import OptedOut
from nemotron_assets.web.extract import MATCH_COLUMNS, extract_pages
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION, PRIVACY
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader

_COLUMNS = ("id", "snapshot", "warc_file", "url", "host", "fetched_at", "html", "charset", "mime", "opt_outs")


def document_rows(extracted: pl.DataFrame) -> pl.DataFrame:
    """Rows of `web.documents` from the rows of `extract_pages` with the fate "document"."""
    kept = extracted.filter(pl.col("fate") == "document")
    return kept.with_columns(
        id=pl.Series([row_id(DOCUMENTS.full_name, page) for page in kept["id"]], dtype=pl.String),
        parents=pl.concat_list("id"),
        content_hash=pl.Series([content_hash(text) for text in kept["text"]], dtype=pl.String),
    ).select(DOCUMENTS.column_names)


class SnapshotDocuments:
    """One run over the pages of a snapshot. `version` is the asset's code version.

    A WARC file is extracted again when its pages, the code version, the recipe or the opt-out lists have changed.
    """

    def __init__(
        self, pages: Reader, recipe: Documents, compute: Compute, lake: Lakehouse, run_id: str, version: str = ""
    ) -> None:
        self.pages, self.recipe, self.compute, self.lake, self.run_id = pages, recipe, compute, lake, run_id
        self.snapshot = pages.partition
        self.rejects = Rejects()
        self.opt_outs = OptedOut.of(recipe.opt_outs)
        self.version = content_hash("\x1f".join([version, recipe.model_dump_json(), self.opt_outs.lists.version]))[:16]
        #: By WARC file: {("pages" or "characters", fate) or ("documents" or "matches", rule): number}.
        self.counts: dict[str, Counter[tuple[str, str]]] = {}

    def parts(self) -> Parts:
        """The parts of this snapshot's partition of `web.documents`."""
        return Parts(self._parts(), beside=(EXTRACTION, PRIVACY), rejects=self.rejects)

    def _parts(self) -> Iterator[Part]:
        pages = self.pages.parts()
        stored_states = dict(self._stored_states())
        for file, content in pages.items():
            made_from = f"{content}-{self.version}"
            state = stored_states.get(file, "")
            if state.rpartition("#")[0] != made_from:
                state = f"{made_from}#{self.run_id}"
            yield Part(file, state, functools.partial(self._extract, file))
            # The lake asks for the next part when it has committed this one. The counts can only be written now: the
            # lake cannot take another write while it pulls rows from `_extract`.
            if file in self.counts:
                self._store_counts(file, state, self.counts.pop(file))
        for file in stored_states.keys() - pages.keys():
            self._store_counts(file, "", Counter())

    def _stored_states(self) -> Iterator[tuple[str, str]]:
        """(WARC file, state) of every file whose pages are counted in `web.extraction`."""
        rows = self.lake.read(EXTRACTION, self.snapshot).scan().select("warc_file", "state").unique().collect()
        return rows.iter_rows()

    def _extract(self, file: str) -> Iterator[pl.DataFrame]:
        counts: Counter[tuple[str, str]] = Counter()

        def reject(row: Reject) -> None:
            counts["pages", "rejected"] += 1
            self.rejects.add(row)

        batches = self.pages.part(file).batches(_COLUMNS, batch_size=self.recipe.batch_rows)
        # Opt-outs are applied in this process, because the lists would be sent to the workers with every batch.
        allowed = (r for batch in batches if (r := _remove_blocked(batch, self.opt_outs, counts)).num_rows)
        extract = functools.partial(extract_pages, recipe=self.recipe)
        for extracted in self.compute.map(allowed, extract, reject=reject, stage=f"{DOCUMENTS.full_name} of {file}"):
            _count(extracted, counts)
            yield document_rows(extracted)
        self.counts[file] = counts

    def _store_counts(self, file: str, state: str, counts: Counter[tuple[str, str]]) -> None:
        fates = sorted({fate for what, fate in counts if what == "pages"})
        fate_rows = [
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
        rules = self.recipe.privacy.rules()
        rule_rows = [
            {
                "id": row_id(PRIVACY.full_name, self.snapshot, file, rule),
                "snapshot": self.snapshot,
                "warc_file": file,
                "rule": rule,
                "action": rules[rule].action,
                "documents": counts["documents", rule],
                "matches": matches,
            }
            for (what, rule), matches in sorted(counts.items())
            if what == "matches" and matches
        ]
        earlier = {"snapshot": self.snapshot, "warc_file": file}
        # The counts of pages come last: they show that everything else of the file has been written.
        for table, rows in ((PRIVACY, rule_rows), (EXTRACTION, fate_rows)):
            self.lake.replace(table, pa.Table.from_pylist(rows, table.arrow_schema()), earlier, run_id=self.run_id)


def _count(extracted: pl.DataFrame, counts: Counter[tuple[str, str]]) -> None:
    """Add the rows of `extract_pages` to the counts of pages and of personal data."""
    by_fate = extracted.group_by("fate").agg(pl.len(), pl.col("characters").sum())
    for fate, pages, characters in by_fate.iter_rows():
        counts["pages", fate] += pages
        counts["characters", fate] += characters
    for name, rule in MATCH_COLUMNS.items():
        counts["documents", rule] += extracted.select((pl.col(name) > 0).sum()).item()
        counts["matches", rule] += extracted[name].sum()


def _remove_blocked(batch: pa.RecordBatch, opt_outs: OptedOut, counts: Counter[tuple[str, str]]) -> pa.RecordBatch:
    """The pages of a batch that do not opt out. The others are added to the counts."""
    reasons = opt_outs.reasons(batch)
    batch = batch.drop_columns(["opt_outs"])
    blocked = Counter(reason for reason in reasons if reason)
    if not blocked:
        return batch
    for reason, pages in blocked.items():
        counts["pages", reason] += pages
    return batch.filter(pa.array([reason is None for reason in reasons]))
