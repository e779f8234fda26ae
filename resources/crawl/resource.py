"""The Dagster resource `crawl`: lists the snapshots of a crawl and reads its files, local or remote."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit

import dagster as dg
from pydantic import Field

from nemotron_assets.recipe.addresses import Address, access_to
from resources.crawl.errors import CrawlError, Missing, Oversized, Unavailable, check_size
from resources.crawl.http_source import request_http
from resources.crawl.layout import (
    COLLINFO,
    Snapshot,
    check_path,
    listing_of,
    parse_collinfo,
    parse_listing,
)
from resources.crawl.local import SAMPLE, file_below, file_fingerprint
from resources.crawl.s3_source import request_s3
from resources.crawl.transfer import ByteRange, Response, Transfer, TransferLimits, wait_for_turn
from resources.home import cache_dir
from resources.received import GZIP, described, is_html


class Crawl(dg.ConfigurableResource):
    """The crawl that `recipe.snapshots.crawl` names. Times are in seconds, sizes in MB (2**20 bytes)."""

    source: Address = Field(description="'sample', a folder, an http(s) URL or an s3 URL in Common Crawl's layout")
    first: str = Field(default="", description="earliest snapshot of the window; '' for no bound")
    last: str = Field(default="", description="latest snapshot of the window; '' for no bound")
    max_snapshots: int = Field(default=1, description="most snapshots of the window; the newest are taken")
    max_warc_files: int = Field(default=1, description="most WARC files of one snapshot; the first are taken")
    max_warc_mb: int = Field(default=2048, description="largest file that is read")
    max_collinfo_mb: int = Field(default=2, description="largest collinfo.json")
    max_listing_mb: int = Field(default=64, description="largest warc.paths.gz, before and after decompression")
    max_listed_files: int = Field(default=500_000, description="most lines of a warc.paths.gz")
    timeout_s: float = Field(default=30, description="longest silence of a connection")
    file_timeout_s: float = Field(default=900, description="longest time for one file")
    retries: int = Field(default=5, description="attempts in a row without any progress, after the first")
    backoff_s: float = Field(default=1, description="wait before the first retry; doubled for each further retry")
    delay_s: float = Field(default=0, description="pause between requests to one server")
    user_agent: str = Field(default="nemotron-lakehouse", description="name that requests give to the server")

    @classmethod
    def from_recipe(cls, section) -> Crawl:
        """The resource that a recipe's `snapshots.crawl` section describes."""
        return cls(**{name: getattr(section, name) for name in cls.model_fields if hasattr(section, name)})

    # -- which snapshots and files there are -----------------------------------------------------------------------

    @property
    def is_remote(self) -> bool:
        """Whether the crawl is on another machine, so that reading it costs that machine's bandwidth."""
        return "://" in self.source and not self.source.startswith("file://")

    def snapshots(self) -> list[Snapshot]:
        """The snapshots in collinfo.json, oldest first. Entries with an invalid id are left out."""
        text = self._read(COLLINFO, self.max_collinfo_mb)
        try:
            return parse_collinfo(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise CrawlError(self._unexpected(COLLINFO, "a list of snapshots", text, error)) from error

    def window(self) -> list[Snapshot]:
        """The newest `max_snapshots` snapshots between `first` and `last`, oldest first."""
        inside = [
            s
            for s in self.snapshots()
            if (not self.first or s.id >= self.first) and (not self.last or s.id <= self.last)
        ]
        return inside[-self.max_snapshots :]

    def warc_paths(self, snapshot: str) -> list[str]:
        """The paths of all WARC files of a snapshot, in the order of its warc.paths.gz.

        Raises CrawlError if the snapshot's name or one of the paths is not safe to use.
        """
        return self.paths_in(listing_of(snapshot))

    def paths_in(self, listing: str) -> list[str]:
        """The paths that a list of the crawl names, such as warc.paths.gz. Raises CrawlError."""
        data = self._read(listing, self.max_listing_mb)
        try:
            return parse_listing(data, self.max_listing_mb, self.max_listed_files)
        except Oversized as error:
            limits = "snapshots.crawl.max_listing_mb and max_listed_files"
            raise Oversized(f"{self.location(listing)}: {error} (the recipe's {limits})") from error
        except (CrawlError, zlib.error, EOFError, ValueError) as error:
            if data.startswith(GZIP):
                raise CrawlError(f"{self.location(listing)} is damaged: {error}") from error
            raise CrawlError(self._unexpected(listing, "a gzip file with a list of paths", data, error)) from error

    def _unexpected(self, path: str, wanted: str, data: bytes, error: Exception) -> str:
        """The sentence about a small file that is not what its name promises."""
        said = f"{self.location(path)} is not {wanted}: it is {described(data)} ({error})"
        if not self.is_remote:
            return said
        login = ", and the user, password or token that the server needs" if is_html(data) else ""
        return f"{said}. Check snapshots.crawl.source in the recipe{login}"

    def location(self, path: str) -> str:
        """Where a file is, for messages and tables."""
        return f"{self.source.rstrip('/') if self.is_remote else self._folder()}/{path}"

    # -- reading files ---------------------------------------------------------------------------------------------

    def fingerprint(self, path: str) -> str:
        """Identify a file's version without reading all of it.

        The fingerprint of a local file changes with its content. Files of a remote crawl are taken to never change.
        """
        if self.is_remote:
            return f"{self.source}:{path}"
        return file_fingerprint(self._local(path))

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file for reading and seeking: a local file itself, or a temporary copy of a remote one.

        Raises `Missing`, `Oversized` or `Unavailable`.
        """
        if not self.is_remote:
            local = self._local(path)
            try:
                stream = local.open("rb")
            except OSError as error:
                raise Missing(f"{local}: {error.strerror}") from error
            with stream:
                check_size(self.location(path), os.fstat(stream.fileno()).st_size, self.max_warc_mb)
                yield stream
            return
        with tempfile.TemporaryFile(dir=cache_dir("crawl")) as stream:
            self._download(path, stream, self.max_warc_mb)
            stream.seek(0)
            yield stream

    def read_range(self, path: str, offset: int, length: int) -> bytes:
        """Read `length` bytes of a file from `offset`, for example one WARC record. Raises as `open` does."""
        if offset < 0 or not 0 < length <= self.max_warc_mb << 20:
            raise CrawlError(
                f"cannot read {length} bytes from offset {offset} of {path}: the offset must not be negative, the "
                f"length must be positive and at most {self.max_warc_mb} MB"
            )
        if not self.is_remote:
            with self.open(path) as stream:
                stream.seek(offset)
                data = stream.read(length)
        else:
            out = io.BytesIO()
            self._download(path, out, self.max_warc_mb, offset, offset + length)
            data = out.getvalue()
        if len(data) != length:
            raise Missing(f"{self.location(path)} ends before byte {offset + length}")
        return data

    def alive(self) -> bool:
        """Whether the source answers at all. Tells a broken file from a broken connection."""
        try:
            self._read(COLLINFO, self.max_collinfo_mb)
        except Unavailable:
            return False
        except CrawlError:
            return True
        return True

    # -- where the bytes come from ---------------------------------------------------------------------------------

    def _folder(self) -> str:
        return str(SAMPLE) if self.source == "sample" else self.source.removeprefix("file://")

    def _local(self, path: str) -> Path:
        return file_below(self._folder(), path)

    def _read(self, path: str, max_mb: int) -> bytes:
        """The content of a small file."""
        if not self.is_remote:
            local = self._local(path)
            try:
                check_size(self.location(path), local.stat().st_size, max_mb)
                return local.read_bytes()
            except OSError as error:
                if not os.path.isdir(self._folder()):
                    raise Missing(
                        f"the folder of the crawl, {self._folder()}, does not exist: check it in the recipe"
                    ) from None
                raise Missing(f"{local}: {error.strerror}") from error
        out = io.BytesIO()
        self._download(path, out, max_mb)
        return out.getvalue()

    def _download(self, path: str, out: BinaryIO, max_mb: int, begin: int = 0, end: int | None = None) -> None:
        """Write the bytes `begin` to `end` (None: the end of the file) of a remote file into `out`."""
        path, location, server = check_path(path), self.location(path), urlsplit(self.source).netloc

        def request(wanted: ByteRange) -> Response:
            wait_for_turn(server, self.delay_s)
            common = {"location": location, "timeout_s": self.timeout_s}
            if self.source.startswith("s3://"):
                return request_s3(location, wanted, **common)
            url, access = self.location(quote(path)), access_to(self.source)
            return request_http(url, wanted, **common, user_agent=self.user_agent, access=access)

        limits = TransferLimits(max_mb, self.file_timeout_s, self.retries, self.backoff_s)
        Transfer(server, location, request, out, limits, begin, end).run()
