"""Opens a folder of the lake as a file system, on this machine or in an object store.

An object store may fail for a moment: it is busy, does not answer, or ends an answer in its middle. Here is the one
place where such a failure is met: every operation is tried again, and a read gives all bytes that it was asked for. The
libraries try again by themselves too, but not always: pyarrow takes an object for an empty one if the answer about it
was cut, and cannot finish an upload whose last answer was lost; delta-rs gives up on a list that was cut.
"""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from resources.files import Slice

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from deltalake import DeltaTable

Result = TypeVar("Result")

_ATTEMPTS, _FIRST_WAIT_S, _LONGEST_WAIT_S = 9, 0.1, 20.0
_ATTEMPTS_EMPTY = 4  # as often an object must be found empty until it is believed to be
_READ_BYTES = 16 << 20  # of one request
_IN_MEMORY = 8 << 20  # bytes of an object that wait in memory, and not in a temporary file, to be uploaded
#: What errors of pyarrow and of delta-rs say when the store itself failed, and not when an object is missing.
_PASSING = re.compile(
    r"AWS Error (?!ACCESS_DENIED|NO_SUCH|INVALID|RESOURCE_NOT_FOUND)|Generic \w+ error|curlCode|response body|"
    r"error sending request|HTTP error|timed out|connection (?:closed|reset)|end of file before message length",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"HTTP status 40[0134]|status client error|\b40[0134] (?:Bad|Unauth|Forbid|Not)", re.IGNORECASE)

logger = logging.getLogger(__name__)


class StoreError(OSError):
    """An object store goes on failing. The message says how; what is stored is not damaged by it."""


class ShortRead(OSError):
    """A read gave fewer bytes than the object has."""


def is_passing(error: BaseException) -> bool:
    """Whether an error comes from an object store that failed for a moment, so that another attempt may succeed."""
    if isinstance(error, ShortRead):
        return True
    if isinstance(error, FileNotFoundError | PermissionError | StoreError):
        return False
    text = str(error)
    return bool(_PASSING.search(text)) and not _FORBIDDEN.search(text)


def steadily(operation: Callable[[], Result], what: str) -> Result:
    """The result of an operation on an object store, which is tried again after a passing failure, with growing waits.
    It must be one that may be done twice. Raises `StoreError` after the last attempt; `what` names the operation."""
    wait = _FIRST_WAIT_S
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return operation()
        except Exception as error:
            if not is_passing(error):
                raise
            if attempt == _ATTEMPTS:
                raise StoreError(f"{what}: the object store failed {attempt} times in a row: {error}") from error
            logger.info("%s: attempt %d failed: %s", what, attempt, error)
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_S)
    raise AssertionError("unreachable")


def store_at(path: str) -> Any:
    """The pyarrow file system rooted at a local folder or an object-store URL.

    Credentials and endpoints of an object store come from the environment variables of its provider.
    """
    from pyarrow.fs import LocalFileSystem, PyFileSystem, SubTreeFileSystem

    if "://" not in path:
        return SubTreeFileSystem(path, LocalFileSystem())
    filesystem, base = _remote(path)
    return SubTreeFileSystem(base, PyFileSystem(_handler(filesystem)))


def delta_at(path: str, options: Mapping[str, str] | None = None, **more: Any) -> DeltaTable:
    """A Delta table; `more` are further arguments of `DeltaTable`, such as its version."""
    from deltalake import DeltaTable

    return steadily(lambda: DeltaTable(path, storage_options=dict(options or {}) or None, **more), f"opening {path}")


def dataset_at(path: str, version: int, options: Mapping[str, str] | None = None) -> ds.Dataset:
    """The rows of a version of a Delta table as a pyarrow dataset."""
    table = delta_at(path, options, version=version)
    return table.to_pyarrow_dataset(as_large_types=True, filesystem=store_at(path) if "://" in path else None)


def s3_options() -> dict[str, Any]:
    """The endpoint and the region of S3 that the environment names, as arguments of pyarrow's `S3FileSystem`."""
    options = {
        "endpoint_override": os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
    }
    if (options["endpoint_override"] or "").startswith("http://"):
        options["scheme"] = "http"
    return {name: value for name, value in options.items() if value}


