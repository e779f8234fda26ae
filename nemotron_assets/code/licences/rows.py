"""Make the rows of `code.licenses`, repository by repository.

The licence library's process starts with the first text that no earlier run has asked about. A run over known texts
does not start it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.code.licences.answers import AnswerCache
from nemotron_assets.code.licences.decide import Decision, decide
from nemotron_assets.code.licences.excerpts import Excerpt, excerpt
from nemotron_assets.code.licences.library import Library, library_version
from nemotron_assets.code.licences.tables import LICENSES
from nemotron_assets.table.ids import row_id
from nemotron_assets.table.parts import Part, Parts

if TYPE_CHECKING:
    import pyarrow as pa

    from nemotron_assets.recipe.code.licences import CodeLicences
    from resources.lakehouse import Lakehouse, Reader

COLUMNS = ("id", "repo", "commit_id", "rel_path", "content")


def licence_parts(files: Reader, recipe: CodeLicences, lake: Lakehouse, folder: Path, run_id: str) -> Parts:
    """The rows of `code.licenses`, one part per repository; a repository that did not change is not read again.

    `folder` is where the licence library may keep its files.
    """
    return Parts(_parts(files, recipe, lake, folder, run_id))


def _parts(files: Reader, recipe: CodeLicences, lake: Lakehouse, folder: Path, run_id: str) -> Iterator[Part]:
    cache = AnswerCache(lake, run_id)
    with Library(
        folder, seconds=recipe.deadline_s, memory_mb=recipe.memory_mb, known=cache, learned=cache.add
    ) as library:
        try:
            for repo, content in files.parts().items():

                def make(repo: str = repo) -> pa.Table:
                    return rows(files.part(repo), library, cache, recipe)

                yield Part(repo, f"{library_version()}:{content or time.time_ns()}", make)
                cache.trim()
        finally:
            cache.store()


def rows(files: Reader, library: Library, cache: AnswerCache | None, recipe: CodeLicences) -> pa.Table:
    """The rows of one repository in the order of its paths, with the columns of `code.licenses`."""
    import pyarrow as pa

    commits: dict[tuple[str, str], list[Excerpt]] = {}
    for batch in files.batches(COLUMNS, batch_size=64):
        for row in batch.to_pylist():
            commit = commits.setdefault((row["repo"], row["commit_id"]), [])
            commit.append(excerpt(row["id"], row["rel_path"], row["content"], recipe))
    found = []
    for (repo, commit_id), excerpts in sorted(commits.items()):
        excerpts.sort(key=lambda file: file.path)
        if cache is not None:
            cache.load({text for file in excerpts for text in file.texts})
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
