"""The recipe's sources as rows of `code.files`: one part per repository, every entry with its fate.

A repository is read entry by entry; bytes become text in worker processes, in batches. What is not kept and the totals
of each repository go into `code.rejected_files` and `code.contents`, for several repositories in one commit: a re-run
after a kill reads those again whose totals are missing.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from nemotron_assets.code.licences.paths import is_debian, is_licence, is_notice
from nemotron_assets.code.sources.language import language_of
from nemotron_assets.code.sources.tables import CONTENTS, FILES, REJECTED_FILES, REPOSITORIES
from nemotron_assets.code.sources.text import decode, shown, unsafe
from nemotron_assets.recipe.code.sources import CodeSources
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader, rows_with
from resources.repositories import COMMIT_ID, REPO_NAME, Entry, Repository, RepositoryError, Source

#: What becomes of an entry, in words.
FATES = {
    "kept": "text, in code.files", "binary": "zero bytes or control characters", "empty": "no bytes",
    "too_large": "over the limit of one file", "lfs_pointer": "stands for a file that git-lfs keeps elsewhere",
    "symlink": "symbolic link", "submodule": "commit of another repository",
    "special": "device, hard link and the like",
    "undecodable": "in no known encoding", "path_unsafe": "path that leads elsewhere or cannot be written",
    "duplicate_path": "second entry of a path", "over_limit": "over the limit of the repository",
    "unreadable": "damaged, encrypted or missing", "rejected": "crashed or stopped a worker; see quarantine.rows",
}  # fmt: skip
#: Repositories whose totals are written together, and the rejected entries at which it happens sooner.
_STORED_TOGETHER, _ROWS_TOGETHER = 32, 100_000
#: Repositories named of those left out for one reason.
_NAMED = 20
_RAW = pa.schema(
    [
        ("id", pa.large_string()),
        ("repo", pa.large_string()),
        ("commit_id", pa.large_string()),
        ("rel_path", pa.large_string()),
        ("data", pa.large_binary()),
    ]
)


class LeftOut(Counter[str]):
    """How many repositories were left out by reason, and the names of some."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, list[str]] = {}

    def add(self, reason: str, repo: object, commit: object) -> None:
        self[reason] += 1
        names = self.names.setdefault(reason, [])
        if len(names) < _NAMED:
            names.append(shown(f"{repo}@{commit}")[:200])

    def __str__(self) -> str:
        told = (f"{number} ({reason}): {', '.join(self.names[reason])}" for reason, number in self.most_common())
        return "; ".join(told) or "none"


def repositories(sources: Mapping[str, Source], refused: LeftOut) -> Iterator[Repository]:
    """What the sources offer, each repository at each commit once: the first source that offers it wins.

    Counts in `refused` those with unusable names and those seen before."""
    seen: set[tuple[str, str]] = set()
    for source in sources.values():
        for repository in source.repositories():
            key = repository.repo, repository.commit_id
            if not usable(*key):
                refused.add("unusable name or commit", *key)
            elif key in seen:
                refused.add("offered before", *key)
            else:
                seen.add(key)
                yield repository


def usable(repo: object, commit: object) -> bool:
    """Whether a repository's name and commit can stand in the tables and in paths."""
    if not (isinstance(repo, str) and isinstance(commit, str) and COMMIT_ID.fullmatch(commit)):
        return False
    return bool(REPO_NAME.fullmatch(repo)) and not {".", ".."} & set(repo.split("/"))


def repository_id(repo: str, commit: str) -> str:
    return row_id(REPOSITORIES.full_name, repo, commit)


def file_id(repo: str, commit: str, path: str) -> str:
    """The id of a file in `code.files`."""
    return row_id(FILES.full_name, repo, commit, path)


def as_rows(found: Iterable[Repository]) -> Iterator[pa.RecordBatch]:
    """Rows of `code.repositories`."""
    rows: list[dict[str, Any]] = []
    for r in found:
        rows.append(
            {
                "id": repository_id(r.repo, r.commit_id),
                "repo": r.repo,
                "commit_id": r.commit_id,
                "source": r.source,
                "kind": r.kind,
                "location": r.location,
                "version": r.version,
                "updated_at": r.updated_at,
                "stars": r.stars,
                "fingerprint": content_hash(r.fingerprint),
            }
        )
        if len(rows) == 4_096:
            yield pa.RecordBatch.from_pylist(rows, REPOSITORIES.arrow_schema())
            rows = []
    yield pa.RecordBatch.from_pylist(rows, REPOSITORIES.arrow_schema())


