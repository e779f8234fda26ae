"""Files of git repositories and bundles, read as objects: no checkout, no hooks, no configuration of theirs, no remote.

git runs in an empty repository of our own and is pointed at the other's object folder, so that nothing but objects is
read there: the other's config (which may name programs to run) is never looked at. References are read as text here.
A bundle is unpacked into our own empty repository, which is gone afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from resources.crawl import file_fingerprint
from resources.repositories.common import (
    Budget,
    Entry,
    Repository,
    RepositoryError,
    SourceError,
    files_below,
    located,
    placed,
    repo_name,
)

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

_SAFE = (
    "protocol.allow=never", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.bigFileThreshold=16m", "pack.threads=1", "pack.windowMemory=64m", "gc.auto=0", "fetch.fsckObjects=true",
    "transfer.fsckObjects=true", "core.commitGraph=false", "core.multiPackIndex=false",
)  # fmt: skip
BUNDLES = (".bundle",)
_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_SHORT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
#: Names of references as git allows them, so that none leads out of its folder.
_REF = re.compile(r"refs(?:/(?!\.)[^\x00-\x20\x7f~^:?*\[\\/]{1,200}){1,20}")
_MAX_REFS_MB = 64
_NONE = "0" * 40
#: Objects that break git while it reads the files of one repository; then it is given up.
_MAX_BROKEN = 20


class GitRepositories:
    """A repository, a bundle, or a folder of them at any depth: OWNER/NAME(.git) below it is the repository OWNER/NAME.

    Each is read at the commit that its HEAD names."""

    def __init__(self, name: str, place: Path, limits: CodeSources) -> None:
        self.name, self.place, self.limits = name, place, limits

    def repositories(self) -> Iterator[Repository]:
        if shutil.which("git") is None:
            raise SourceError("git is not installed: `apt-get install git`, or leave sources of kind git out")
        for place in self.places():
            location = located(self.place, place) if place != self.place else "."
            name = place.name if location == "." else location
            if place.is_file():
                fingerprint = file_fingerprint(place)
                commit, kind = _bundled_head(place), "bundle"
                name = repo_name(self.name, name, BUNDLES)
            else:
                fingerprint = commit = _head(place)
                kind, name = "git", repo_name(self.name, name, (".git",))
            if commit is None:
                # Listed nevertheless: reading it says what is wrong, and the repository is counted.
                commit = fingerprint = _NONE
            yield Repository(self.name, kind, name, commit, location, fingerprint, updated_at=self._time(place, commit))

    def places(self) -> list[Path]:
        """Repositories (whatever is in their folders is theirs) and bundles."""
        if self.place.is_file() or _git_folder(self.place):
            return [self.place]
        found = [*files_below(self.place, BUNDLES)]
        for folder, folders, _ in os.walk(self.place):
            folders.sort()
            for name in list(folders):
                path = Path(folder, name)
                if path.is_symlink() or name == ".git":
                    folders.remove(name)
                elif _git_folder(path) or os.path.lexists(path / ".git"):
                    folders.remove(name)
                    found.append(path)
        return sorted(found)

    def _time(self, place: Path, commit: str) -> datetime | None:
        """When a repository's commit was made; for bundles it would have to be unpacked."""
        if place.is_file() or commit == _NONE:
            return None
        try:
            with self._objects(place, commit, Budget(self.limits)) as git:
                text = git.output(["cat-file", "commit", commit], 1 << 20)
        except RepositoryError:
            return None
        match = re.search(rb"^committer [^\n]*> (\d{1,12}) [+-]\d{4}$", text.partition(b"\n\n")[0], re.M)
        return datetime.fromtimestamp(int(match[1]), UTC) if match and int(match[1]) < 1 << 36 else None

    def entries(self, repository: Repository) -> Iterator[Entry]:
        """Its commit may be any that is there, and may be named by its first seven digits or more."""
        place = self.place if repository.location == "." else placed(self.place, repository.location)
        commit, budget = repository.commit_id.lower(), Budget(self.limits)
        if commit == _NONE and _is_empty(place):
            return
        if not _SHORT.fullmatch(commit) or not commit.strip("0"):
            raise RepositoryError("damaged", "HEAD names no commit that is there")
        with self._objects(place, commit, budget) as git:
            commit = git.commit(commit)
            wanted: list[tuple[str, str, int]] = []
            for mode, kind, blob, size, path in git.tree(commit):
                if mode == "120000":
                    yield budget.entry(path, None) or Entry(path, size, None, "symlink", "link")
                elif kind == "commit":
                    yield budget.entry(path, None) or Entry(path, None, None, "submodule", f"commit {blob}")
                elif kind != "blob":
                    yield budget.entry(path, None) or Entry(path, size, None, "special", f"mode {mode}")
                elif refused := budget.entry(path, size):
                    yield refused
                elif size is None:
                    yield Entry(path, None, None, "unreadable", f"object {blob} is missing or damaged")
                else:
                    wanted.append((path, blob, size))
            yield from git.blobs(wanted)

    @contextlib.contextmanager
    def _objects(self, place: Path, commit: str, budget: Budget) -> Iterator[_Git]:
        """git in an empty repository of ours that sees the objects of another, or of a bundle."""
        with tempfile.TemporaryDirectory(prefix="nemotron-git-") as home:
            git = _Git(Path(home), self.limits, budget)
            own = (_bundled_head(place) if place.is_file() else _head(place)) or commit
            kind = "sha256" if len(own) == 64 else "sha1"
            git.output(["init", "-q", "--bare", f"--object-format={kind}", "."])
            if place.is_file():
                size = place.stat().st_size
                if size > self.limits.max_archive_mb << 20:
                    raise RepositoryError("too_large", f"{size:,} bytes, more than {self.limits.max_archive_mb} MB")
                # A name that begins with a dash cannot become an option, as it is absolute.
                git.output(["bundle", "unbundle", str(place.resolve())])
            else:
                objects = _own_objects(_git_folder(place), budget)
                git.environment["GIT_OBJECT_DIRECTORY"] = str(objects.resolve())
            yield git


