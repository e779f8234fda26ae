"""Where repositories come from: Parquet dumps, git objects, tar and zip files, archives on a server.

Every source lists the repositories it has and yields the entries of one, in an order that stays, with their bytes. All
of it is untrusted: nothing is ever unpacked to the disk, names never become paths of ours, sizes are checked before and
while anything is read, and an archive that unpacks to more than the recipe allows is left at that point.

The files: `common` (what a repository, an entry and a source are, and what one repository may use), `parquet`,
`archives` with `tars`, `zips` and `packing`, `server` (archives that are fetched), and `git`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from resources.crawl import SAMPLE, Crawl
from resources.repositories.archives import ARCHIVES, ArchiveFiles, archive_entries, commit_of
from resources.repositories.common import (
    COMMIT_ID,
    REPO_NAME,
    Entry,
    Repository,
    RepositoryError,
    Source,
    SourceError,
    files_below,
    repo_name,
)
from resources.repositories.git import BUNDLES, GitRepositories
from resources.repositories.parquet import ParquetDump
from resources.repositories.server import GithubArchives

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSource, CodeSources

__all__ = [
    "ARCHIVES", "BUNDLES", "COMMIT_ID", "REPO_NAME", "ArchiveFiles", "Entry", "GitRepositories", "GithubArchives",
    "ParquetDump", "Repository", "RepositoryError", "Source", "SourceError", "archive_entries", "commit_of",
    "files_below",
    "open_source", "repo_name",
]  # fmt: skip


def open_source(source: CodeSource, limits: CodeSources, crawl: Crawl) -> Source:
    """The source that a recipe names; `crawl` says how politely remote ones are read."""
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
