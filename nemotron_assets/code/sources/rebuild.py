"""Makes the texts of a metadata file again from a source of repositories, and proves that they are the same.

Rows of one repository at one commit should stand together, as they do in our own files: each run of them reads the
repository once. A text is proven by its hash; where a file has moved inside its repository, the hash finds it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemotron_assets.code.sources.files import usable
from nemotron_assets.code.sources.text import decode, shown, unsafe
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

#: What can come of a row, in words.
OUTCOMES = {
    "same": "the text has the hash it must have",
    "original": "it has, as its repository has it; the corpus holds it with parts replaced",
    "renamed": "it has, but stands under another path",
    "unproven": "there, but the metadata has no hash to compare",
    "changed": "there, with another text",
    "unreadable": "there, but no text: too large, binary, a link",
    "missing_file": "the repository has no such file",
    "unread_repository": "the repository could not be read to its end, and the file was not met before that",
    "missing_repository": "no source has the repository at that commit",
    "unusable_row": "the row's repository, commit or path is none",
}
#: Columns of metadata that are read; the last two are the corpus's own, which may have replaced parts of a text.
_READ = ("repo", "commit_id", "rel_path", "content_hash", "file_hash", "redactions")
#: With these the text was made again.
GOOD = ("same", "original", "renamed", "unproven")
#: With these another source may know more.
_UNREAD = ("missing_repository", "unread_repository")
#: Rows that were not made again which the command names.
_SHOWN = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Rebuilt:
    """One row of the metadata and what came of it. `path` is where the text was found."""

    repo: str
    commit_id: str
    rel_path: str
    outcome: str
    path: str | None = None
    content: str | None = None
    detail: str = ""


def source_at(place: str, limits: CodeSources, crawl: Crawl, name: str = "rebuild") -> Source:
    """The source that stands at a path or address: a Parquet dump, a server of archives, or git repositories, bundles
    and archives in one folder. Archives inside a checkout are files of it."""
    if place.startswith(("http://", "https://")):
        described = CodeSource(name=name, kind="github", path="-", url=place.rstrip("/"))
        return GithubArchives(described, Path(), limits, crawl)
    path = SAMPLE / "code" if place == "sample" else Path(place).expanduser()
    if path.suffix == ".parquet" or (path / "files.parquet").is_file() or (path / "files").is_dir():
        return open_source(CodeSource(name=name, kind="parquet", path=str(path)), limits, crawl)
    gits = open_source(CodeSource(name=name, kind="git", path=str(path)), limits, crawl)
    if path.is_file():
        return gits if path.name.endswith(BUNDLES) else ArchiveFiles(name, path, limits)
    checkouts = gits.places()
    outside = [file for file in files_below(path, ARCHIVES) if not any(file.is_relative_to(one) for one in checkouts)]
    return _Shelf(gits, ArchiveFiles(name, path, limits, outside)) if outside else gits


class _Shelf:
    """Repositories and archives in one folder."""

    def __init__(self, gits: Source, archives: Source) -> None:
        self.gits, self.archives = gits, archives

    def repositories(self) -> Iterator[Repository]:
        yield from self.gits.repositories()
        yield from self.archives.repositories()

    def entries(self, repository: Repository) -> Iterator[Entry]:
        return (self.archives if repository.kind == "archive" else self.gits).entries(repository)


class Rebuilder:
    """Reads repositories from sources; what the first source that has one cannot give is asked of the next."""

    def __init__(self, sources: Sequence[Source], limits: CodeSources) -> None:
        self.limits = limits
        self.remote = [source for source in sources if isinstance(source, GithubArchives)]
        self.known: dict[str, list[tuple[Source, Repository]]] = {}
        self.at_commit: dict[tuple[str, str], list[tuple[Source, Repository]]] = {}
        for source in sources:
            if not isinstance(source, GithubArchives):
                for repository in source.repositories():
                    self.known.setdefault(repository.repo, []).append((source, repository))
                    self.at_commit.setdefault(_named(repository.repo, repository.commit_id), []).append(
                        (source, repository)
                    )
        self.counts: Counter[str] = Counter()

    def rebuild(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Rebuilt]:
        """What comes of every row (repo, commit_id, rel_path and, for the proof, content_hash), run by run."""
        for (repo, commit), run in itertools.groupby(rows, key=lambda row: (row.get("repo"), row.get("commit_id"))):
            for result in self._run(repo, commit, list(run)):
                self.counts[result.outcome] += 1
                yield result

    def _run(self, repo: Any, commit: Any, rows: list[Mapping[str, Any]]) -> Iterator[Rebuilt]:
        if not usable(repo, commit):
            for row in rows:
                yield Rebuilt(shown(str(repo)), shown(str(commit)), shown(str(row.get("rel_path"))), "unusable_row")
            return
        wanted: dict[str, str | None] = {}
        times: Counter[str] = Counter()
        redacted: set[str] = set()
        again = []
        for row in rows:
            path, must = row.get("rel_path"), row.get("file_hash") or row.get("content_hash")
            if not isinstance(path, str) or unsafe(path):
                yield Rebuilt(repo, commit, shown(str(path)), "unusable_row", detail="its path")
            elif wanted.setdefault(path, must) != must:
                again.append(row)
            else:
                times[path] += 1
                if row.get("redactions"):
                    redacted.add(path)
        for result in self._found(repo, commit, wanted):
            if result.outcome in ("same", "renamed") and result.rel_path in redacted:
                result = dataclasses.replace(result, outcome="original")
            yield from itertools.repeat(result, times[result.rel_path])
        if again:  # a path that must have two texts at once
            yield from self._run(repo, commit, again)

    def _found(self, repo: str, commit: str, wanted: dict[str, str | None]) -> Iterator[Rebuilt]:
        """One result for every path, from the first source that has it."""
        left, failed = dict(wanted), {}
        for source, repository in self._offers(repo, commit):
            for result in self._of(source.entries(repository), repo, commit, left):
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

    def _of(self, entries: Iterator[Entry], repo: str, commit: str, wanted: dict[str, str | None]) -> Iterator[Rebuilt]:
        """What comes of the paths in one repository. Memory: the texts that are met under other names."""
        open_ = dict(wanted)
        waiting = Counter(must for must in open_.values() if must)
        moved: dict[str, tuple[str, str]] = {}
        there: dict[str, Rebuilt] = {}
        problem: RepositoryError | None = None
        try:
            for entry in entries:
                text = self._text(entry)
                found = content_hash(text) if text is not None else None
                if entry.path in open_:
                    must = open_[entry.path]
                    outcome = self._outcome(must, found)
                    result = Rebuilt(repo, commit, entry.path, outcome, entry.path, None, entry.detail)
                    if outcome in GOOD:
                        del open_[entry.path]
                        waiting.subtract([must] if must else [])
                        if must and not waiting[must]:
                            moved.pop(must, None)
                        yield dataclasses.replace(result, content=text)
                    elif there.setdefault(entry.path, result).outcome == "unreadable":
                        there[entry.path] = result
                # A file that is there with another text may have moved and made room for a new one.
                if found is not None and waiting[found]:
                    moved.setdefault(found, (entry.path, text))
        except RepositoryError as error:
            problem = error
        whole = "missing_file"
        if problem:
            gone = problem.cause in ("missing", "unavailable", "elsewhere")
            whole = "missing_repository" if gone else "unread_repository"
        for path, must in open_.items():
            if must in moved:
                yield Rebuilt(repo, commit, path, "renamed", *moved[must])
            else:
                yield there.get(path) or Rebuilt(repo, commit, path, whole, detail=str(problem or ""))

    @staticmethod
    def _outcome(must: str | None, found: str | None) -> str:
        if found is None:
            return "unreadable"
        return "unproven" if not must else "same" if found == must else "changed"

    def _text(self, entry: Entry) -> str | None:
        return None if entry.data is None else decode(entry.data, self.limits.max_control_share).text

    def _offers(self, repo: str, commit: str) -> Iterator[tuple[Source, Repository]]:
        """Where a repository at a commit may be, which may be given by its first digits."""
        # A repository without an owner has its source's name for one, which may be another here; its own name and a
        # whole commit id tell as well, and the hashes have the last word.
        offered = self.known.get(repo, []) or self.at_commit.get(_named(repo, commit), [])
        for source, repository in offered:
            if _same_commit(repository.commit_id, commit):
                yield source, repository
        for source, repository in offered:
            if repository.kind in ("git", "bundle") and not _same_commit(repository.commit_id, commit):
                yield source, dataclasses.replace(repository, commit_id=commit)  # it may have it beside its HEAD
        for source in self.remote:
            yield source, Repository(source.name, "url", repo, commit, "", "")


def _named(repo: str, commit: str) -> tuple[str, str]:
    return repo.rpartition("/")[2], commit.lower()


def _same_commit(one: str, other: str) -> bool:
    one, other = one.lower(), other.lower()
    return one.startswith(other) or other.startswith(one)


def metadata_rows(place: str | Path) -> Iterator[dict[str, Any]]:
    """The rows of a metadata file, or of all Parquet files below a folder (an export, say), in the order of names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    place = Path(place)
    files = sorted(place.rglob("*.parquet")) if place.is_dir() else [place]
    if not files:
        raise SourceError(f"{place} holds no Parquet files")
    for file in files:
        try:
            with pq.ParquetFile(file) as parquet:
                names = set(parquet.schema_arrow.names)
                if lacking := {"repo", "commit_id", "rel_path"} - names:
                    raise SourceError(f"{file} has no column {', '.join(sorted(lacking))}: is it metadata of code?")
                columns = [c for c in _READ if c in names]
                for batch in parquet.iter_batches(8_192, columns=columns):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{file} cannot be read as Parquet: {str(error)[:200]}") from error