def read_texts(raw: pl.DataFrame, recipe: CodeSources) -> pl.DataFrame:
    """Rows of `code.files` with `fate` and `detail` beside, from rows of bytes; texts that are not kept are null."""
    rows = []
    for row in raw.iter_rows(named=True):
        data: bytes = row["data"]
        decoded = decode(data, recipe.max_control_share)
        kept = decoded.text is not None
        language = language_of(row["rel_path"], decoded.text, model=recipe.content_model) if kept else None
        rows.append(
            {
                "id": row["id"],
                "repo": row["repo"],
                "commit_id": row["commit_id"],
                "rel_path": row["rel_path"],
                "language": language and language.name,
                "language_by": language and language.by,
                "content": decoded.text,
                "bytes": len(data),
                "encoding": decoded.encoding,
                "blob_id": blob_id(data) if kept else None,
                "content_hash": content_hash(decoded.text) if kept else None,
                "fate": decoded.fate,
                "detail": decoded.detail,
            }
        )
    schema = dict.fromkeys(
        (
            "id",
            "repo",
            "commit_id",
            "rel_path",
            "language",
            "language_by",
            "content",
            "bytes",
            "encoding",
            "blob_id",
            "content_hash",
            "fate",
            "detail",
        ),
        pl.String,
    )
    return pl.DataFrame(rows, schema={**schema, "bytes": pl.Int64}, orient="row")


