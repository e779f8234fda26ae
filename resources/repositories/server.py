"""Fetches archives from a server that names them by repository and commit, as GitHub does, and lists what to fetch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from resources.crawl import CrawlError, Missing, Oversized, Unavailable
from resources.repositories.archives import archive_entries
from resources.repositories.facts import count_of, text_of, time_of
from resources.repositories.parquet import open_parquet, values
from resources.repositories.source import Entry, Repository, RepositoryError, SourceError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSource, CodeSources
    from resources.crawl import Crawl

_COLUMNS = ("repo", "commit_id", "version", "updated_at", "stars")
#: Most characters of a line in a list. A longer line is read as several lines.
_MAX_LINE = 1 << 20


class GithubArchives:
    """Repositories whose archives are on a server. Each archive is fetched when its entries are read."""

    def __init__(self, source: CodeSource, place: Path, limits: CodeSources, crawl: Crawl) -> None:
        """`place`: the list of repositories to fetch."""
        self.name, self.place, self.limits, self.source = source.name, place, limits, source
        self.crawl = crawl.model_copy(
            update={"source": source.url, "max_warc_mb": limits.max_archive_mb, "file_timeout_s": limits.timeout_s}
        )

    def repositories(self) -> Iterator[Repository]:
        for row in read_list(self.place):
            repo, commit = (
                value if isinstance(value, str) else "" for value in (row.get("repo"), row.get("commit_id"))
            )
            repo = repo.strip().removesuffix(".git")
            # The archive of a commit never changes, so its name is fingerprint enough.
            path = self.source.template.format(repo=repo, commit_id=commit)
            yield Repository(
                self.name,
                "url",
                repo,
                commit,
                f"{self.crawl.location('')}{path}",
                f"{repo}@{commit}",
                text_of(row.get("version")),
                time_of(row.get("updated_at")),
                count_of(row.get("stars")),
            )

    def entries(self, repository: Repository) -> Iterator[Entry]:
        path = self.source.template.format(repo=repository.repo, commit_id=repository.commit_id)
        try:
            with self.crawl.open(path) as stream:
                yield from archive_entries(stream, self.limits)
        except Missing as error:
            raise RepositoryError("missing", str(error)) from error
        except Unavailable as error:
            raise RepositoryError("unavailable", str(error)) from error
        except Oversized as error:
            raise RepositoryError("too_large", str(error)) from error
        except CrawlError as error:  # for example an unsafe path: another attempt would fail as well
            raise RepositoryError("unusable", str(error)) from error


def read_list(place: Path) -> Iterator[dict[str, Any]]:
    """The rows of a list of repositories: Parquet, JSON lines or CSV. A line that cannot be read is an empty row."""
    try:
        if place.suffix == ".parquet":
            yield from _parquet_rows(place)
        else:
            is_csv = place.suffix == ".csv"
            with place.open(newline="" if is_csv else None, encoding="utf-8", errors="replace") as stream:
                yield from (_csv_rows if is_csv else _json_rows)(stream)
    except OSError as error:
        raise SourceError(f"{place} is not a list of repositories: {error}") from error


def _parquet_rows(place: Path) -> Iterator[dict[str, Any]]:
    with open_parquet(place) as parquet:
        columns = [name for name in _COLUMNS if name in parquet.schema_arrow.names]
        for batch in parquet.iter_batches(8_192, columns=columns):
            for row in zip(*(values(batch[name]) for name in columns), strict=True):
                yield dict(zip(columns, row, strict=True))


def _json_rows(stream: TextIO) -> Iterator[dict[str, Any]]:
    while line := stream.readline(_MAX_LINE):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            yield row if isinstance(row, dict) else {}


def _csv_rows(stream: TextIO) -> Iterator[dict[str, Any]]:
    import csv

    rows = csv.DictReader(stream)
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield {}
