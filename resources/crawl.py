"""Where crawl snapshots come from: Common Crawl's layout in a folder, on a web server, or in an object store.

    collinfo.json                          the snapshots: id, name, from, to
    crawl-data/<id>/warc.paths.gz          the WARC files of one snapshot, one relative path a line
    crawl-data/<id>/segments/…/*.warc.gz   the files

Everything read from there is untrusted: names are checked before they are used, sizes are limited before anything is
decompressed, and a path of theirs never becomes a path of ours (remote files are read through anonymous temporary
files). Transfers resume where they broke off, wait as long as the server asks, and give up within fixed limits.
"""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import hashlib
import io
import json
import os
import random
import re
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import quote, urljoin, urlsplit

import dagster as dg
from pydantic import Field

from resources.home import cache_dir
from resources.http_session import http_session

SAMPLE = Path(__file__).parent.parent / "nemotron_assets" / "sample"

#: Names a snapshot may have: they become partition keys and folder names.
SNAPSHOT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_SEGMENT = re.compile(r"(?!\.\.?$)[A-Za-z0-9._=+,@%~-]+", re.ASCII)
_MB = 1 << 20
_MAX_COLLINFO_MB = 16
_MAX_PATHS_MB = 256
_CHUNK = 1 << 20
#: Redirects followed, and only to the same host.
_MAX_REDIRECTS = 3
_LAST_REQUEST: dict[str, float] = {}
_POLITENESS = threading.Lock()


class CrawlError(RuntimeError):
    """Something could not be read from the crawl; the message names it."""


class Missing(CrawlError):
    """The source says that the file is not there, or refuses it."""


class Oversized(CrawlError):
    """A file over the recipe's limit; nothing of it was kept."""


class Unavailable(CrawlError):
    """The source did not deliver within the recipe's retries and time; another attempt may succeed."""


class _Dropped(Exception):
    """One request failed in a way that is worth another try, after at least `wait` seconds if the server said so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class Snapshot:
    """One line of collinfo.json; times are UTC and may be missing."""

    id: str
    name: str
    from_date: datetime | None
    to_date: datetime | None


@dataclass
class _Response:
    """The answer to one request: where its bytes begin, the whole file's size and identity where known."""

    start: int
    total: int | None
    version: str | None
    chunks: Iterator[bytes]