class _Git:
    """git commands with an environment of their own, limited in time and memory."""

    def __init__(self, home: Path, limits: CodeSources, budget: Budget) -> None:
        self.home, self.limits, self.budget = home, limits, budget
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "GIT_DIR": str(home), "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "", "GIT_PROTOCOL_FROM_USER": "0",
        }  # fmt: skip

    @contextlib.contextmanager
    def _started(self, arguments: list[str], stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen]:
        """A running git. When it takes too long it is killed, and reading from it ends."""
        flags = [flag for value in _SAFE for flag in ("-c", value)]
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                ["git", *flags, *arguments],
                cwd=self.home,
                env=self.environment,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
            with contextlib.suppress(OSError):
                limit = self.limits.git_memory_mb << 20
                resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
            timer = threading.Timer(self.limits.timeout_s, _kill, (process,))
            timer.daemon = True
            timer.start()
            try:
                yield process
                process.stdout.close()
                if process.wait() != 0:
                    self.budget.check_time()
                    errors.seek(0)
                    said = errors.read(400).decode("utf-8", "replace").strip()
                    raise RepositoryError("damaged", f"git {arguments[0]}: {said or f'status {process.returncode}'}")
            finally:
                timer.cancel()
                _kill(process)
                for stream in (process.stdin, process.stdout):
                    if stream:
                        with contextlib.suppress(OSError):
                            stream.close()
                process.wait()

    def output(self, arguments: list[str], most: int = 1 << 24) -> bytes:
        """What a command writes, which must be little."""
        with self._started(arguments) as process:
            data = process.stdout.read(most + 1)
            if len(data) > most:
                raise RepositoryError("damaged", f"git {arguments[0]} wrote more than {most:,} bytes")
        return data

    def commit(self, name: str) -> str:
        """The commit whose id begins like this, which must be one."""
        try:
            return self.output(["rev-parse", "--verify", "-q", f"{name}^{{commit}}"]).decode("ascii").strip()
        except RepositoryError as error:
            self.budget.check_time()
            raise RepositoryError("missing", f"it has no commit {name}, or more than one") from error

    def tree(self, commit: str) -> Iterator[tuple[str, str, str, int | None, str]]:
        """(mode, kind, object, size, path) of every entry below a commit, folders aside."""
        with self._started(["ls-tree", "-r", "-z", "-l", "--full-tree", commit]) as process:
            for line in _terminated(process.stdout):
                about, _, path = line.partition(b"\t")
                mode, kind, blob, size = about.decode("ascii").split()
                # "-" for what has no size, "BAD" for an object that is missing or damaged.
                yield mode, kind, blob, int(size) if size.isdecimal() else None, path.decode("utf-8", "surrogateescape")

    def blobs(self, wanted: list[tuple[str, str, int]]) -> Iterator[Entry]:
        """The entries (path, object, size), in that order, with their bytes. git ends at an object that it cannot read:
        that one is left out, and git is started again for the others."""
        for broken in range(_MAX_BROKEN + 1):
            done = 0
            try:
                for entry in self._batch(wanted):
                    done += 1
                    yield entry
                return
            except RepositoryError as error:
                if error.cause != "damaged" or done == len(wanted) or broken == _MAX_BROKEN:
                    raise
                path, blob, size = wanted[done]
                yield Entry(path, size, None, "unreadable", f"object {blob}: {error}")
                wanted = wanted[done + 1 :]

    def _batch(self, wanted: list[tuple[str, str, int]]) -> Iterator[Entry]:
        if not wanted:
            return
        with self._started(["cat-file", "--batch"], stdin=subprocess.PIPE) as process:
            names = "".join(f"{blob}\n" for _, blob, _ in wanted).encode()
            writer = threading.Thread(target=_feed, args=(process.stdin, names), daemon=True)
            writer.start()
            for path, blob, size in wanted:
                self.budget.check_time()
                head = process.stdout.readline(200).decode("ascii", "replace").split()
                if head[1:] == ["missing"]:
                    yield Entry(path, size, None, "unreadable", f"object {blob} is missing")
                    continue
                if len(head) != 3 or (head[0], head[2]) != (blob, str(size)):
                    self.budget.check_time()
                    raise RepositoryError("damaged", "it cannot be read")
                data = process.stdout.read(size)
                if len(data) != size or process.stdout.read(1) != b"\n":
                    self.budget.check_time()
                    raise RepositoryError("damaged", "it is cut off")
                # git believes what a pack's index says of its objects, and whoever wrote that.
                if head[1] != "blob" or not _is_named(data, blob):
                    yield Entry(path, size, None, "unreadable", f"object {blob} is not what its name says")
                else:
                    yield Entry(path, size, data)
            writer.join()