def blob_id(data: bytes) -> str:
    """git's id of a file's bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class _Seen:
    """What one repository turned out to hold."""

    fates: Counter[str] = field(default_factory=Counter)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    licence_files: list[str] = field(default_factory=list)
    bytes: int = 0
    outcome: str = "read"
    again: bool = False


class RepositoryFiles:
    """One run over the repositories. `version` stands for everything but the repositories that files depend on."""

    def __init__(
        self,
        found: Reader,
        sources: Mapping[str, Source],
        recipe: CodeSources,
        compute: Compute,
        lake: Lakehouse,
        run_id: str,
        version: str = "",
    ) -> None:
        self.found, self.sources, self.recipe, self.compute, self.lake = found, sources, recipe, compute, lake
        self.run_id, self.rejects = run_id, Rejects()
        settings = recipe.model_dump_json(exclude={"sources", "languages", "max_unreadable_share", "timeout_s"})
        self.version = content_hash("\x1f".join([version, settings]))[:16]
        self.waiting: dict[str, tuple[str, list[tuple[Repository, _Seen]]]] = {}

    def parts(self) -> Parts:
        """The parts of `code.files`."""
        return Parts(self._parts(), beside=(REJECTED_FILES, CONTENTS), rejects=self.rejects)

    def _parts(self) -> Iterator[Part]:
        counted = dict(self._counted())
        offered = self._offered()
        listed = set()
        for repo, group in offered:
            listed.add(repo)
            made_from = f"{content_hash(' '.join(f'{r.commit_id}:{r.fingerprint}' for r in group))}-{self.version}"
            state = counted.get(repo, "")
            if state.rpartition("#")[0] != made_from:
                state = f"{made_from}#{self.run_id}"
            seen: list[tuple[Repository, _Seen]] = []
            yield Part(repo, state, functools.partial(self._read, group, seen))
            # Here the part is committed; the lake cannot be written to while it pulls from `_read`.
            if seen:
                self.waiting[repo] = state, seen
            rows = sum(len(seen.rejected) for _, group in self.waiting.values() for _, seen in group)
            if len(self.waiting) >= _STORED_TOGETHER or rows >= _ROWS_TOGETHER:
                self._store(())
        self._store(sorted(counted.keys() - listed))

    def _counted(self) -> Iterator[tuple[str, str]]:
        rows = self.lake.read(CONTENTS).scan().group_by("repo").agg(pl.col("state").min()).collect(engine="streaming")
        return rows.iter_rows()

    def _offered(self) -> Iterator[tuple[str, list[Repository]]]:
        """The repositories by name, those of one name at all their commits, in their order."""
        columns = ("source", "kind", "repo", "commit_id", "location", "fingerprint", "version", "updated_at", "stars")
        groups: dict[str, list[Repository]] = {}
        for batch in self.found.batches(columns, batch_size=8_192):
            for row in batch.to_pylist():
                groups.setdefault(row["repo"], []).append(Repository(**row))
        for repo, group in sorted(groups.items()):
            yield repo, sorted(group, key=lambda r: r.commit_id)

    def _read(self, group: list[Repository], seen: list[tuple[Repository, _Seen]]) -> Iterator[pl.DataFrame]:
        seen.clear()  # this may be called again after a write conflict
        for repository in group:
            seen.append((repository, _Seen()))
            yield from self._files(*seen[-1])

    def _files(self, repository: Repository, seen: _Seen) -> Iterator[pl.DataFrame]:
        known = {"repo": repository.repo, "commit_id": repository.commit_id}
        parents = [repository_id(*known.values())]

        def drop(path: str, fate: str, detail: str, size: int | None) -> None:
            number = seen.fates.total()
            if size is not None and not 0 <= size < 1 << 63:  # as an archive may say; no column holds it
                size = None
            seen.fates[fate] += 1
            seen.rejected.append(
                {
                    "id": row_id(REJECTED_FILES.full_name, *known.values(), shown(path), number),
                    "parents": parents,
                    **known,
                    "rel_path": shown(path),
                    "fate": fate,
                    "detail": shown(detail)[:200],
                    "bytes": size,
                }
            )

        paths: dict[str, str] = {}

        def reject(row: Reject) -> None:
            self.rejects.add(row)
            drop(paths[row.row_id], "rejected", row.cause, None)

        raw = self._raw(repository, seen, paths, drop)
        function = functools.partial(read_texts, recipe=self.recipe)
        for texts in self.compute.map(raw, function, reject=reject, stage=f"{FILES.full_name} of {repository.repo}"):
            kept = texts.filter(pl.col("fate") == "kept")
            for row in texts.filter(pl.col("fate") != "kept").iter_rows(named=True):
                drop(row["rel_path"], row["fate"], row["detail"], row["bytes"])
            seen.fates["kept"] += len(kept)
            seen.bytes += int(kept["bytes"].sum())
            seen.licence_files += [
                path for path in kept["rel_path"] if is_licence(path) or is_notice(path) or is_debian(path)
            ]
            if len(kept):
                yield kept.with_columns(parents=pl.lit(parents, dtype=pl.List(pl.String))).select(FILES.column_names)

    def _raw(self, repository: Repository, seen: _Seen, paths: dict[str, str], drop) -> Iterator[pa.RecordBatch]:
        """Batches of the entries that have bytes; the others are dropped, and an error ends the repository."""
        rows: list[dict[str, Any]] = []
        size = 0
        source = self.sources.get(repository.source)
        try:
            if source is None:
                raise RepositoryError("missing", f"the recipe has no code source {repository.source}")
            for entry in source.entries(repository):
                fate, detail = self._fate(entry, repository, paths)
                if fate:
                    drop(entry.path, fate, detail, entry.size)
                    continue
                key = file_id(repository.repo, repository.commit_id, entry.path)
                paths[key] = entry.path
                rows.append(
                    {
                        "id": key,
                        "repo": repository.repo,
                        "commit_id": repository.commit_id,
                        "rel_path": entry.path,
                        "data": entry.data,
                    }
                )
                size += len(entry.data)
                if len(rows) >= self.recipe.batch_rows or size >= self.recipe.batch_mb << 20:
                    yield pa.RecordBatch.from_pylist(rows, _RAW)
                    rows, size = [], 0
        except RepositoryError as error:
            seen.outcome, seen.again = shown(str(error))[:300], error.cause == "unavailable"
        if rows:
            yield pa.RecordBatch.from_pylist(rows, _RAW)

    @staticmethod
    def _fate(entry: Entry, repository: Repository, paths: dict[str, str]) -> tuple[str | None, str]:
        if entry.fate:
            return entry.fate, entry.detail
        if reason := unsafe(entry.path):
            return "path_unsafe", reason
        if file_id(repository.repo, repository.commit_id, entry.path) in paths:
            return "duplicate_path", ""
        return None, ""

    def _store(self, gone: Iterable[str]) -> None:
        """Write what the waiting repositories hold, and remove what is known of those that are gone."""
        rejected, contents = [], []
        for state, group in self.waiting.values():
            for repository, seen in group:
                rejected += seen.rejected
                contents.append(_totals(repository, seen, "" if seen.again else state))
        names = [*self.waiting, *gone]
        if not names:
            return
        # The totals last: they say that everything of a repository is in.
        for table, rows in ((REJECTED_FILES, rejected), (CONTENTS, contents)):
            rows = pa.Table.from_pylist(rows, table.arrow_schema())
            self.lake.replace(table, rows, rows_with({"repo": names}), run_id=self.run_id)
        self.waiting = {}


def _totals(repository: Repository, seen: _Seen, state: str) -> dict[str, Any]:
    fates = sorted(((n, fate) for fate, n in seen.fates.items() if n), key=lambda pair: (-pair[0], pair[1]))
    return {
        "id": row_id(CONTENTS.full_name, repository.repo, repository.commit_id),
        "parents": [repository_id(repository.repo, repository.commit_id)],
        "repo": repository.repo,
        "commit_id": repository.commit_id,
        "entries": seen.fates.total(),
        "files": seen.fates["kept"],
        "bytes": seen.bytes,
        "fates": [fate for _, fate in fates],
        "fate_counts": [n for n, _ in fates],
        "licence_files": sorted(seen.licence_files),
        "outcome": seen.outcome,
        "state": state,
    }