class Crawl(dg.ConfigurableResource):
    """The crawl that `recipe.snapshots.crawl` names. Times are in seconds, sizes in MB."""

    source: str = Field(description="'sample', a folder, an http(s) URL or an s3 URL in Common Crawl's layout")
    first: str = Field(default="", description="earliest snapshot of the window; '' for no bound")
    last: str = Field(default="", description="latest snapshot of the window; '' for no bound")
    max_snapshots: int = Field(default=1, description="most snapshots of the window, the newest are taken")
    max_warc_files: int = Field(default=1, description="most WARC files of one snapshot, the first are taken")
    max_warc_mb: int = Field(default=2048, description="largest file accepted")
    timeout_s: float = Field(default=30, description="longest silence of a connection")
    file_timeout_s: float = Field(default=900, description="longest time for one file")
    retries: int = Field(default=5, description="attempts in a row without any progress, after the first")
    backoff_s: float = Field(default=1, description="first wait before a retry, doubled each time")
    delay_s: float = Field(default=0, description="pause between requests to one server")
    user_agent: str = Field(default="nemotron-lakehouse", description="how requests identify themselves")

    @classmethod
    def from_recipe(cls, section) -> Crawl:
        """The resource a recipe's `crawl` section describes."""
        return cls(**{name: getattr(section, name) for name in cls.model_fields if hasattr(section, name)})

    # -- what there is --------------------------------------------------------------------------------------------

    @property
    def is_remote(self) -> bool:
        """Whether reading costs somebody else's bandwidth."""
        return "://" in self.source and not self.source.startswith("file://")

    def snapshots(self) -> list[Snapshot]:
        """The snapshots of collinfo.json, oldest first; entries with an unusable id are left out."""
        raw = self._small("collinfo.json", _MAX_COLLINFO_MB)
        try:
            entries = json.loads(raw)
            found = [
                Snapshot(e["id"], str(e.get("name") or e["id"]), _time(e.get("from")), _time(e.get("to")))
                for e in entries
                if isinstance(e, dict) and isinstance(e.get("id"), str) and SNAPSHOT_NAME.fullmatch(e["id"])
            ]
        except (ValueError, TypeError, RecursionError) as error:
            raise CrawlError(f"{self._shown('collinfo.json')} is no list of snapshots: {error}") from error
        return sorted({s.id: s for s in found}.values(), key=lambda s: s.id)

    def window(self) -> list[Snapshot]:
        """The snapshots the recipe wants: from `first` to `last`, the newest `max_snapshots` of them, oldest first."""
        inside = [
            s
            for s in self.snapshots()
            if (not self.first or s.id >= self.first) and (not self.last or s.id <= self.last)
        ]
        return inside[-self.max_snapshots :]

    def warc_paths(self, snapshot: str) -> list[str]:
        """All WARC paths of a snapshot, as its warc.paths.gz gives them. Raises CrawlError for an unusable one."""
        if not SNAPSHOT_NAME.fullmatch(snapshot):
            raise CrawlError(f"{snapshot!r} is no snapshot name")
        listing = f"crawl-data/{snapshot}/warc.paths.gz"
        try:
            raw = _gunzip(self._small(listing, _MAX_PATHS_MB), _MAX_PATHS_MB * _MB)
        except (zlib.error, EOFError, gzip.BadGzipFile) as error:
            raise CrawlError(f"{self._shown(listing)} is damaged: {error}") from error
        paths = [line for line in raw.decode("ascii", "replace").split("\n") if line.strip()]
        return list(dict.fromkeys(check_path(path.rstrip("\r")) for path in paths))

    # -- reading --------------------------------------------------------------------------------------------------

    def fingerprint(self, path: str) -> str:
        """What a file is, without reading all of it: changes when a local file changes; remote crawls are immutable."""
        if self.is_remote:
            return f"{self.source}:{path}"
        return file_fingerprint(self._local(path))

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """A seekable file with the content of `path`: the file itself, or a temporary copy that is gone afterwards.

        Raises `Missing`, `Oversized` or `Unavailable`.
        """
        if not self.is_remote:
            local = self._local(path)
            try:
                stream = local.open("rb")
            except OSError as error:
                raise Missing(f"{local}: {error.strerror}") from error
            with stream:
                self._check_size(path, os.fstat(stream.fileno()).st_size, self.max_warc_mb)
                yield stream
            return
        with tempfile.TemporaryFile(dir=cache_dir("crawl")) as stream:
            self._download(path, stream, self.max_warc_mb)
            stream.seek(0)
            yield stream

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` of a file, by a ranged request: one WARC record. Raises as `open` does."""
        if offset < 0 or not 0 < length <= self.max_warc_mb * _MB:
            raise CrawlError(f"a range of {length} bytes from {offset} of {path} is not readable")
        if not self.is_remote:
            with self.open(path) as stream:
                stream.seek(offset)
                data = stream.read(length)
        else:
            out = io.BytesIO()
            self._transfer(path, out, self.max_warc_mb, offset, offset + length)
            data = out.getvalue()
        if len(data) != length:
            raise Missing(f"{self._shown(path)} ends before byte {offset + length}")
        return data

    def alive(self) -> bool:
        """Whether the source answers at all; tells a broken file from a broken connection."""
        try:
            self._small("collinfo.json", _MAX_COLLINFO_MB)
        except Unavailable:
            return False
        except CrawlError:
            return True
        return True

    # -- transport ------------------------------------------------------------------------------------------------

    def _root(self) -> str:
        return str(SAMPLE) if self.source == "sample" else self.source.removeprefix("file://")

    def _local(self, path: str) -> Path:
        """The place of a checked path below the source folder; links that lead out of it are refused."""
        root = Path(self._root()).resolve()
        place = (root / check_path(path)).resolve()
        if not place.is_relative_to(root):
            raise CrawlError(f"{path!r} leads out of {root}")
        return place

    def _shown(self, path: str) -> str:
        """A location for messages: without user, password or query."""
        if not self.is_remote:
            return f"{self._root()}/{path}"
        parts = urlsplit(self.source)
        return f"{parts.scheme}://{parts.hostname}{parts.path.rstrip('/')}/{path}"

    def _small(self, path: str, max_mb: int) -> bytes:
        if not self.is_remote:
            local = self._local(path)
            try:
                self._check_size(path, local.stat().st_size, max_mb)
                return local.read_bytes()
            except OSError as error:
                raise Missing(f"{local}: {error.strerror}") from error
        out = io.BytesIO()
        self._download(path, out, max_mb)
        return out.getvalue()

    def _check_size(self, path: str, size: int, max_mb: int) -> None:
        if size > max_mb * _MB:
            raise Oversized(f"{self._shown(path)} has {size} bytes, more than {max_mb} MB")

    def _download(self, path: str, out: BinaryIO, max_mb: int) -> None:
        self._transfer(path, out, max_mb, 0, None)

    def _transfer(self, path: str, out: BinaryIO, max_mb: int, begin: int, end: int | None) -> None:
        """Bring bytes `begin` to `end` (None: the end of the file) of a remote file into `out`.

        A transfer that breaks off is resumed where it stopped if the file is still the same one, else begun anew.
        `retries` counts attempts in a row that brought nothing new, and every fresh beginning.
        """
        request = self._s3 if self.source.startswith("s3://") else self._http
        deadline = time.monotonic() + self.file_timeout_s
        got, version, total, failures = 0, None, None, 0
        while True:
            before, restarted = got, False
            try:
                self._be_polite()
                answer = request(check_path(path), begin + got, end, version)
                if got and (answer.start != begin + got or (version and answer.version != version)):
                    got, restarted = 0, True
                    out.seek(0)
                    out.truncate()
                skip = begin + got - answer.start
                if skip < 0:
                    raise _Dropped("the server answered with another range than asked for")
                version, total = answer.version, answer.total
                if total is not None and (end is None or end > total):
                    self._check_size(path, total - begin, max_mb)
                ends = [x for x in (end, total) if x is not None]
                wanted = min(ends) - begin if ends else None
                if wanted is not None and got >= wanted:
                    return
                for chunk in answer.chunks:
                    if time.monotonic() > deadline:
                        raise Unavailable(f"{self._shown(path)} took longer than {self.file_timeout_s:g} s")
                    if skip:
                        chunk, skip = chunk[skip:], max(0, skip - len(chunk))
                    if wanted is not None:
                        chunk = chunk[: wanted - got]
                    out.write(chunk)
                    got += len(chunk)
                    self._check_size(path, got, max_mb)
                    if got == wanted:
                        return
                if wanted is None:
                    return
                raise _Dropped(f"it ended after {begin + got} of {total} bytes")
            except _Dropped as drop:
                failures = failures + 1 if restarted or got <= before else 0
                wait = max(drop.wait or 0, self.backoff_s * 2 ** min(failures, 10) * random.uniform(0.75, 1.25))
                if failures > self.retries:
                    raise Unavailable(f"{self._shown(path)}: {drop} ({failures} attempts without progress)") from drop
                if time.monotonic() + wait > deadline:
                    raise Unavailable(
                        f"{self._shown(path)}: {drop}; the next attempt would be later than "
                        f"{self.file_timeout_s:g} s after the first"
                    ) from drop
                time.sleep(wait)

    def _be_polite(self) -> None:
        if not self.delay_s:
            return
        host = urlsplit(self.source).netloc
        with _POLITENESS:
            now = time.monotonic()
            at = max(now, _LAST_REQUEST.get(host, 0) + self.delay_s)
            _LAST_REQUEST[host] = at
        time.sleep(at - now)

    def _http(self, path: str, begin: int, end: int | None, version: str | None) -> _Response:
        """One GET, ranged when it does not begin at the start or has an end."""
        import requests

        headers = {"User-Agent": self.user_agent, "Accept-Encoding": "identity"}
        if begin or end is not None:
            headers["Range"] = f"bytes={begin}-{'' if end is None else end - 1}"
            if version and version.startswith('"'):
                headers["If-Range"] = version
        url = self.source.rstrip("/") + "/" + quote(path)
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                reply = http_session().get(
                    url, headers=headers, timeout=self.timeout_s, stream=True, allow_redirects=False
                )
                if reply.status_code not in (301, 302, 303, 307, 308):
                    break
                target = urljoin(url, reply.headers.get("Location", ""))
                reply.close()
                if urlsplit(target).netloc != urlsplit(url).netloc or urlsplit(target).scheme not in ("http", "https"):
                    raise Missing(f"{self._shown(path)} redirects to another server, which is not followed")
                url = target
            else:
                raise Missing(f"{self._shown(path)} redirects more than {_MAX_REDIRECTS} times")
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _Dropped(f"no connection ({type(error).__name__})") from error
        except (requests.RequestException, ValueError) as error:  # a redirect to what is no address is a ValueError
            raise CrawlError(f"{self._shown(path)}: {type(error).__name__}") from error
        if reply.status_code in (408, 425, 429) or reply.status_code >= 500:
            wait = retry_after(reply.headers.get("Retry-After"))
            reply.close()
            raise _Dropped(f"HTTP status {reply.status_code}", wait)
        if reply.status_code == 416:
            reply.close()
            if version:  # the file has become shorter than what was already fetched: it is another file
                raise _Dropped("HTTP status 416")
            raise Missing(f"{self._shown(path)} ends before byte {begin}")
        if reply.status_code not in (200, 206):
            reply.close()
            raise Missing(f"{self._shown(path)}: HTTP status {reply.status_code}")
        start, total = 0, None
        length = reply.headers.get("Content-Length", "")
        if reply.status_code == 206:
            match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", reply.headers.get("Content-Range", ""))
            if not match:
                reply.close()
                raise _Dropped("a range without Content-Range")
            start = int(match[1])
            total = int(match[3]) if match[3] != "*" else None
        elif length.isdecimal():
            total = int(length)
        identity = reply.headers.get("ETag") or reply.headers.get("Last-Modified")
        return _Response(start, total, identity, _http_chunks(reply))

    def _s3(self, path: str, begin: int, end: int | None, version: str | None) -> _Response:
        """One ranged read of an object. Endpoint, region and credentials come from the environment, as for the lake."""
        import pyarrow.fs as fs

        options = {
            k: v
            for k, v in (
                ("endpoint_override", os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")),
                ("region", os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")),
            )
            if v
        }
        if options.get("endpoint_override", "").startswith("http://"):
            options["scheme"] = "http"
        bucket_path = f"{self.source.removeprefix('s3://').rstrip('/')}/{path}"
        try:
            store = fs.S3FileSystem(
                connect_timeout=self.timeout_s,
                request_timeout=self.timeout_s,
                anonymous=os.environ.get("AWS_SKIP_SIGNATURE", "").lower() in ("1", "true"),
                **options,
            )
            stream = store.open_input_file(bucket_path)
            total = stream.size()
        except FileNotFoundError as error:
            raise Missing(f"{self._shown(path)} does not exist") from error
        except PermissionError as error:
            raise Missing(f"{self._shown(path)} is not readable with the credentials of the environment") from error
        except OSError as error:
            if "ACCESS_DENIED" in str(error) or "HTTP status 403" in str(error):
                raise Missing(
                    f"{self._shown(path)}: access denied (AWS_SKIP_SIGNATURE=true reads public buckets)"
                ) from error
            raise _Dropped(f"no object ({type(error).__name__})") from error
        if begin >= total and total:
            raise Missing(f"{self._shown(path)} ends before byte {begin}")

        def chunks() -> Iterator[bytes]:
            with stream:
                stream.seek(begin)
                left = min(end or total, total) - begin
                while left > 0:
                    try:
                        chunk = stream.read(min(8 * _CHUNK, left))
                    except OSError as error:
                        raise _Dropped("the read failed") from error
                    if not chunk:
                        return
                    left -= len(chunk)
                    yield chunk

        return _Response(begin, total, None, chunks())


def check_path(path: str) -> str:
    """A relative path of plain segments, unchanged; CrawlError for anything that could lead elsewhere."""
    parts = path.split("/")
    if len(path) > 1024 or not all(_SEGMENT.fullmatch(part) for part in parts) or PurePosixPath(path).is_absolute():
        raise CrawlError(f"{path[:200]!r} is no usable path in a crawl")
    return path


def file_fingerprint(path: Path) -> str:
    """Size and hash of the two ends of a local file: follows its content, not its place or time. Raises `Missing`."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            ends = stream.read(65_536)
            stream.seek(max(0, size - 65_536))
            ends += stream.read(65_536)
    except OSError as error:
        raise Missing(f"{path}: {error.strerror}") from error
    return f"{size}:{hashlib.sha256(ends).hexdigest()[:32]}"


def retry_after(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a Retry-After header (a number or an HTTP date) asks to wait; None for none or nonsense."""
    if not value:
        return None
    value = value.strip()
    if re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _http_chunks(reply) -> Iterator[bytes]:
    import urllib3

    try:
        while chunk := reply.raw.read1(_CHUNK, decode_content=False):
            yield chunk
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise _Dropped(f"the transfer broke off ({type(error).__name__})") from error
    finally:
        reply.close()


def _gunzip(data: bytes, limit: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        text = stream.read(limit + 1)
    if len(text) > limit:
        raise Oversized(f"a listing of more than {limit >> 20} MB")
    return text


def _time(value: object) -> datetime | None:
    try:
        time_ = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return time_ and (time_ if time_.tzinfo else time_.replace(tzinfo=UTC))