def _is_named(data: bytes, blob: str) -> bool:
    digest = hashlib.sha256 if len(blob) == 64 else hashlib.sha1
    return digest(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == blob


def _kill(process: subprocess.Popen) -> None:
    """End git and what it has started (a bundle is unpacked by a process of its own)."""
    if process.returncode is None:  # else its number may be somebody else's by now
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _feed(stream: BinaryIO, data: bytes) -> None:
    with contextlib.suppress(OSError):
        stream.write(data)
        stream.close()


def _terminated(stream: BinaryIO) -> Iterator[bytes]:
    """The NUL-terminated records of a stream."""
    rest = b""
    while chunk := stream.read1(1 << 16):
        *lines, rest = (rest + chunk).split(b"\0")
        if len(rest) > 1 << 16:
            raise RepositoryError("damaged", "a path of more than 64 kB")
        yield from lines


def _git_folder(place: Path) -> Path | None:
    """Where a folder's repository is: its .git, or itself if it is bare. A .git file that points elsewhere is not
    followed."""
    for folder in (place / ".git", place):
        if not folder.is_symlink() and (folder / "objects").is_dir() and (folder / "HEAD").is_file():
            return folder
    return None


def _own_objects(folder: Path | None, budget: Budget) -> Path:
    """The folder of a repository's objects, which must be its own: links and lists of other folders would have us read
    what its owner may not, and pipes would never end."""
    if folder is None:
        raise RepositoryError("elsewhere", "its .git is a file or link that names another folder: `git clone` it")
    objects = folder / "objects"
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


def _is_empty(place: Path) -> bool:
    """Whether a repository has no commits yet. Raises if it has, but none can be found."""
    if place.is_file():
        return False
    folder = _git_folder(place)
    if folder is None:
        raise RepositoryError("elsewhere", "its .git is a file or link that names another folder: `git clone` it")
    if (folder / "reftable").is_dir():
        raise RepositoryError("damaged", "its references are in tables: `git refs migrate --ref-format=files` first")
    branches = (name for _, _, names in os.walk(folder / "refs") for name in names)
    named = _REF.fullmatch((_line(folder / "HEAD") or "").removeprefix("ref:").strip())
    return bool(named) and next(branches, None) is None and not (folder / "packed-refs").exists()


def _head(place: Path) -> str | None:
    """The commit that HEAD names, read from the files of the references; None without one."""
    folder = _git_folder(place)
    name = folder and _line(folder / "HEAD")
    for _ in range(5):
        if name is None or _ID.fullmatch(name):
            return name
        ref = name.removeprefix("ref:").strip()
        if not _REF.fullmatch(ref) or ".." in ref:
            return None
        name = _line(folder / ref) or _packed(folder / "packed-refs", ref)
    return None


def _line(file: Path) -> str | None:
    return (_start(file, 400) or "").partition("\n")[0].strip() or None


def _packed(file: Path, ref: str) -> str | None:
    lines = (_start(file, _MAX_REFS_MB << 20) or "").splitlines()
    return next((line[: -len(ref) - 1] for line in lines if line.endswith(f" {ref}")), None)


def _start(file: Path, most: int) -> str | None:
    """How a file begins; None if it is none, or a link or pipe."""
    try:
        with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return stream.read(most).decode("utf-8", "surrogateescape")
    except OSError:
        pass
    return None


def _bundled_head(file: Path) -> str | None:
    """The commit that a bundle calls HEAD, else the only or first branch of its header."""
    found: dict[str, str] = {}
    with file.open("rb") as stream:
        if stream.readline(64).strip() not in (b"# v2 git bundle", b"# v3 git bundle"):
            return None
        for _ in range(100_000):
            line = stream.readline(1_000).decode("utf-8", "replace").rstrip("\n")
            if not line:
                break
            name, _, ref = line.partition(" ")
            if _ID.fullmatch(name):
                found.setdefault(ref, name)
    branches = (found[ref] for ref in sorted(found) if ref.startswith("refs/heads/"))
    return found.get("HEAD") or found.get("refs/heads/main") or found.get("refs/heads/master") or next(branches, None)
