"""Cache of the licence library's answers: in memory for the run, in `code.license_scans` for later runs."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nemotron_assets.code.licences.excerpts import excerpt
from nemotron_assets.code.licences.library import Scan, library_version, text_key
from nemotron_assets.code.licences.tables import SCANS
from nemotron_assets.code.sources.tables import FILES
from nemotron_assets.table.ids import content_hash

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences
    from resources.lakehouse import Lakehouse

#: Most answers kept in memory, and number of new answers that are written in one commit.
_IN_MEMORY, _PER_COMMIT = 20_000, 200


class AnswerCache(OrderedDict):
    """{hash of a text: the library's answer}; the `known` of a `Library`.

    An incomplete answer (with a `problem`) is not stored, because the next run may get a complete one.
    """

    def __init__(self, lake: Lakehouse, run_id: str = "") -> None:
        super().__init__()
        self.lake, self.run_id, self.library = lake, run_id, library_version()
        self.pending: dict[str, Scan] = {}
        self.stored = lake.read(SCANS)

    def load(self, texts: Iterable[str]) -> None:
        """Read the stored answers about these texts into memory."""
        import polars as pl

        if not self.stored.exists:
            return
        keys = [key for key in map(text_key, texts) if key not in self]
        wanted = [self._row_id(key) for key in keys]
        rows = self.stored.scan().filter(pl.col("id").is_in(wanted)).select("text", "findings", "problem").collect()
        for key, findings, problem in rows.iter_rows():
            answer = json.loads(findings)
            beside = {int(line): words for line, words in answer["beside"].items()}
            self[key] = Scan(answer["detections"], problem, beside)

    def add(self, key: str, scan: Scan) -> None:
        """Queue a new answer for storing; a full queue is written."""
        if not scan.problem:
            self.pending[key] = scan
        if len(self.pending) >= _PER_COMMIT:
            self.store()

    def trim(self) -> None:
        """Drop the oldest answers from memory."""
        while len(self) > _IN_MEMORY:
            self.popitem(last=False)

    def store(self) -> None:
        """Write the queued answers in one commit."""
        import pyarrow as pa

        if self.pending:
            rows = [
                {
                    "id": self._row_id(key),
                    "library": self.library,
                    "text": key,
                    "findings": json.dumps({"detections": scan.findings, "beside": scan.beside}),
                    "problem": scan.problem,
                }
                for key, scan in self.pending.items()
            ]
            self.lake.append(SCANS, pa.Table.from_pylist(rows, SCANS.arrow_schema()), run_id=self.run_id)
            self.pending = {}

    def _row_id(self, key: str) -> str:
        return content_hash(f"{self.library}\x1f{key}")


def unused(lake: Lakehouse, recipe: CodeLicences) -> set[str]:
    """The ids of the stored answers about texts that no file of the lake has. An answer about a part of such a text,
    such as a paragraph of a README, counts as unused: when it is needed again, the library is asked again.

    Reads all files of code; needs 32 bytes per header and licence text.
    """
    used = set()
    for batch in lake.read(FILES).batches(("rel_path", "content"), 64):
        for path, content in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            used.update(bytes.fromhex(text_key(text)) for text in excerpt("", path, content, recipe).texts)
    stored = lake.read(SCANS).batches(("id", "text"), 65_536)
    pairs = (pair for batch in stored for pair in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    return {id_ for id_, text in pairs if bytes.fromhex(text) not in used}
