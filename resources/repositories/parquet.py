"""Repositories as Parquet dumps: one row per file, the form of the embedded sample."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.crawl import file_fingerprint
from resources.repositories.common import (
    MB,
    Budget,
    Entry,
    Repository,
    RepositoryError,
    SourceError,
    count_of,
    text_of,
    time_of,
)

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources


_COLUMNS = ("repo", "commit_id", "rel_path", "content")


class ParquetDump:
    """A folder with `files.parquet` (repo, commit_id, rel_path, content) and, if it has one, `repositories.parquet`.

    Either may be a folder of Parquet files. Rows of a repository should stand together; they may be in any order.
    """

    def __init__(self, name: str, place: Path, limits: CodeSources) -> None:
        self.name, self.place, self.limits = name, place, limits
        self._index: dict[tuple[str, str], list[tuple[Path, int]]] | None = None
        self._loaded: tuple[tuple[Path, int], Any] | None = None

    def _files(self, what: str) -> list[Path]:
        place = self.place
        if place.is_file():
            return [place] if what == "files" else []
        found = [place / f"{what}.parquet"] if (place / f"{what}.parquet").is_file() else []
        return found or sorted((place / what).glob("*.parquet"))

    def repositories(self) -> Iterator[Repository]:
        known = self._known()
        prints = {file: file_fingerprint(file) for file in self._files("files")}
        for (repo, commit), groups in self._groups().items():
            about = known.get((repo, commit), {})
            made = sorted({prints[file] for file, _ in groups})
            yield Repository(
                self.name,
                "parquet",
                repo,
                commit,
                f"{groups[0][0].name}",
                ";".join(made),
                about.get("version"),
                about.get("updated_at"),
                about.get("stars"),
            )

    def _known(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the dump says of its repositories: version, updated_at and stars, where it has such columns."""
        known = {}
        for file in self._files("repositories"):
            with open_parquet(file) as parquet:
                names = set(parquet.schema_arrow.names)
                if not {"repo", "commit_id"} <= names:
                    raise SourceError(f"{file} has no columns repo and commit_id; it has {', '.join(sorted(names))}")
                columns = {"repo", "commit_id", "version", "source_version", "updated_at", "stars"} & names
                for batch in parquet.iter_batches(columns=sorted(columns)):
                    told = {name: values(batch[name]) for name in columns}
                    for n, key in enumerate(zip(told["repo"], told["commit_id"], strict=True)):
                        version, older, at, stars = (
                            told[c][n] if c in told else None
                            for c in ("version", "source_version", "updated_at", "stars")
                        )
                        known[key] = {
                            "version": text_of(version or older),
                            "updated_at": time_of(at),
                            "stars": count_of(stars),
                        }
        return known

    def _groups(self) -> dict[tuple[str, str], list[tuple[Path, int]]]:
        """{(repo, commit): row groups with its files}, in the order they stand in."""
        if self._index is None:
            files = self._files("files")
            if not files:
                raise SourceError(f"code source {self.name}: {self.place} has no files.parquet and no folder files/")
            self._index = {}
            for file in files:
                with open_parquet(file) as parquet:
                    lacking = set(_COLUMNS) - set(parquet.schema_arrow.names)
                    if lacking:
                        raise SourceError(f"{file} has no column {', '.join(sorted(lacking))}")
                    for name in _COLUMNS:
                        if not _is_text(kind := parquet.schema_arrow.field(name).type):
                            raise SourceError(f"{file}: its column {name} is {kind}, and must be text or binary")
                    for group in range(parquet.num_row_groups):
                        for batch in parquet.iter_batches(row_groups=[group], columns=["repo", "commit_id"]):
                            pairs = zip(*(values(batch[c]) for c in ("repo", "commit_id")), strict=True)
                            for pair in dict.fromkeys(pairs):
                                places = self._index.setdefault(pair, [])
                                if (file, group) not in places[-1:]:
                                    places.append((file, group))
        return self._index

    def entries(self, repository: Repository) -> Iterator[Entry]:
        budget = Budget(self.limits)
        key = repository.repo, repository.commit_id
        if key not in self._groups():
            raise RepositoryError("missing", f"{self.place} has no {key[0]} at {key[1]}")
        for place in self._groups()[key]:
            for path, data in _damaged(self._rows(place, *key)):
                if path is None or data is None:
                    broken = Entry(str(path), None, fate="unreadable", detail="no path or no content")
                    yield budget.entry(str(path), None) or broken
                    continue
                yield budget.entry(path, len(data)) or Entry(path, len(data), data)

    def _rows(self, place: tuple[Path, int], repo: str, commit: str) -> Iterator[tuple[Any, Any]]:
        """(rel_path, content) of one repository in one row group. A small group is kept: the next repository is
        most likely in it as well."""
        import pyarrow as pa
        import pyarrow.compute as pc

        file, group = place

        def is_named(column, name: str | None):
            if name is None:  # a damaged dump
                return column.is_null()
            return pc.equal(column, pa.scalar(name.encode("utf-8", "surrogateescape"), pa.large_binary()))

        def mine(batches):
            for of, at, path, content in batches:
                here = pc.and_(is_named(of, repo), is_named(at, commit))
                yield from zip(_texts(path.filter(here)), content.filter(here).to_pylist(), strict=True)

        with open_parquet(file) as parquet:
            if self._loaded is None or self._loaded[0] != place:
                self._loaded = None
                batches = (
                    [_raw(batch[name]) for name in _COLUMNS]
                    for batch in parquet.iter_batches(64, row_groups=[group], columns=list(_COLUMNS))
                )
                if parquet.metadata.row_group(group).total_byte_size > 128 * MB:
                    yield from mine(batches)
                    return
                self._loaded = place, list(batches)
        yield from mine(self._loaded[1])


def _is_text(kind: Any) -> bool:
    import pyarrow.types as types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return any(
        of(kind)
        for of in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
        )
    )


def _raw(column: Any) -> Any:
    """A column of texts as bytes: writers do not check that strings are UTF-8."""
    import pyarrow as pa

    return (column.dictionary_decode() if pa.types.is_dictionary(column.type) else column).cast(pa.large_binary())


def _texts(raw: Any) -> list[str | None]:
    return [value if value is None else value.decode("utf-8", "surrogateescape") for value in raw.to_pylist()]


def values(column: Any) -> list[Any]:
    """Texts, whole numbers and times as Python has them; null for what is none, of another type or out of bounds."""
    import pyarrow.types as types

    if _is_text(column.type):
        return _texts(_raw(column))
    if types.is_integer(column.type):
        return column.to_pylist()
    if types.is_timestamp(column.type):
        a_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        return [value if value is None else _at(value / a_second) for value in column.view("int64").to_pylist()]
    return [None] * len(column)


def _at(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _damaged(rows: Iterator[Any]) -> Iterator[Any]:
    """The rows; a part of a file that cannot be read is the repository's error, not the source's."""
    try:
        yield from rows
    except SourceError as error:
        raise RepositoryError("damaged", str(error)) from error


@contextlib.contextmanager
def open_parquet(file: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError, ValueError) as error:  # names that are no UTF-8 are a ValueError
        raise SourceError(f"{file} cannot be read as Parquet: {str(error)[:200]}") from error
