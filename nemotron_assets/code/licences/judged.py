"""Rows of `code.licenses`, repository by repository, and the memory of what the library said.

The library's process is started for the first text nobody has asked about, so a run over known texts costs none of it.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.code.licences.decide import Decision, decide, excerpt
from nemotron_assets.code.licences.library import Library, Scan, library_version
from nemotron_assets.code.licences.tables import LICENSES, SCANS
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts

if TYPE_CHECKING:
    import pyarrow as pa

    from nemotron_assets.recipe.code.licences import CodeLicences
    from resources.lakehouse import Lakehouse, Reader

COLUMNS = ("id", "repo", "commit_id", "rel_path", "content")
#: Scans kept in memory, and scans that are written together.
_REMEMBERED, _TOGETHER = 20_000, 200


class Memory(OrderedDict):
    """Scans by the hash of their text: those of this run, and those that earlier runs stored in `code.license_scans`.

    Works as the `known` of a `Library`. A scan without a complete answer is not stored: it may do better next time.
    """

    def __init__(self, lake: Lakehouse, run_id: str = "") -> None:
        super().__init__()
        self.lake, self.run_id, self.library = lake, run_id, library_version()
        self.pending: dict[str, Scan] = {}
        self.stored = lake.read(SCANS)

    def recall(self, texts: Iterable[str]) -> None:
        """Load what is stored about these texts."""
        import polars as pl

        if not self.stored.exists:
            return
        keys = [key for key in map(text_key, texts) if key not in self]
        wanted = [content_hash(f"{self.library}\x1f{key}") for key in keys]
        rows = self.stored.scan().filter(pl.col("id").is_in(wanted)).select("text", "findings", "problem").collect()
        for key, findings, problem in rows.iter_rows():
            said = json.loads(findings)
            self[key] = Scan(said["detections"], problem, {int(n): words for n, words in said["beside"].items()})

    def learn(self, key: str, scan: Scan) -> None:
        """Keep a new scan, and store it with the next ones."""
        if not scan.problem:
            self.pending[key] = scan
        if len(self.pending) >= _TOGETHER:
            self.store()

    def forget(self) -> None:
        """Drop the oldest from memory."""
        while len(self) > _REMEMBERED:
            self.popitem(last=False)

    def store(self) -> None:
        """Write new scans in one commit."""
        import pyarrow as pa

        if self.pending:
            rows = [
                {
                    "id": content_hash(f"{self.library}\x1f{key}"),
                    "library": self.library,
                    "text": key,
                    "findings": json.dumps({"detections": scan.findings, "beside": scan.beside}),
                    "problem": scan.problem,
                }
                for key, scan in self.pending.items()
            ]
            self.lake.append(SCANS, pa.Table.from_pylist(rows, SCANS.arrow_schema()), run_id=self.run_id)
            self.pending = {}


def text_key(text: str) -> str:
    """The hash by which a scan of a text is known."""
    return content_hash(text.encode("utf-8", "surrogatepass"))


def licence_parts(files: Reader, recipe: CodeLicences, lake: Lakehouse, folder: Path, run_id: str) -> Parts:
    """The rows of `code.licenses` as one part per repository; repositories that did not change are not read again."""
    return Parts(_parts(files, recipe, lake, folder, run_id))


def _parts(files: Reader, recipe: CodeLicences, lake: Lakehouse, folder: Path, run_id: str) -> Iterator[Part]:
    memory = Memory(lake, run_id)
    with Library(
        folder, seconds=recipe.deadline_s, memory_mb=recipe.memory_mb, known=memory, learned=memory.learn
    ) as library:
        try:
            for repo, content in files.parts().items():

                def make(repo: str = repo) -> pa.Table:
                    return rows(files.part(repo), library, memory, recipe)

                yield Part(repo, f"{library_version()}:{content or time.time_ns()}", make)
                memory.forget()
        finally:
            memory.store()


def rows(files: Reader, library: Library, memory: Memory | None, recipe: CodeLicences) -> pa.Table:
    """The rows of one repository, in the order of its paths."""
    import pyarrow as pa

    commits: dict[tuple[str, str], list] = {}
    for batch in files.batches(COLUMNS, batch_size=64):
        for row in batch.to_pylist():
            commit = commits.setdefault((row["repo"], row["commit_id"]), [])
            commit.append(excerpt(row["id"], row["rel_path"], row["content"], recipe))
    found = []
    for (repo, commit_id), excerpts in sorted(commits.items()):
        excerpts.sort(key=lambda file: file.path)
        if memory is not None:
            memory.recall({text for file in excerpts for text in (*(p for p, _ in file.pieces), file.whole or "")})
        found += [_row(repo, commit_id, decision) for decision in decide(excerpts, library.scan, recipe)]
    return pa.Table.from_pylist(found, LICENSES.arrow_schema())


def _row(repo: str, commit_id: str, decision: Decision) -> dict[str, object]:
    first = decision.evidence[0] if decision.evidence else None
    return {
        "id": row_id(LICENSES.full_name, decision.id),
        "parents": [decision.id],
        "file": decision.id,
        "repo": repo,
        "commit_id": commit_id,
        "rel_path": decision.path,
        "license": decision.expression or None,
        "decision": decision.decision,
        "scope": decision.scope,
        "why": decision.why[:500],
        "evidence_kind": first and first.kind,
        "evidence_path": first and first.path,
        "start_line": first and first.start,
        "end_line": first and first.end,
        "rule": first and first.rule,
        "score": first and float(first.score),
        "evidence": json.dumps([asdict(one) for one in decision.evidence[:20]], ensure_ascii=False),
    }
