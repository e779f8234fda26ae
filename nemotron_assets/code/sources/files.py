"""Reads the repositories of the recipe's sources into `code.files`, one part per repository.

A repository is read entry by entry, and worker processes decode the bytes in batches. Every entry gets a fate: it is
kept in `code.files`, or it is listed in `code.rejected_files`. The totals of a repository are a row of `code.contents`.
These two tables are written for several repositories in one commit. If a run is killed before that commit, the next run
finds no totals for these repositories and reads them again.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa

from nemotron_assets.code.sources.language import language_of
from nemotron_assets.code.sources.tables import CONTENTS, FILES, REJECTED_FILES, REPOSITORIES
from nemotron_assets.code.sources.text import decode, printable, unsafe
from nemotron_assets.code.terms.paths import adds_terms, is_debian, is_licence, is_notice
from nemotron_assets.recipe.code.sources import CodeSources
from nemotron_assets.rights.tombstones import NOTHING_FORGOTTEN, Tombstones
from nemotron_assets.table.ids import content_hash, row_id
from nemotron_assets.table.parts import Part, Parts, Reject, Rejects
from resources.compute import Compute
from resources.lakehouse import Lakehouse, Reader
from resources.repositories import COMMIT_ID, REPO_NAME, ArchiveFiles, Entry, Repository, RepositoryError, Source

#: {fate of an entry: meaning}
FATES = {
    "kept": "text, stored in code.files", "binary": "has zero bytes or many control characters",
    "empty": "has no bytes",
    "too_large": "larger than the recipe allows for one file",
    "lfs_pointer": "pointer to a file that git-lfs stores elsewhere",
    "symlink": "symbolic link", "submodule": "commit of another repository",
    "special": "device, hard link or the like",
    "undecodable": "text in an unknown encoding, or damaged text",
    "path_unsafe": "path that leads out of the repository or cannot be a file name",
    "duplicate_path": "another entry has the same path: the last one of an archive counts",
    "over_limit": "comes after the limit of the repository was reached",
    "unreadable": "damaged, encrypted or missing", "rejected": "crashed or stopped a worker; see quarantine.rows",
}  # fmt: skip
#: Write the totals when so many repositories, or so many rejected entries, are waiting.
_REPOSITORIES_PER_COMMIT, _REJECTED_PER_COMMIT = 32, 100_000
#: How many skipped repositories are named for each reason.
_MAX_NAMES = 20
_RAW = pa.schema(
    [
        ("id", pa.large_string()),
        ("repo", pa.large_string()),
        ("commit_id", pa.large_string()),
        ("rel_path", pa.large_string()),
        ("data", pa.large_binary()),
    ]
)


class SkippedRepositories(Counter[str]):
    """{reason: number of repositories that were skipped}, and the names of the first 20 for each reason."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, list[str]] = {}

    def add(self, reason: str, repo: object, commit: object) -> None:
        self[reason] += 1
        names = self.names.setdefault(reason, [])
        if len(names) < _MAX_NAMES:
            names.append(printable(f"{repo}@{commit}" if commit else str(repo))[:200])

    def __str__(self) -> str:
        reasons = (f"{number} ({reason}): {', '.join(self.names[reason])}" for reason, number in self.most_common())
        return "; ".join(reasons) or "none"


def offered_repositories(
    sources: Mapping[str, Source], skipped: SkippedRepositories, forgotten: Tombstones = NOTHING_FORGOTTEN
) -> Iterator[Repository]:
    """The repositories of all sources. If two sources offer the same commit of a repository, the first source wins.

    Repositories with an unusable name, those that were offered before, those that `nemotron forget` removed and
    archives of a kind that is not read are counted in `skipped`."""
    seen: set[tuple[str, str]] = set()
    for source in sources.values():
        for archive in source.unread() if isinstance(source, ArchiveFiles) else ():
            skipped.add("archive of a kind that is not read", archive, "")
        for repository in source.repositories():
            key = repository.repo, repository.commit_id
            if not usable(*key):
                skipped.add("unusable name or commit", *key)
            elif key in seen:
                skipped.add("offered before", *key)
            elif forgotten.repository(repository_id(*key), repository.repo):
                skipped.add("forgotten on request (`nemotron forget`)", "a repository", "")
            else:
                seen.add(key)
                yield repository


def usable(repo: object, commit: object) -> bool:
    """Whether a repository's name and commit can be stored in the tables and be parts of a path."""
    if not (isinstance(repo, str) and isinstance(commit, str) and COMMIT_ID.fullmatch(commit)):
        return False
    return bool(REPO_NAME.fullmatch(repo)) and not {".", ".."} & set(repo.split("/"))


