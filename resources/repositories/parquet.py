"""Reads repositories from Parquet dumps with one row per file. The embedded sample has this form."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.crawl import file_fingerprint
from resources.parquet_pages import check_pages
from resources.repositories.budget import MB, Budget
from resources.repositories.facts import count_of, text_of, time_of
from resources.repositories.source import Entry, Repository, RepositoryError, SourceError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources


_COLUMNS = ("repo", "commit_id", "rel_path", "content")
_FACTS = ("version", "source_version", "updated_at", "stars")
#: Most bytes of a page of a column after decompression; reading takes four times as much memory.
_MAX_PAGE_BYTES = 256 * MB
#: Row groups up to this size stay in memory between repositories.
_KEPT_GROUP_BYTES = 128 * MB

RowGroup = tuple[Path, int]
"""A Parquet file and the number of one of its row groups."""


class ParquetDump:
    """A folder with `files.parquet` (repo, commit_id, rel_path, content) and an optional `repositories.parquet`.

    Either may be a folder of Parquet files instead. Rows may be in any order; reading is fastest when the rows of a
    repository are next to each other.
    """

    def __init__(self, name: str, place: Path, limits: CodeSources) -> None:
        self.name, self.place, self.limits = name, place, limits
        self._index: dict[tuple[str, str], list[RowGroup]] | None = None
        self._kept: tuple[RowGroup, Any] | None = None

    def repositories(self) -> Iterator[Repository]:
        facts = self._facts()
        fingerprints = {file: file_fingerprint(file) for file in self._files("files")}
        for (repo, commit), groups in self._groups().items():
            known = facts.get((repo, commit), {})
            yield Repository(
                self.name,
                "parquet",
                repo,
                commit,
                f"{groups[0][0].name}",
                ";".join(sorted({fingerprints[file] for file, _ in groups})),
                known.get("version"),
                known.get("updated_at"),
                known.get("stars"),
            )

    def entries(self, repository: Repository) -> Iterator[Entry]:
        budget = Budget(self.limits)
        key = repository.repo, repository.commit_id
        if key not in self._groups():
            raise RepositoryError("missing", f"{self.place} has no {key[0]} at {key[1]}")
        for group in self._groups()[key]:
            for path, data in _as_repository_error(self._rows(group, *key)):
                if path is None or data is None:
                    broken = Entry(str(path), None, fate="unreadable", detail="no path or no content")
                    yield budget.charge(str(path), None) or broken
                    continue
                yield budget.charge(path, len(data)) or Entry(path, len(data), data)

    def _files(self, what: str) -> list[Path]:
        """The Parquet files of the dump's `files` or `repositories`."""
        place = self.place
        if place.is_file():
            return [place] if what == "files" else []
        found = [place / f"{what}.parquet"] if (place / f"{what}.parquet").is_file() else []
        return found or sorted((place / what).glob("*.parquet"))

    def _facts(self) -> dict[tuple[str, str], dict[str, Any]]:
        """{(repo, commit): its version, updated_at and stars}, as far as the dump has these columns."""
        facts = {}
        for file in self._files("repositories"):
            with open_parquet(file) as parquet:
                names = set(parquet.schema_arrow.names)
                if not {"repo", "commit_id"} <= names:
                    raise SourceError(f"{file} has no columns repo and commit_id; it has {', '.join(sorted(names))}")
                columns = {"repo", "commit_id", *_FACTS} & names
                for batch in parquet.iter_batches(columns=sorted(columns)):
                    found = {name: values(batch[name]) for name in columns}
                    for n, key in enumerate(zip(found["repo"], found["commit_id"], strict=True)):
                        version, source_version, at, stars = (found[c][n] if c in found else None for c in _FACTS)
                        facts[key] = {
                            "version": text_of(version or source_version),
                            "updated_at": time_of(at),
                            "stars": count_of(stars),
                        }
        return facts

    def _groups(self) -> dict[tuple[str, str], list[RowGroup]]:
        """{(repo, commit): the row groups with its files}, in the order of the files."""
        if self._index is None:
            files = self._files("files")
            if not files:
                raise SourceError(f"code source {self.name}: {self.place} has no files.parquet and no folder files/")
            index: dict[tuple[str, str], list[RowGroup]] = {}
            for file in files:
                with open_parquet(file) as parquet:
                    _check_columns(file, parquet)
                    with file.open("rb") as stream:
                        check_pages(stream, parquet.metadata, set(_COLUMNS), _MAX_PAGE_BYTES)
                    for group in range(parquet.num_row_groups):
                        for batch in parquet.iter_batches(row_groups=[group], columns=["repo", "commit_id"]):
                            pairs = zip(*(values(batch[c]) for c in ("repo", "commit_id")), strict=True)
                            for pair in dict.fromkeys(pairs):
                                groups = index.setdefault(pair, [])
                                if (file, group) not in groups[-1:]:
                                    groups.append((file, group))
            self._index = index
        return self._index

    def _rows(self, place: RowGroup, repo: str, commit: str) -> Iterator[tuple[Any, Any]]:
        """(rel_path, content) of one repository in one row group.

        A small row group is kept in memory, because the next repository is most likely in it as well.
        """
        file, group = place
        with open_parquet(file) as parquet:
            if self._kept is None or self._kept[0] != place:
                self._kept = None
                batches = (
                    [_raw(batch[name]) for name in _COLUMNS]
                    for batch in parquet.iter_batches(64, row_groups=[group], columns=list(_COLUMNS))
                )
                if parquet.metadata.row_group(group).total_byte_size > _KEPT_GROUP_BYTES:
                    yield from _rows_of(batches, repo, commit)
                    return
                self._kept = place, list(batches)
        yield from _rows_of(self._kept[1], repo, commit)


