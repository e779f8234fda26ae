"""Reads repositories of code from Parquet dumps, git repositories, tar and zip files, and archives on a server.

A source lists its repositories, and yields the entries of one repository with their bytes, always in the same order.
All of it is untrusted. Nothing is unpacked to the disk, and no name from a repository becomes a path on this machine.
Sizes are checked before and during reading, and an archive that unpacks to more than the recipe allows is left at that
point.

The files:
 - `source` (what a source, a repository and an entry are), `budget` (the limits on one repository), `names` and `facts`
   (names and metadata of repositories);
 - `parquet`; `archives` with `tars`, `zips` and `packing`; `server` (archives that are fetched);
 - `git` with `git_objects` (git commands) and `git_heads` (which commit HEAD names).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resources.crawl import SAMPLE
from resources.repositories.archives import ARCHIVES, ArchiveFiles, archive_entries, commit_of
from resources.repositories.git import BUNDLES, GitRepositories
from resources.repositories.names import COMMIT_ID, REPO_NAME, files_below, repo_name
from resources.repositories.parquet import ParquetDump
from resources.repositories.server import GithubArchives
from resources.repositories.source import Entry, Repository, RepositoryError, Source, SourceError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSource, CodeSources
    from resources.crawl import Crawl

__all__ = [
    "ARCHIVES", "BUNDLES", "COMMIT_ID", "REPO_NAME", "ArchiveFiles", "Entry", "GitRepositories", "GithubArchives",
    "ParquetDump", "Repository", "RepositoryError", "Source", "SourceError", "archive_entries", "commit_of",
    "files_below", "open_source", "repo_name",
]  # fmt: skip


def open_source(source: CodeSource, limits: CodeSources, crawl: Crawl) -> Source:
    """The source that a recipe describes. A remote source is read with the timeouts, retries and pauses of the
    recipe's `snapshots.crawl`."""
    place = SAMPLE / "code" if source.path == "sample" else Path(source.path).expanduser()
    if not place.exists():
        raise SourceError(f"code source {source.name}: {place} does not exist; name a folder or file that does")
    if source.kind == "parquet":
        return ParquetDump(source.name, place, limits)
    if source.kind == "git":
        return GitRepositories(source.name, place, limits)
    if source.kind == "archive":
        return ArchiveFiles(source.name, place, limits)
    return GithubArchives(source, place, limits, crawl)
