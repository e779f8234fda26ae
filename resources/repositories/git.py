"""Reads git repositories and bundles without a checkout, and without using their hooks, configuration or remotes.

git runs in an empty repository of this process's own and reads only the object folder of the other repository. It never
looks at the other's configuration, which may name programs to run. References are read as text by this package. A
bundle is unpacked into the empty repository, which is removed afterwards.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from resources.crawl import file_fingerprint
from resources.repositories.budget import Budget, check_archive_size
from resources.repositories.git_heads import bundle_head, git_folder, head_commit, is_empty, objects_folder
from resources.repositories.git_objects import Git
from resources.repositories.names import decode_location, encode_location, files_below, repo_name
from resources.repositories.source import Entry, Repository, RepositoryError, SourceError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

BUNDLES = (".bundle",)
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
#: The commit id of a repository whose HEAD names no commit.
_NO_COMMIT = "0" * 40


class GitRepositories:
    """A git repository, a bundle, or a folder of them at any depth, each at the commit that its HEAD names.

    OWNER/NAME or OWNER/NAME.git below the folder is the repository OWNER/NAME.
    """

    def __init__(self, name: str, place: Path, limits: CodeSources) -> None:
        self.name, self.place, self.limits = name, place, limits

    def repositories(self) -> Iterator[Repository]:
        if shutil.which("git") is None:
            raise SourceError("git is not installed: `apt-get install git`, or remove sources of kind git")
        for place in self.places():
            location = encode_location(self.place, place) if place != self.place else "."
            name = place.name if location == "." else location
            if place.is_file():
                fingerprint = file_fingerprint(place)
                commit, kind = bundle_head(place), "bundle"
                name = repo_name(self.name, name, BUNDLES)
            else:
                fingerprint = commit = head_commit(place)
                kind, name = "git", repo_name(self.name, name, (".git",))
            if commit is None:
                # Listed nevertheless: reading it reports what is wrong, and the repository is counted.
                commit = fingerprint = _NO_COMMIT
            updated_at = self._commit_time(place, commit)
            yield Repository(self.name, kind, name, commit, location, fingerprint, updated_at=updated_at)

    def places(self) -> list[Path]:
        """The folders of repositories and the files of bundles, sorted. Repositories inside another are left out."""
        if self.place.is_file() or git_folder(self.place):
            return [self.place]
        found = [*files_below(self.place, BUNDLES)]
        for folder, folders, _ in os.walk(self.place):
            folders.sort()
            for name in list(folders):
                path = Path(folder, name)
                if path.is_symlink() or name == ".git":
                    folders.remove(name)
                elif git_folder(path) or os.path.lexists(path / ".git"):
                    folders.remove(name)
                    found.append(path)
        return sorted(found)

    def entries(self, repository: Repository) -> Iterator[Entry]:
        """The entries at the repository's commit: any commit it has, named in full or by its first 7 or more digits."""
        place = self.place if repository.location == "." else decode_location(self.place, repository.location)
        commit, budget = repository.commit_id.lower(), Budget(self.limits)
        if commit == _NO_COMMIT and is_empty(place):
            return
        if not _COMMIT.fullmatch(commit) or not commit.strip("0"):
            raise RepositoryError("damaged", "HEAD does not name a commit of the repository")
        with self._objects(place, commit, budget) as git:
            files: list[tuple[str, str, int]] = []
            for mode, kind, blob, size, path in git.tree(git.commit(commit)):
                if mode == "120000":
                    yield budget.charge(path, None) or Entry(path, size, None, "symlink", "link")
                elif kind == "commit":
                    yield budget.charge(path, None) or Entry(path, None, None, "submodule", f"commit {blob}")
                elif kind != "blob":
                    yield budget.charge(path, None) or Entry(path, size, None, "special", f"mode {mode}")
                elif refused := budget.charge(path, size):
                    yield refused
                elif size is None:
                    yield Entry(path, None, None, "unreadable", f"object {blob} is missing or damaged")
                else:
                    files.append((path, blob, size))
            yield from git.blobs(files)

    def _commit_time(self, place: Path, commit: str) -> datetime | None:
        """When a repository's commit was made. None for a bundle, which would have to be unpacked to know."""
        if place.is_file() or commit == _NO_COMMIT:
            return None
        try:
            with self._objects(place, commit, Budget(self.limits)) as git:
                text = git.output(["cat-file", "commit", commit], 1 << 20)
        except RepositoryError:
            return None
        match = re.search(rb"^committer [^\n]*> (\d{1,12}) [+-]\d{4}$", text.partition(b"\n\n")[0], re.M)
        return datetime.fromtimestamp(int(match[1]), UTC) if match and int(match[1]) < 1 << 36 else None

    @contextlib.contextmanager
    def _objects(self, place: Path, commit: str, budget: Budget) -> Iterator[Git]:
        """git in an empty repository that reads the objects of another repository, or of a bundle."""
        with tempfile.TemporaryDirectory(prefix="nemotron-git-") as home:
            git = Git(Path(home), self.limits, budget)
            head = (bundle_head(place) if place.is_file() else head_commit(place)) or commit
            kind = "sha256" if len(head) == 64 else "sha1"
            git.output(["init", "-q", "--bare", f"--object-format={kind}", "."])
            if place.is_file():
                check_archive_size(place.stat().st_size, self.limits)
                # The path is absolute: a file name that begins with a dash cannot become an option.
                git.output(["bundle", "unbundle", str(place.resolve())])
            else:
                objects = objects_folder(git_folder(place), budget)
                git.environment["GIT_OBJECT_DIRECTORY"] = str(objects.resolve())
            yield git
