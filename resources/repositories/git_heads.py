"""Finds the folder of a git repository and the commit that its HEAD names, by reading files as text, without git."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from resources.repositories.budget import MB, Budget
from resources.repositories.source import RepositoryError

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
#: Names of references as git allows them. Such a name cannot lead out of the folder of references.
_REFERENCE = re.compile(r"refs(?:/(?!\.)[^\x00-\x20\x7f~^:?*\[\\/]{1,200}){1,20}")
_MAX_REFERENCES_MB = 64


def git_folder(place: Path) -> Path | None:
    """The folder with a repository's objects and HEAD: its .git, or itself if it is bare; None without one.

    A .git that is a link, or a file that names another folder, is not followed.
    """
    for folder in (place / ".git", place):
        if not folder.is_symlink() and (folder / "objects").is_dir() and (folder / "HEAD").is_file():
            return folder
    return None


def objects_folder(folder: Path | None, budget: Budget) -> Path:
    """The folder of a repository's objects. Raises `RepositoryError` if it holds anything but folders and files.

    A symbolic link or a list of other object folders could make this process read files that the repository's owner
    may not read, and reading a pipe would never end.
    """
    objects = _own(folder) / "objects"
    borrowed = RepositoryError("alternates", "it borrows objects from elsewhere: `git repack -a -d` first")
    if objects.is_symlink() or os.path.lexists(objects / "info" / "alternates"):
        raise borrowed
    folders = [objects]
    while folders:
        with os.scandir(folders.pop()) as found:
            for number, entry in enumerate(found):
                if number % 4_096 == 0:
                    budget.check_time()
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False):
                    raise borrowed
    return objects


def is_empty(place: Path) -> bool:
    """Whether a repository has no commits yet. Raises `RepositoryError` if its references cannot be read."""
    if place.is_file():
        return False
    folder = _own(git_folder(place))
    if (folder / "reftable").is_dir():
        raise RepositoryError("damaged", "its references are in tables: `git refs migrate --ref-format=files` first")
    branches = (name for _, _, names in os.walk(folder / "refs") for name in names)
    names_branch = _REFERENCE.fullmatch((_first_line(folder / "HEAD") or "").removeprefix("ref:").strip())
    return bool(names_branch) and next(branches, None) is None and not (folder / "packed-refs").exists()


def head_commit(place: Path) -> str | None:
    """The commit that a repository's HEAD names, directly or through references; None if it names no commit."""
    folder = git_folder(place)
    name = folder and _first_line(folder / "HEAD")
    for _ in range(5):
        if name is None or _ID.fullmatch(name):
            return name
        reference = name.removeprefix("ref:").strip()
        if not _REFERENCE.fullmatch(reference) or ".." in reference:
            return None
        name = _first_line(folder / reference) or _packed_commit(folder / "packed-refs", reference)
    return None


def bundle_head(file: Path) -> str | None:
    """The commit that a bundle calls HEAD, else that of its branch main, master, or the first by name."""
    found: dict[str, str] = {}
    with file.open("rb") as stream:
        if stream.readline(64).strip() not in (b"# v2 git bundle", b"# v3 git bundle"):
            return None
        for _ in range(100_000):
            line = stream.readline(1_000).decode("utf-8", "replace").rstrip("\n")
            if not line:
                break
            name, _, reference = line.partition(" ")
            if _ID.fullmatch(name):
                found.setdefault(reference, name)
    branches = (found[name] for name in sorted(found) if name.startswith("refs/heads/"))
    return found.get("HEAD") or found.get("refs/heads/main") or found.get("refs/heads/master") or next(branches, None)


def _own(folder: Path | None) -> Path:
    """The folder that `git_folder` found. Raises `RepositoryError` if it found none."""
    if folder is None:
        raise RepositoryError("elsewhere", "its .git is a file or link that names another folder: `git clone` it")
    return folder


def _first_line(file: Path) -> str | None:
    return (_beginning(file, 400) or "").partition("\n")[0].strip() or None


def _packed_commit(file: Path, reference: str) -> str | None:
    """The commit of a reference in a packed-refs file, whose lines are `<commit> <reference>`."""
    lines = (_beginning(file, _MAX_REFERENCES_MB * MB) or "").splitlines()
    return next((line[: -len(reference) - 1] for line in lines if line.endswith(f" {reference}")), None)


def _beginning(file: Path, size: int) -> str | None:
    """At most `size` bytes of a file as text; None if it is missing or not a regular file (a link, a pipe)."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return stream.read(size).decode("utf-8", "surrogateescape")
    except OSError:
        pass
    return None
