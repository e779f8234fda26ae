"""Archives on a server that names them by repository and commit, as GitHub does, and lists of what to fetch there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.crawl import Crawl, CrawlError, Missing
from resources.repositories.archives import archive_entries
from resources.repositories.common import Entry, Repository, RepositoryError, SourceError, text_of, time_of
from resources.repositories.parquet import open_parquet

if TYPE_CHECKING:
    from nemotron_assets.recipe.code import CodeSource, CodeSources


class GithubArchives:
    """Archives on a server that names them by repository and commit, as GitHub does; each is fetched when read."""

    def __init__(self, source: CodeSource, place: Path, limits: CodeSources, crawl: Crawl) -> None:
        self.name, self.place, self.limits, self.source = source.name, place, limits, source
        self.crawl = crawl.model_copy(
            update={"source": source.url, "max_warc_mb": limits.max_archive_mb, "file_timeout_s": limits.timeout_s}
        )

    def repositories(self) -> Iterator[Repository]:
        seen = set()
        for row in listed(self.place):
            repo, commit = row.get("repo"), row.get("commit_id")
            if not (isinstance(repo, str) and isinstance(commit, str)) or (repo, commit) in seen:
                continue
            seen.add((repo, commit))
            stars = row.get("stars")
            # A commit's archive never changes, so its address stands for its content.
            location = self.source.template.format(repo=repo, commit_id=commit)
            yield Repository(
                self.name, "url", repo, commit, f"{self.crawl._shown('')}{location}", f"{repo}@{commit}",
                text_of(row.get("version")), time_of(row.get("updated_at")), stars if isinstance(stars, int) else None,
            )  # fmt: skip

    def entries(self, repository: Repository) -> Iterator[Entry]:
        path = self.source.template.format(repo=repository.repo, commit_id=repository.commit_id)
        try:
            with self.crawl.open(path) as stream:
                yield from archive_entries(stream, self.limits)
        except Missing as error:
            raise RepositoryError("missing", str(error)) from error
        except CrawlError as error:
            raise RepositoryError("unavailable", str(error)) from error


def listed(place: Path) -> Iterator[dict[str, Any]]:
    """The rows of a list of repositories: Parquet, JSON lines or CSV; other columns are left out where possible."""
    import csv

    wanted = ("repo", "commit_id", "version", "updated_at", "stars")
    try:
        if place.suffix == ".parquet":
            with open_parquet(place) as parquet:
                columns = [name for name in wanted if name in parquet.schema_arrow.names]
                for batch in parquet.iter_batches(8_192, columns=columns):
                    yield from batch.to_pylist()
        elif place.suffix == ".csv":
            with place.open(newline="", encoding="utf-8") as stream:
                yield from csv.DictReader(stream)
        else:
            with place.open(encoding="utf-8") as stream:
                for line in stream:
                    row = json.loads(line) if line.strip() else None
                    if isinstance(row, dict):
                        yield row
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise SourceError(f"{place} is no list of repositories: {error}") from error
