"""Fetches the texts of files again by their metadata, and checks their hashes (`nemotron code rebuild`).

Rows of one repository at one commit should follow each other, as they do in `code.metadata`: a run of such rows reads
the repository once. If a file was moved inside its repository, it is found by its hash.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemotron_assets.code.sources.files import usable
from nemotron_assets.code.sources.text import decode, printable, unsafe
from nemotron_assets.recipe.code.sources import CodeSource, CodeSources
from nemotron_assets.table.ids import content_hash
from resources.crawl import SAMPLE, Crawl
from resources.repositories import (
    ARCHIVES,
    BUNDLES,
    ArchiveFiles,
    Entry,
    GithubArchives,
    Repository,
    RepositoryError,
    Source,
    SourceError,
    files_below,
    open_source,
)

#: {outcome of a row: meaning}
OUTCOMES = {
    "same": "the text has the hash that the metadata states",
    "original": "the original file has the hash that the metadata states; the corpus has replaced parts of its text",
    "renamed": "a file with the stated hash is in the repository, but under another path",
    "unproven": "the file is in the repository, but the metadata states no hash",
    "changed": "the file is in the repository, but has another hash",
    "unreadable": "the path is in the repository, but is not text: too large, binary, a link",
    "missing_file": "the repository does not have the file",
    "unread_repository": "the repository could not be read completely, and the file was not in the part that was read",
    "missing_repository": "no source has the repository at this commit",
    "unusable_row": "the row's repository, commit or path is not valid",
}
#: Columns of metadata that are read. `code.curated` has the last two: the hash of the original file, and how many parts
#: of its text were replaced.
COLUMNS = ("repo", "commit_id", "rel_path", "content_hash", "file_hash", "redactions")
#: Outcomes that come with a text.
GOOD = ("same", "original", "renamed", "unproven")
#: Outcomes after which the next source is more likely to say what happened to the file.
_UNREAD = ("missing_repository", "unread_repository")


@dataclasses.dataclass(frozen=True, slots=True)
class Rebuilt:
    """The result for one row of metadata: its outcome, the text if there is one, and the path where it was found."""

    repo: str
    commit_id: str
    rel_path: str
    outcome: str
    path: str | None = None
    content: str | None = None
    detail: str = ""


def source_at(place: str, limits: CodeSources, crawl: Crawl, name: str = "rebuild") -> Source:
    """The source at a path or address: a Parquet dump, a server of archives, or a folder with git repositories,
    bundles and archives. An archive inside a git repository is a file of this repository, not a source."""
    if place.startswith(("http://", "https://")):
        server = CodeSource(name=name, kind="github", path="-", url=place.rstrip("/"))
        return GithubArchives(server, Path(), limits, crawl)
    path = SAMPLE / "code" if place == "sample" else Path(place).expanduser()
    if path.suffix == ".parquet" or (path / "files.parquet").is_file() or (path / "files").is_dir():
        return open_source(CodeSource(name=name, kind="parquet", path=str(path)), limits, crawl)
    gits = open_source(CodeSource(name=name, kind="git", path=str(path)), limits, crawl)
    if path.is_file():
        return gits if path.name.endswith(BUNDLES) else ArchiveFiles(name, path, limits)
    checkouts = gits.places()
    archives = [file for file in files_below(path, ARCHIVES) if not any(file.is_relative_to(one) for one in checkouts)]
    return _MixedFolder(gits, ArchiveFiles(name, path, limits, archives)) if archives else gits


class _MixedFolder:
    """A source with the git repositories and the archives of one folder."""

    def __init__(self, gits: Source, archives: Source) -> None:
        self.gits, self.archives = gits, archives

    def repositories(self) -> Iterator[Repository]:
        yield from self.gits.repositories()
        yield from self.archives.repositories()

    def entries(self, repository: Repository) -> Iterator[Entry]:
        return (self.archives if repository.kind == "archive" else self.gits).entries(repository)


class Rebuilder:
    """Finds texts in several sources. If a source does not have a text, the next source is tried. `counts` is
    {outcome: number of rows} of all results so far."""

    def __init__(self, sources: Sequence[Source], limits: CodeSources) -> None:
        self.limits = limits
        self.remote = [source for source in sources if isinstance(source, GithubArchives)]
        self.by_repo: dict[str, list[tuple[Source, Repository]]] = {}
        self.by_name_and_commit: dict[tuple[str, str], list[tuple[Source, Repository]]] = {}
        for source in sources:
            if not isinstance(source, GithubArchives):
                for repository in source.repositories():
                    key = _name_and_commit(repository.repo, repository.commit_id)
                    self.by_repo.setdefault(repository.repo, []).append((source, repository))
                    self.by_name_and_commit.setdefault(key, []).append((source, repository))
        self.counts: Counter[str] = Counter()

    def rebuild(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Rebuilt]:
        """One result per row. Rows have the columns repo, commit_id and rel_path; without a content_hash (or file_hash)
        the outcome of a found text is "unproven"."""
        for (repo, commit), run in itertools.groupby(rows, key=lambda row: (row.get("repo"), row.get("commit_id"))):
            for result in self._of_repository(repo, commit, list(run)):
                self.counts[result.outcome] += 1
                yield result

    def _of_repository(self, repo: Any, commit: Any, rows: list[Mapping[str, Any]]) -> Iterator[Rebuilt]:
        if not usable(repo, commit):
            for row in rows:
                names = (printable(str(value)) for value in (repo, commit, row.get("rel_path")))
                yield Rebuilt(*names, "unusable_row")
            return
        hashes: dict[str, str | None] = {}  # path -> hash that its text must have
        times: Counter[str] = Counter()
        redacted: set[str] = set()
        conflicting = []
        for row in rows:
            path, expected = row.get("rel_path"), row.get("file_hash") or row.get("content_hash")
            if not isinstance(path, str) or unsafe(path):
                yield Rebuilt(repo, commit, printable(str(path)), "unusable_row", detail="its path")
            elif hashes.setdefault(path, expected) != expected:
                conflicting.append(row)
            else:
                times[path] += 1
                if row.get("redactions"):
                    redacted.add(path)
        for result in self._search_sources(repo, commit, hashes):
            if result.outcome in ("same", "renamed") and result.rel_path in redacted:
                result = dataclasses.replace(result, outcome="original")
            yield from itertools.repeat(result, times[result.rel_path])
        if conflicting:  # rows that state another hash for a path than an earlier row
            yield from self._of_repository(repo, commit, conflicting)

    def _search_sources(self, repo: str, commit: str, hashes: dict[str, str | None]) -> Iterator[Rebuilt]:
        """One result per path, from the first source that has its text."""
        left, failed = dict(hashes), {}
        for source, repository in self._offers(repo, commit):
            for result in self._search(source.entries(repository), repo, commit, left):
                path = result.rel_path
                if result.outcome in GOOD:
                    del left[path]
                    yield result
                elif path not in failed or failed[path].outcome in _UNREAD:
                    failed[path] = result
            if not left:
                return
        for path in left:
            yield failed.get(path) or Rebuilt(repo, commit, path, "missing_repository")

    def _search(
        self, entries: Iterator[Entry], repo: str, commit: str, hashes: dict[str, str | None]
    ) -> Iterator[Rebuilt]:
        """One result per path, from the entries of one repository. Memory: the texts found under other paths."""
        left = dict(hashes)
        missing = Counter(expected for expected in left.values() if expected)  # hash -> paths that still need it
        moved: dict[str, tuple[str, str]] = {}  # hash -> (path, text) of a file with another path
        failed: dict[str, Rebuilt] = {}
        problem: RepositoryError | None = None
        try:
            for entry in entries:
                text = self._text(entry)
                found = content_hash(text) if text is not None else None
                if entry.path in left:
                    expected = left[entry.path]
                    outcome = self._outcome(expected, found)
                    result = Rebuilt(repo, commit, entry.path, outcome, entry.path, None, entry.detail)
                    if outcome in GOOD:
                        del left[entry.path]
                        missing.subtract([expected] if expected else [])
                        if expected and not missing[expected]:
                            moved.pop(expected, None)
                        yield dataclasses.replace(result, content=text)
                    elif failed.setdefault(entry.path, result).outcome == "unreadable":
                        failed[entry.path] = result
                # Even a file whose own path was searched for can be the new place of another file.
                if found is not None and missing[found]:
                    moved.setdefault(found, (entry.path, text))
        except RepositoryError as error:
            problem = error
        otherwise = "missing_file"
        if problem:
            absent = problem.cause in ("missing", "unavailable", "elsewhere")
            otherwise = "missing_repository" if absent else "unread_repository"
        for path, expected in left.items():
            if expected in moved:
                yield Rebuilt(repo, commit, path, "renamed", *moved[expected])
            else:
                yield failed.get(path) or Rebuilt(repo, commit, path, otherwise, detail=str(problem or ""))

    @staticmethod
    def _outcome(expected: str | None, found: str | None) -> str:
        if found is None:
            return "unreadable"
        return "unproven" if not expected else "same" if found == expected else "changed"

    def _text(self, entry: Entry) -> str | None:
        return None if entry.data is None else decode(entry.data, self.limits.max_control_share).text

    def _offers(self, repo: str, commit: str) -> Iterator[tuple[Source, Repository]]:
        """Where a repository may be. `commit` may be only the first digits of the commit id."""
        # A repository without an owner gets the name of its source as owner, and that name may differ here. Then its
        # own name and its whole commit id identify it; the hashes of the files show whether it is the right one.
        offered = self.by_repo.get(repo, []) or self.by_name_and_commit.get(_name_and_commit(repo, commit), [])
        for source, repository in offered:
            if _same_commit(repository.commit_id, commit):
                yield source, repository
        for source, repository in offered:
            if repository.kind in ("git", "bundle") and not _same_commit(repository.commit_id, commit):
                yield source, dataclasses.replace(repository, commit_id=commit)  # perhaps an earlier commit
        for source in self.remote:
            yield source, Repository(source.name, "url", repo, commit, "", "")


def _name_and_commit(repo: str, commit: str) -> tuple[str, str]:
    return repo.rpartition("/")[2], commit.lower()


def _same_commit(one: str, other: str) -> bool:
    """Whether two commit ids, of which one may be shortened, are of the same commit."""
    one, other = one.lower(), other.lower()
    return one.startswith(other) or other.startswith(one)


def metadata_rows(place: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file of metadata, or of all Parquet files below a folder (an export), sorted by name.

    Raises `SourceError` for a file that is not Parquet or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = Path(place)
    files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
    if not files:
        raise SourceError(f"{place} holds no Parquet files; name a Parquet file, or a folder that has some")
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                names = set(parquet.schema_arrow.names)
                if lacking := {"repo", "commit_id", "rel_path"} - names:
                    raise SourceError(f"{file} has no column {', '.join(sorted(lacking))}: is it metadata of code?")
                columns = [c for c in COLUMNS if c in names]
                for batch in parquet.iter_batches(8_192, columns=columns):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{file} cannot be read as Parquet: {str(error)[:200]}") from error


def write(results: Iterable[Rebuilt], file: Path) -> None:
    """Write all results to a Parquet file with the columns repo, commit_id, rel_path, path, outcome, content, detail.

    The file appears only when it is complete.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("repo", "commit_id", "rel_path", "path", "outcome", "content", "detail")
    schema = pa.schema([(name, pa.large_string()) for name in names])
    partial = file.with_name(f"{file.name}.partial")
    with pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        rows: list[dict[str, Any]] = []
        size = 0
        for result in results:
            rows.append({name: getattr(result, name) for name in names})
            size += len(result.content or "")
            if len(rows) == 4_096 or size > 32 << 20:
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
                rows, size = [], 0
        if rows:
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema))
    partial.replace(file)
