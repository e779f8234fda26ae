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
from nemotron_assets.recipe.code import CodeSource, CodeSources
from nemotron_assets.table import content_hash
from resources.crawl import SAMPLE, Crawl
from resources.repositories import (
    ARCHIVES,
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
    "renamed": "it has, but stands under another path",
    "unproven": "there, but the metadata has no hash to compare",
    "changed": "there, with another text",
    "unreadable": "there, but no text: too large, binary, a link",
    "missing_file": "the repository has no such file",
    "missing_repository": "no source has the repository at that commit",
    "unusable_row": "the row's repository, commit or path is none",
}
#: With these the text was made again.
GOOD = ("same", "renamed", "unproven")


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
    """The source that stands at a path or address: a Parquet dump, git repositories or bundles, archives, or a server
    of archives."""
    if place.startswith(("http://", "https://")):
        described = CodeSource(name=name, kind="github", path="-", url=place.rstrip("/"))
        return GithubArchives(described, Path(), limits, crawl)
    path = SAMPLE / "code" if place == "sample" else Path(place).expanduser()
    if path.suffix == ".parquet" or (path / "files.parquet").is_file() or (path / "files").is_dir():
        kind = "parquet"
    elif files_below(path, ARCHIVES) and path.exists() and not path.name.endswith(".bundle"):
        kind = "archive"
    else:
        kind = "git"
    return open_source(CodeSource(name=name, kind=kind, path=str(path)), limits, crawl)


class Rebuilder:
    """Reads repositories from sources; the first source that has one is taken."""

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
        for row in rows:
            path = row.get("rel_path")
            if not isinstance(path, str) or unsafe(path):
                yield Rebuilt(repo, commit, shown(str(path)), "unusable_row", detail="its path")
            else:
                wanted[path] = row.get("content_hash")
        entries = self._entries(repo, commit)
        if entries is None:
            for path in wanted:
                yield Rebuilt(repo, commit, path, "missing_repository")
            return
        moved: dict[str, tuple[str, str]] = {}
        hashes = {found for found in wanted.values() if found}
        open_, problem = dict(wanted), ""
        try:
            for entry in entries:
                text = self._text(entry)
                found = content_hash(text) if text is not None else None
                if found in hashes:
                    moved.setdefault(found, (entry.path, text))
                if entry.path in open_:
                    # A file that is there with another text may still have moved and made room for a new one.
                    outcome = self._outcome(open_[entry.path], found)
                    if outcome in ("same", "unproven", "unreadable"):
                        del open_[entry.path]
                        yield Rebuilt(repo, commit, entry.path, outcome, entry.path, text, entry.detail)
                    else:
                        open_[entry.path] = wanted[entry.path]
                        moved.setdefault(f"changed:{entry.path}", (entry.path, ""))
        except RepositoryError as error:
            problem = str(error)
        for path, must in open_.items():
            if must in moved:
                yield Rebuilt(repo, commit, path, "renamed", *moved[must])
            elif f"changed:{path}" in moved:
                yield Rebuilt(repo, commit, path, "changed", path)
            else:
                whole = "missing_repository" if problem.startswith(("missing", "unavailable")) else "missing_file"
                yield Rebuilt(repo, commit, path, whole, detail=problem)

    @staticmethod
    def _outcome(must: str | None, found: str | None) -> str:
        if found is None:
            return "unreadable"
        return "unproven" if not must else "same" if found == must else "changed"

    def _text(self, entry: Entry) -> str | None:
        return None if entry.data is None else decode(entry.data, self.limits.max_control_share).text

    def _entries(self, repo: str, commit: str) -> Iterator[Entry] | None:
        """The entries of a repository at a commit, which may be given by its first digits."""
        # A repository without an owner has its source's name for one, which may be another here; its own name and a
        # whole commit id tell as well, and the hashes have the last word.
        offered = self.known.get(repo, []) or self.at_commit.get(_named(repo, commit), [])
        for source, repository in offered:
            if _same_commit(repository.commit_id, commit):
                return source.entries(repository)
        for source, repository in offered:
            if repository.kind == "git" and len(commit) in (40, 64):  # it may have that commit beside its HEAD
                return source.entries(dataclasses.replace(repository, commit_id=commit))
        for source in self.remote:
            return source.entries(Repository(source.name, "url", repo, commit, "", ""))
        return None


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
                columns = [c for c in ("repo", "commit_id", "rel_path", "content_hash") if c in names]
                for batch in parquet.iter_batches(8_192, columns=columns):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{file} cannot be read as Parquet: {str(error)[:200]}") from error


def write(results: Iterable[Rebuilt], file: Path) -> None:
    """The texts that were made again as a Parquet file: repo, commit_id, rel_path, path, outcome, content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ("repo", "commit_id", "rel_path", "path", "outcome", "content")
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
    from nemotron_assets.code.sources.tables import METADATA
    from nemotron_assets.definitions import lake
    from nemotron_assets.query import print_table
    from nemotron_assets.recipe import current_recipe

    recipe = current_recipe()
    limits, crawl = recipe.code_sources, Crawl.from_recipe(recipe.crawl)
    opened = [source_at(source, limits, crawl) for source in sources]
    if not opened:
        opened = [open_source(source, limits, crawl) for source in limits.sources]
    if place in ("code.metadata", "code/metadata"):
        reader = lake.read(METADATA)
        columns = ("repo", "commit_id", "rel_path", "content_hash")
        rows = (row for batch in reader.batches(columns, batch_size=8_192) for row in batch.to_pylist())
    else:
        rows = metadata_rows(place)
    rebuilder = Rebuilder(opened, limits)
    results = rebuilder.rebuild(rows)
    if out is None:
        for _ in results:
            pass
    else:
        write(results, out)
    print_table(
        ("outcome", "files", "meaning"),
        [(outcome, rebuilder.counts[outcome], meaning) for outcome, meaning in OUTCOMES.items()
         if rebuilder.counts[outcome]],
    )  # fmt: skip
    return all(rebuilder.counts[outcome] == 0 for outcome in OUTCOMES if outcome not in GOOD)
