"""Runs git commands that read objects, in an isolated environment and within limits of time and memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from resources.repositories.budget import Budget
from resources.repositories.source import Entry, RepositoryError

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.sources import CodeSources

#: Settings that keep git from running programs, from reaching a network, and from using much memory.
_SETTINGS = (
    "protocol.allow=never", "core.hooksPath=/dev/null", "core.fsmonitor=false", "core.attributesFile=/dev/null",
    "core.bigFileThreshold=16m", "pack.threads=1", "pack.windowMemory=64m", "gc.auto=0", "fetch.fsckObjects=true",
    "transfer.fsckObjects=true", "core.commitGraph=false", "core.multiPackIndex=false",
)  # fmt: skip
#: The repository is given up after this many objects at which git ended.
_MAX_BROKEN = 20


class Git:
    """git commands in the bare repository `home`, with an environment of their own. `limits` apply to each command."""

    def __init__(self, home: Path, limits: CodeSources, budget: Budget) -> None:
        self.home, self.limits, self.budget = home, limits, budget
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "GIT_DIR": str(home), "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "", "GIT_PROTOCOL_FROM_USER": "0",
        }  # fmt: skip

    def output(self, arguments: list[str], most: int = 1 << 24) -> bytes:
        """The output of a command. Raises `RepositoryError` if it has more than `most` bytes."""
        with self._started(arguments) as process:
            data = process.stdout.read(most + 1)
            if len(data) > most:
                raise RepositoryError("damaged", f"git {arguments[0]} wrote more than {most:,} bytes")
        return data

    def commit(self, name: str) -> str:
        """The full id of the only commit whose id begins with `name`."""
        try:
            return self.output(["rev-parse", "--verify", "-q", f"{name}^{{commit}}"]).decode("ascii").strip()
        except RepositoryError as error:
            self.budget.check_time()
            raise RepositoryError("missing", f"it has no commit {name}, or more than one") from error

    def tree(self, commit: str) -> Iterator[tuple[str, str, str, int | None, str]]:
        """(mode, kind, object, size, path) of every entry of a commit that is not a folder."""
        with self._started(["ls-tree", "-r", "-z", "-l", "--full-tree", commit]) as process:
            for line in _records(process.stdout):
                facts, _, path = line.partition(b"\t")
                mode, kind, blob, size = facts.decode("ascii").split()
                # The size is "-" for an entry without a size and "BAD" for an object that is missing or damaged.
                yield mode, kind, blob, int(size) if size.isdecimal() else None, path.decode("utf-8", "surrogateescape")

    def blobs(self, files: list[tuple[str, str, int]]) -> Iterator[Entry]:
        """The entries of files, given as (path, object, size), in that order.

        git ends at an object that it cannot read. That file becomes unreadable, and git is started again for the rest.
        """
        for broken in range(_MAX_BROKEN + 1):
            done = 0
            try:
                for entry in self._batch(files):
                    done += 1
                    yield entry
                return
            except RepositoryError as error:
                if error.cause != "damaged" or done == len(files) or broken == _MAX_BROKEN:
                    raise
                path, blob, size = files[done]
                yield Entry(path, size, None, "unreadable", f"object {blob}: {error}")
                files = files[done + 1 :]

    def _batch(self, files: list[tuple[str, str, int]]) -> Iterator[Entry]:
        """The entries of files, read by one git process."""
        if not files:
            return
        with self._started(["cat-file", "--batch"], stdin=subprocess.PIPE) as process:
            names = "".join(f"{blob}\n" for _, blob, _ in files).encode()
            writer = threading.Thread(target=_write_and_close, args=(process.stdin, names), daemon=True)
            writer.start()
            for path, blob, size in files:
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
                # git trusts the index of a pack, which the repository's author can write.
                if head[1] != "blob" or not _has_id(data, blob):
                    yield Entry(path, size, None, "unreadable", f"object {blob} is not what its name says")
                else:
                    yield Entry(path, size, data)
            writer.join()

    @contextlib.contextmanager
    def _started(self, arguments: list[str], stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen]:
        """A running git command. It is killed at the time limit, which ends reading from it.

        Raises `RepositoryError` if it ends with an error.
        """
        flags = [flag for setting in _SETTINGS for flag in ("-c", setting)]
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
                    message = errors.read(400).decode("utf-8", "replace").strip()
                    reason = message or f"status {process.returncode}"
                    raise RepositoryError("damaged", f"git {arguments[0]}: {reason}")
            finally:
                timer.cancel()
                _kill(process)
                for stream in (process.stdin, process.stdout):
                    if stream:
                        with contextlib.suppress(OSError):
                            stream.close()
                process.wait()


def _has_id(data: bytes, blob: str) -> bool:
    """Whether the content of a file has this git object id (SHA-1, or SHA-256 for 64 digits)."""
    digest = hashlib.sha256 if len(blob) == 64 else hashlib.sha1
    return digest(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == blob


def _kill(process: subprocess.Popen) -> None:
    """Kill git and the processes it has started: it unpacks a bundle in a process of its own."""
    if process.returncode is None:  # otherwise its number may already belong to another process
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _write_and_close(stream: BinaryIO, data: bytes) -> None:
    with contextlib.suppress(OSError):
        stream.write(data)
        stream.close()


def _records(stream: BinaryIO) -> Iterator[bytes]:
    """The NUL-terminated records of a stream."""
    rest = b""
    while chunk := stream.read1(1 << 16):
        *records, rest = (rest + chunk).split(b"\0")
        if len(rest) > 1 << 16:
            raise RepositoryError("damaged", "a path of more than 64 kB")
        yield from records