def write(results: Iterable[Rebuilt], file: Path) -> None:
    """The texts that were made again as a Parquet file: repo, commit_id, rel_path, path, outcome, content, detail."""
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


def rebuild_command(place: str, sources: Sequence[str], out: Path | None) -> bool:
    """What `nemotron code rebuild` does; whether every row was made again."""
    from nemotron_assets.code.quality.tables import CURATED
    from nemotron_assets.code.sources.tables import METADATA
    from nemotron_assets.commands.sql import print_table
    from nemotron_assets.definitions import lake
    from nemotron_assets.recipe import current_recipe

    recipe = current_recipe()
    limits, crawl = recipe.code.sources, Crawl.from_recipe(recipe.snapshots.crawl)
    opened = [source_at(source, limits, crawl) for source in sources]
    if not opened:
        opened = [open_source(source, limits, crawl) for source in limits.sources]
    table = {METADATA.full_name: METADATA, CURATED.full_name: CURATED}.get(place.replace("/", "."))
    if table is not None:
        columns = [name for name in _READ if name in table.column_names]
        batches = lake.read(table).batches(columns, batch_size=8_192)
        rows = (row for batch in batches for row in batch.to_pylist())
    else:
        rows = metadata_rows(place)
    rebuilder = Rebuilder(opened, limits)
    failed: list[Rebuilt] = []
    results = _noting(rebuilder.rebuild(rows), failed)
    if out is None:
        for _ in results:
            pass
    else:
        write(results, out)
    print_table(
        ("outcome", "files", "meaning"),
        [
            (outcome, rebuilder.counts[outcome], meaning)
            for outcome, meaning in OUTCOMES.items()
            if rebuilder.counts[outcome]
        ],
    )
    if failed:
        print_table(
            ("not made again", "commit", "path", "why", "detail"),
            [(f.repo, f.commit_id[:12], shown(f.rel_path)[:80], f.outcome, shown(f.detail)[:80]) for f in failed],
        )
    return not failed


def _noting(results: Iterable[Rebuilt], failed: list[Rebuilt]) -> Iterator[Rebuilt]:
    """The results; the first of those that were not made again are kept in `failed`."""
    for result in results:
        if result.outcome not in GOOD and len(failed) < _SHOWN:
            failed.append(result)
        yield result