def repository_id(repo: str, commit: str) -> str:
    """The id of a repository in `code.repositories`."""
    return row_id(REPOSITORIES.full_name, repo, commit)


def file_id(repo: str, commit: str, path: str) -> str:
    """The id of a file in `code.files`."""
    return row_id(FILES.full_name, repo, commit, path)


def as_rows(found: Iterable[Repository]) -> Iterator[pa.RecordBatch]:
    """Rows of `code.repositories`, in batches of at most 4,096; at least one batch, which may be empty."""
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


#: Columns of `read_texts`.
_TEXT_COLUMNS = (
    "id", "repo", "commit_id", "rel_path", "language", "language_by", "content", "bytes", "encoding", "blob_id",
    "content_hash", "fate", "detail",
)  # fmt: skip


def read_texts(raw: pl.DataFrame, recipe: CodeSources) -> pl.DataFrame:
    """Decode files and find their languages.

    `raw` has the columns id, repo, commit_id, rel_path and data (the bytes). The result has one row per file: the
    columns of `code.files` except `parents`, with `fate` and `detail`. A file that is not text has a null `content`.
    """
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
    schema = {**dict.fromkeys(_TEXT_COLUMNS, pl.String), "bytes": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def blob_id(data: bytes) -> str:
    """git's id of a file's bytes: 40 hex digits."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@dataclass
class _Totals:
    """What was found in one repository. With `retry` the next run reads the repository again."""

    fates: Counter[str] = field(default_factory=Counter)
    rejected: list[dict[str, Any]] = field(default_factory=list)
    licence_files: list[str] = field(default_factory=list)
    bytes: int = 0
    outcome: str = "read"
    retry: bool = False


_Group = list[tuple[Repository, _Totals]]
#: Rejects an entry: path, fate, detail, size in bytes if it is known.
_RejectEntry = Callable[[str, str, str, int | None], None]


class RepositoryFiles:
    """Reads all repositories of `code.repositories` once. `version` changes when the code that reads files changes."""

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
        settings = recipe.model_dump_json(
            exclude={"sources", "max_repositories", "languages", "max_unreadable_share", "timeout_s"}
        )
        self.version = content_hash("\x1f".join([version, settings]))[:16]
        self.waiting: dict[str, tuple[str, _Group]] = {}  # repository name -> (state, its commits with their totals)

    def parts(self) -> Parts:
        """The parts of `code.files`."""
        return Parts(self._parts(), beside=(REJECTED_FILES, CONTENTS), rejects=self.rejects)

    def _parts(self) -> Iterator[Part]:
        stored = dict(self._stored_states())
        offered: set[str] = set()
        for repo, group in self._repositories_by_name():
            offered.add(repo)
            made_from = f"{content_hash(' '.join(f'{r.commit_id}:{r.fingerprint}' for r in group))}-{self.version}"
            state = stored.get(repo, "")
            if state.rpartition("#")[0] != made_from:
                state = f"{made_from}#{self.run_id}"
            totals: _Group = []
            yield Part(repo, state, functools.partial(self._read, group, totals))
            # The part is committed now. The lake cannot be written to while it pulls frames from `_read`.
            if totals:
                self.waiting[repo] = state, totals
            rejected = sum(len(found.rejected) for _, group in self.waiting.values() for _, found in group)
            if len(self.waiting) >= _REPOSITORIES_PER_COMMIT or rejected >= _REJECTED_PER_COMMIT:
                self._store(())
        self._store(sorted(stored.keys() - offered))

    def _stored_states(self) -> Iterator[tuple[str, str]]:
        """(repository name, state of its rows in `code.contents`)."""
        rows = self.lake.read(CONTENTS).scan().group_by("repo").agg(pl.col("state").min()).collect(engine="streaming")
        return rows.iter_rows()

    def _repositories_by_name(self) -> Iterator[tuple[str, list[Repository]]]:
        """(repository name, all its commits, sorted), sorted by name."""
        columns = ("source", "kind", "repo", "commit_id", "location", "fingerprint", "version", "updated_at", "stars")
        groups: dict[str, list[Repository]] = {}
        for batch in self.found.batches(columns, batch_size=8_192):
            for row in batch.to_pylist():
                groups.setdefault(row["repo"], []).append(Repository(**row))
        for repo, group in sorted(groups.items()):
            yield repo, sorted(group, key=lambda r: r.commit_id)

    def _read(self, group: list[Repository], totals: _Group) -> Iterator[pl.DataFrame]:
        totals.clear()  # the lake calls this again after a write conflict
        for repository in group:
            totals.append((repository, _Totals()))
            yield from self._files(*totals[-1])

    def _files(self, repository: Repository, totals: _Totals) -> Iterator[pl.DataFrame]:
        """Rows of `code.files` of one repository. Counts in `totals` what becomes of its entries."""
        names = {"repo": repository.repo, "commit_id": repository.commit_id}
        parents = [repository_id(*names.values())]

        def reject_entry(path: str, fate: str, detail: str, size: int | None) -> None:
            number = totals.fates.total()
            if size is not None and not 0 <= size < 1 << 63:  # an archive can state a size that no int64 holds
                size = None
            totals.fates[fate] += 1
            totals.rejected.append(
                {
                    "id": row_id(REJECTED_FILES.full_name, *names.values(), printable(path), number),
                    "parents": parents,
                    **names,
                    "rel_path": printable(path),
                    "fate": fate,
                    "detail": printable(detail)[:200],
                    "bytes": size,
                }
            )

        paths: dict[str, str] = {}  # id of a file -> its path

        def reject_row(row: Reject) -> None:
            self.rejects.add(row)
            reject_entry(paths[row.row_id], "rejected", row.cause, None)

        raw = self._raw(repository, totals, paths, reject_entry)
        read = functools.partial(read_texts, recipe=self.recipe)
        for texts in self.compute.map(raw, read, reject=reject_row, stage=f"{FILES.full_name} of {repository.repo}"):
            kept = texts.filter(pl.col("fate") == "kept")
            for row in texts.filter(pl.col("fate") != "kept").iter_rows(named=True):
                reject_entry(row["rel_path"], row["fate"], row["detail"], row["bytes"])
            totals.fates["kept"] += len(kept)
            totals.bytes += int(kept["bytes"].sum())
            totals.licence_files += [
                path
                for path in kept["rel_path"]
                if is_licence(path) or is_notice(path) or is_debian(path) or adds_terms(path)
            ]
            if len(kept):
                yield kept.with_columns(parents=pl.lit(parents, dtype=pl.List(pl.String))).select(FILES.column_names)

    def _raw(
        self, repository: Repository, totals: _Totals, paths: dict[str, str], reject_entry: _RejectEntry
    ) -> Iterator[pa.RecordBatch]:
        """Batches of the entries that have bytes; entries without bytes are rejected. An error ends the repository."""
        rows: list[dict[str, Any]] = []
        size = 0
        source = self.sources.get(repository.source)
        try:
            if source is None:
                raise RepositoryError("missing", f"the recipe has no code source {repository.source}")
            for entry in source.entries(repository):
                fate, detail = self._fate(entry, repository, paths)
                if fate:
                    reject_entry(entry.path, fate, detail, entry.size)
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
            totals.outcome, totals.retry = printable(str(error))[:300], error.cause == "unavailable"
        if rows:
            yield pa.RecordBatch.from_pylist(rows, _RAW)

    @staticmethod
    def _fate(entry: Entry, repository: Repository, paths: dict[str, str]) -> tuple[str | None, str]:
        """(fate, detail) of an entry that cannot be read, (None, "") of all others."""
        if entry.fate:
            return entry.fate, entry.detail
        if reason := unsafe(entry.path):
            return "path_unsafe", reason
        if file_id(repository.repo, repository.commit_id, entry.path) in paths:
            return "duplicate_path", ""
        return None, ""

    def _store(self, removed: Iterable[str]) -> None:
        """Write the rejected entries and totals of the waiting repositories, and delete those of removed ones."""
        rejected, contents = [], []
        for state, group in self.waiting.values():
            for repository, totals in group:
                rejected += totals.rejected
                contents.append(_contents_row(repository, totals, "" if totals.retry else state))
        names = [*self.waiting, *removed]
        if not names:
            return
        # Write the totals last: where they are, everything else about the repository is stored.
        for table, rows in ((REJECTED_FILES, rejected), (CONTENTS, contents)):
            rows = pa.Table.from_pylist(rows, table.arrow_schema())
            self.lake.replace(table, rows, {"repo": names}, run_id=self.run_id)
        self.waiting = {}


def _contents_row(repository: Repository, totals: _Totals, state: str) -> dict[str, Any]:
    """The row of `code.contents` of one repository."""
    fates = sorted(((n, fate) for fate, n in totals.fates.items() if n), key=lambda pair: (-pair[0], pair[1]))
    return {
        "id": row_id(CONTENTS.full_name, repository.repo, repository.commit_id),
        "parents": [repository_id(repository.repo, repository.commit_id)],
        "repo": repository.repo,
        "commit_id": repository.commit_id,
        "entries": totals.fates.total(),
        "files": totals.fates["kept"],
        "bytes": totals.bytes,
        "fates": [fate for _, fate in fates],
        "fate_counts": [n for n, _ in fates],
        "licence_files": sorted(totals.licence_files),
        "outcome": totals.outcome,
        "state": state,
    }