def _check_columns(file: Path, parquet: Any) -> None:
    """Raise `SourceError` unless a file has the columns of a dump, each of text or bytes."""
    missing = set(_COLUMNS) - set(parquet.schema_arrow.names)
    if missing:
        raise SourceError(f"{file} has no column {', '.join(sorted(missing))}")
    for name in _COLUMNS:
        if not is_text(kind := parquet.schema_arrow.field(name).type):
            raise SourceError(f"{file}: its column {name} is {kind}, and must be text or binary")


def _rows_of(batches: Any, repo: str | None, commit: str | None) -> Iterator[tuple[Any, Any]]:
    """(rel_path, content) of the rows of one repository, from batches of the dump's columns as bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def equals(column: Any, name: str | None) -> Any:
        if name is None:  # a damaged dump
            return column.is_null()
        return pc.equal(column, pa.scalar(name.encode("utf-8", "surrogateescape"), pa.large_binary()))

    for repos, commits, paths, contents in batches:
        here = pc.and_(equals(repos, repo), equals(commits, commit))
        yield from zip(_texts(paths.filter(here)), contents.filter(here).to_pylist(), strict=True)


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text or bytes, also if it is encoded as a dictionary."""
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return any(
        test(kind)
        for test in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
        )
    )


def _raw(column: Any) -> Any:
    """A column of texts as bytes: writers of Parquet do not check that strings are UTF-8."""
    import pyarrow as pa

    return (column.dictionary_decode() if pa.types.is_dictionary(column.type) else column).cast(pa.large_binary())


def _texts(raw: Any) -> list[str | None]:
    return [value if value is None else value.decode("utf-8", "surrogateescape") for value in raw.to_pylist()]


def values(column: Any) -> list[Any]:
    """A column's texts, whole numbers or times as Python values; None for values out of bounds and of other types."""
    import pyarrow.types as types

    if is_text(column.type):
        return _texts(_raw(column))
    if types.is_integer(column.type):
        return column.to_pylist()
    if types.is_timestamp(column.type):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        return [value if value is None else _at(value / per_second) for value in column.view("int64").to_pylist()]
    return [None] * len(column)


def _at(seconds: float) -> datetime | None:
    """A time in UTC from seconds since 1970; None if Python cannot represent it."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _as_repository_error(rows: Iterator[Any]) -> Iterator[Any]:
    """The rows. If a part of the file cannot be read, only the repository fails and not the whole source."""
    try:
        yield from rows
    except SourceError as error:
        raise RepositoryError("damaged", str(error)) from error


@contextlib.contextmanager
def open_parquet(file: Path) -> Iterator[Any]:
    """Open a Parquet file. Raises `SourceError` if opening it or reading from it fails."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, ValueError) as error:  # a name that is not UTF-8 raises ValueError
        raise SourceError(f"{file} cannot be read as Parquet: {str(error)[:200]}") from error