def _remote(path: str) -> tuple[Any, str]:
    """The object store of a URL, and the place in it."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, FileSystem, S3FileSystem

    options = s3_options()
    if not path.startswith("s3://") or "region" not in options:
        return FileSystem.from_uri(path)
    strategy = AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS)
    # With a delayed open, a small object is one request instead of an upload in several parts.
    return S3FileSystem(**options, retry_strategy=strategy, allow_delayed_open=True), path.removeprefix("s3://")


class _Object(Slice):
    """An object that is read in ranges, each of which is tried again until it is whole."""

    def __init__(self, filesystem: Any, path: str) -> None:
        self._path, size = path, 0
        for _ in range(_ATTEMPTS_EMPTY):
            self._file = steadily(lambda: filesystem.open_input_file(path), f"opening {path}")
            if size := steadily(self._file.size, f"opening {path}"):
                break
        super().__init__(self._pieces, 0, size)

    def size(self) -> int:
        return self._size

    def _pieces(self, offset: int, size: int) -> bytes:
        pieces = [
            steadily(lambda at=at: self._range(at, min(offset + size - at, _READ_BYTES)), f"reading {self._path}")
            for at in range(offset, offset + size, _READ_BYTES)
        ]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _range(self, offset: int, size: int) -> bytes:
        data = self._file.read_at(size, offset)
        if len(data) != size:
            raise ShortRead(f"{len(data)} of {size} bytes at {offset}")
        return data

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


class _Upload(io.RawIOBase):
    """An object that is uploaded as a whole when it is closed, again until the store has it."""

    def __init__(self, filesystem: Any, path: str, metadata: Any) -> None:
        self._filesystem, self._path, self._metadata = filesystem, path, metadata
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - `close` closes it

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            with self._file:
                steadily(self._upload, f"writing {self._path}")

    def _upload(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        try:
            with self._filesystem.open_output_stream(self._path, metadata=self._metadata) as target:
                shutil.copyfileobj(self._file, target, _READ_BYTES)
        except OSError as error:
            if not is_passing(error) or not self._is_stored(size):
                raise

    def _is_stored(self, size: int) -> bool:
        """Whether the store has the object, although the answer was lost. An earlier object may have the same size."""
        if self._filesystem.get_file_info([self._path])[0].size != size:
            return False
        self._file.seek(0)
        with _Object(self._filesystem, self._path) as stored:
            return all(piece == stored.read(len(piece)) for piece in iter(lambda: self._file.read(_READ_BYTES), b""))


def _handler(filesystem: Any) -> Any:
    """The handler of a pyarrow file system that passes all on to another one, steadily."""
    import pyarrow as pa
    from pyarrow.fs import FileSystemHandler, FileType

    def passed_on(name: str) -> Callable[..., Any]:
        def operation(self: Any, *arguments: Any) -> Any:
            return steadily(lambda: getattr(filesystem, name)(*arguments), f"{name} {arguments[0]}")

        return operation

    def exists(path: str) -> bool:
        return steadily(lambda: filesystem.get_file_info([path]), f"looking at {path}")[0].type != FileType.NotFound

    class Handler(FileSystemHandler):
        """See `steadily`."""

        get_file_info = get_file_info_selector = passed_on("get_file_info")
        delete_dir, copy_file = passed_on("delete_dir"), passed_on("copy_file")

        def get_type_name(self) -> str:
            return f"steady+{filesystem.type_name}"

        def __eq__(self, other: object) -> bool:
            return isinstance(other, FileSystemHandler) and self.get_type_name() == other.get_type_name()

        __hash__ = None

        def normalize_path(self, path: str) -> str:
            return filesystem.normalize_path(path)

        def open_input_stream(self, path: str) -> Any:
            return pa.PythonFile(_Object(filesystem, path), mode="r")

        open_input_file = open_input_stream

        def open_output_stream(self, path: str, metadata: Any) -> Any:
            return pa.PythonFile(_Upload(filesystem, path, metadata), mode="w")

        def create_dir(self, path: str, recursive: bool) -> None:
            steadily(lambda: filesystem.create_dir(path, recursive=recursive), f"create_dir {path}")

        def delete_file(self, path: str) -> None:
            """The object may be gone at the second attempt, if the answer to the first one was lost."""
            tried = []

            def delete() -> None:
                tried.append(path)
                try:
                    filesystem.delete_file(path)
                except FileNotFoundError:
                    if len(tried) == 1:
                        raise

            steadily(delete, f"delete_file {path}")

        def move(self, source: str, target: str) -> None:
            """The source may be gone at the second attempt too."""
            tried = []

            def move() -> None:
                tried.append(source)
                if len(tried) == 1 or exists(source) or not exists(target):
                    filesystem.move(source, target)

            steadily(move, f"move {source}")

        def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
            steadily(lambda: filesystem.delete_dir_contents(path, missing_dir_ok=missing_dir_ok), f"emptying {path}")

        def delete_root_dir_contents(self) -> None:
            raise NotImplementedError("nobody empties a whole object store")

        def open_append_stream(self, path: str, metadata: Any) -> Any:
            raise NotImplementedError("objects cannot grow")

    return Handler()
