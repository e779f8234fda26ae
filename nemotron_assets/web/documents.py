"""A snapshot's pages as parts of `web.documents`, each with the counts of what became of its pages.

Each WARC file's documents are one commit, the counts of personal data the next, the pages' fates the last. A file
whose fates are missing, because a run was killed in between, is extracted again and replaces all of them.
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
from nemotron_assets.web.extract import FOUND, extract_pages
from nemotron_assets.web.opt_outs import OptOutList, load
from nemotron_assets.web.tables import DOCUMENTS, EXTRACTION, PRIVACY
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader, rows_with

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
    """One run over a snapshot's pages. `version` stands for everything but the pages that documents depend on."""

    def __init__(
        self, pages: Reader, recipe: Documents, compute: Compute, lake: Lakehouse, run_id: str, version: str = ""
    ) -> None:
        self.pages, self.recipe, self.compute, self.lake, self.run_id = pages, recipe, compute, lake, run_id
        self.snapshot = pages.partition
        self.rejects = Rejects()
        self.opt_outs = load(recipe.opt_outs)
        self.version = content_hash("\x1f".join([version, recipe.model_dump_json(), self.opt_outs.version]))[:16]
        self.counts: dict[str, Counter[tuple[str, str]]] = {}

    def parts(self) -> Parts:
        """The parts of this snapshot's partition of `web.documents`."""
        return Parts(self._parts(), beside=(EXTRACTION, PRIVACY), rejects=self.rejects)

    def _parts(self) -> Iterator[Part]:
        pages = self.pages.parts()
        counted = dict(self._counted())
        for file, content in pages.items():
            made_from = f"{content}-{self.version}"
            state = counted.get(file, "")
            if state.rpartition("#")[0] != made_from:
                state = f"{made_from}#{self.run_id}"
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
        # The lists would be sent along with every batch: what they block is left out here.
        allowed = (rest for batch in batches if (rest := _without_blocked(batch, self.opt_outs, counts)).num_rows)
        extract = functools.partial(extract_pages, recipe=self.recipe)
        for extracted in self.compute.map(allowed, extract, reject=reject, stage=f"{DOCUMENTS.full_name} of {file}"):
            for fate, pages, characters in (
                extracted.group_by("fate").agg(pl.len(), pl.col("characters").sum()).iter_rows()
            ):
                counts["pages", fate] += pages
                counts["characters", fate] += characters
            for name, rule in FOUND.items():
                counts["documents", rule] += extracted.select((pl.col(name) > 0).sum()).item()
                counts["matches", rule] += extracted[name].sum()
            yield as_documents(extracted)
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
        earlier = rows_with({"snapshot": self.snapshot, "warc_file": file})
        # The fates last: they say that everything of the file is in.
        for table, rows in ((PRIVACY, rule_rows), (EXTRACTION, fate_rows)):
            self.lake.replace(table, pa.Table.from_pylist(rows, table.arrow_schema()), earlier, run_id=self.run_id)


def _without_blocked(batch: pa.RecordBatch, opt_outs: OptOutList, counts: Counter[tuple[str, str]]) -> pa.RecordBatch:
    """The pages of a batch that are on no opt-out list; the others are counted."""
    reasons = opt_outs.reasons(batch.column("url").to_pylist())
    blocked = Counter(reason for reason in reasons if reason)
    if not blocked:
        return batch
    for reason, pages in blocked.items():
        counts["pages", reason] += pages
    return batch.filter(pa.array([reason is None for reason in reasons]))
