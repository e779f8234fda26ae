"""Where repositories come from: Parquet dumps, git objects, tar and zip files, archives on a server.

Every source lists the repositories it has and yields the entries of one, in an order that stays, with their bytes. All
of it is untrusted: nothing is ever unpacked to the disk, names never become paths of ours, sizes are checked before and
while anything is read, and an archive that unpacks to more than the recipe allows is left at that point.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from resources.crawl import SAMPLE, Crawl, CrawlError, Missing, file_fingerprint

if TYPE_CHECKING:
    from nemotron_assets.recipe.code import CodeSource, CodeSources

_MB = 1 << 20
#: Names repositories may have; they become keys of parts.
REPO_NAME = re.compile(r"[A-Za-z0-9_.+~-]{1,100}(/[A-Za-z0-9_.+~-]{1,100}){1,6}", re.ASCII)
COMMIT_ID = re.compile(r"[0-9a-fA-F]{7,64}", re.ASCII)
ARCHIVES = (
    ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".zip",
)  # fmt: skip
BUNDLES = (".bundle",)
#: Longest header that stands before a member of a tar file (a long name, say).
_MAX_TAR_HEADER = 1 << 14


class RepositoryError(RuntimeError):
    """A repository that cannot be read (to its end); `cause` is a short snake_case kind."""

    def __init__(self, cause: str, detail: str) -> None:
        super().__init__(f"{cause}: {detail}"[:300])
        self.cause = cause


class SourceError(RuntimeError):
    """A source that is not there or not what the recipe says; the message says what to do."""


@dataclass(frozen=True)
class Repository:
    """A repository at one commit. `location` is what its source finds it by; it holds no credentials."""

    source: str
    kind: str
    repo: str
    commit_id: str
    location: str
    fingerprint: str
    version: str | None = None
    updated_at: datetime | None = None
    stars: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a repository that is no folder. `data` is there for files that may be read, else `fate` is."""

    path: str
    size: int | None
    data: bytes | None = None
    fate: str | None = None
    detail: str = ""


class Source(Protocol):
    """A place that has repositories."""

    def repositories(self) -> Iterator[Repository]:
        """All of them. Raises `SourceError` when the source itself is unusable."""

    def entries(self, repository: Repository) -> Iterator[Entry]:
        """The entries of one, those over a limit without their bytes. Raises `RepositoryError`."""


def open_source(source: CodeSource, limits: CodeSources, crawl: Crawl) -> Source:
    """The source that a recipe names; `crawl` says how politely remote ones are read."""
    place = SAMPLE / "code" if source.path == "sample" else Path(source.path).expanduser()
    if not place.exists():
        raise SourceError(f"code source {source.name}: {place} does not exist; name a folder or file that does")
    if source.kind == "parquet":
        return ParquetDump(source.name, place, limits)
    if source.kind == "git":
        from resources.git_objects import GitRepositories

        return GitRepositories(source.name, place, limits)
    if source.kind == "archive":
        return ArchiveFiles(source.name, place, limits)
    return GithubArchives(source, place, limits, crawl)


class Budget:
    """What one repository may still use. Every source spends from one of these."""

    def __init__(self, limits: CodeSources) -> None:
        self.max_file = int(limits.max_file_mb * _MB)
        self.files, self.bytes = limits.max_files, int(limits.max_repository_mb * _MB)
        self.deadline = time.monotonic() + limits.timeout_s
        self.timeout_s, self.max_files = limits.timeout_s, limits.max_files

    def entry(self, path: str, size: int | None) -> Entry | None:
        """Count an entry; what it becomes if it may not be read."""
        self.check_time()
        self.files -= 1
        if self.files < 0:
            raise RepositoryError("too_many_files", f"more than {self.max_files:,} entries")
        if size is not None and size > self.max_file:
            return Entry(path, size, fate="too_large", detail=f"more than {self.max_file:,} bytes")
        if size is not None:
            if size > self.bytes:
                return Entry(path, size, fate="over_limit", detail="the repository's files are over the limit")
            self.bytes -= size
        return None

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise RepositoryError("timeout", f"more than {self.timeout_s:g} s")


# -- Parquet dumps ------------------------------------------------------------------------------------------------


class ParquetDump:
    """A folder with `files.parquet` (repo, commit_id, rel_path, content) and, if it has one, `repositories.parquet`.

    Either may be a folder of Parquet files. Rows of a repository should stand together; they may be in any order.
    """

    def __init__(self, name: str, place: Path, limits: CodeSources) -> None:
        self.name, self.place, self.limits = name, place, limits
        self._index: dict[tuple[str, str], list[tuple[Path, int]]] | None = None
        self._loaded: tuple[tuple[Path, int], Any] | None = None

    def _files(self, what: str) -> list[Path]:
        place = self.place
        if place.is_file():
            return [place] if what == "files" else []
        found = [place / f"{what}.parquet"] if (place / f"{what}.parquet").is_file() else []
        return found or sorted((place / what).glob("*.parquet"))

    def repositories(self) -> Iterator[Repository]:
        known = self._known()
        prints = {file: file_fingerprint(file) for file in self._files("files")}
        for (repo, commit), groups in self._groups().items():
            about = known.get((repo, commit), {})
            made = sorted({prints[file] for file, _ in groups})
            yield Repository(
                self.name, "parquet", repo, commit, f"{groups[0][0].name}", ";".join(made),
                about.get("version"), about.get("updated_at"), about.get("stars"),
            )  # fmt: skip

    def _known(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What the dump says of its repositories: version, updated_at and stars, where it has such columns."""
        import pyarrow as pa

        known = {}
        for file in self._files("repositories"):
            with _parquet(file) as parquet:
                names = set(parquet.schema_arrow.names)
                if not {"repo", "commit_id"} <= names:
                    raise SourceError(f"{file} has no columns repo and commit_id; it has {', '.join(sorted(names))}")
                columns = {"repo", "commit_id", "version", "source_version", "updated_at", "stars"} & names
                for row in pa.Table.from_batches(parquet.iter_batches(columns=sorted(columns))).to_pylist():
                    version, at, stars = (row.get(c) for c in ("version", "updated_at", "stars"))
                    known[row["repo"], row["commit_id"]] = {
                        "version": _text(version or row.get("source_version")),
                        "updated_at": at.replace(tzinfo=at.tzinfo or UTC) if isinstance(at, datetime) else None,
                        "stars": stars if isinstance(stars, int) else None,
                    }
        return known

    def _groups(self) -> dict[tuple[str, str], list[tuple[Path, int]]]:
        """{(repo, commit): row groups with its files}, in the order they stand in."""
        if self._index is None:
            files = self._files("files")
            if not files:
                raise SourceError(f"code source {self.name}: {self.place} has no files.parquet and no folder files/")
            self._index = {}
            for file in files:
                with _parquet(file) as parquet:
                    lacking = {"repo", "commit_id", "rel_path", "content"} - set(parquet.schema_arrow.names)
                    if lacking:
                        raise SourceError(f"{file} has no column {', '.join(sorted(lacking))}")
                    for group in range(parquet.num_row_groups):
                        for batch in parquet.iter_batches(row_groups=[group], columns=["repo", "commit_id"]):
                            pairs = zip(*(batch[c].to_pylist() for c in ("repo", "commit_id")), strict=True)
                            for pair in dict.fromkeys(pairs):
                                places = self._index.setdefault(pair, [])
                                if (file, group) not in places[-1:]:
                                    places.append((file, group))
        return self._index

    def entries(self, repository: Repository) -> Iterator[Entry]:
        budget = Budget(self.limits)
        key = repository.repo, repository.commit_id
        if key not in self._groups():
            raise RepositoryError("missing", f"{self.place} has no {key[0]} at {key[1]}")
        for place in self._groups()[key]:
            for path, content in _damaged(self._rows(place, *key)):
                data = content.encode() if isinstance(content, str) else content
                if path is None or data is None:
                    broken = Entry(str(path), None, fate="unreadable", detail="no path or no content")
                    yield budget.entry(str(path), None) or broken
                    continue
                yield budget.entry(path, len(data)) or Entry(path, len(data), data)

    def _rows(self, place: tuple[Path, int], repo: str, commit: str) -> Iterator[tuple[Any, Any]]:
        """(rel_path, content) of one repository in one row group. A small group is kept: the next repository is
        most likely in it as well."""
        import pyarrow.compute as pc

        file, group = place

        def mine(batches):
            for batch in batches:
                batch = batch.filter(pc.and_(pc.equal(batch["repo"], repo), pc.equal(batch["commit_id"], commit)))
                yield from zip(batch["rel_path"].to_pylist(), batch["content"].to_pylist(), strict=True)

        with _parquet(file) as parquet:
            columns = ["repo", "commit_id", "rel_path", "content"]
            if self._loaded is None or self._loaded[0] != place:
                self._loaded = None
                batches = parquet.iter_batches(64, row_groups=[group], columns=columns)
                if parquet.metadata.row_group(group).total_byte_size > 128 * _MB:
                    yield from mine(batches)
                    return
                self._loaded = place, list(batches)
        yield from mine(self._loaded[1])


def _damaged(rows: Iterator[Any]) -> Iterator[Any]:
    """The rows; a part of a file that cannot be read is the repository's error, not the source's."""
    try:
        yield from rows
    except SourceError as error:
        raise RepositoryError("damaged", str(error)) from error


@contextlib.contextmanager
def _parquet(file: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{file} cannot be read as Parquet: {str(error)[:200]}") from error


# -- archives -----------------------------------------------------------------------------------------------------


class ArchiveFiles:
    """Tar and zip files in a folder (or one of them): OWNER/NAME.tar.gz below it is the repository OWNER/NAME, and
    NAME.zip is SOURCE/NAME. A folder that everything in the archive stands in is left away."""

    def __init__(self, name: str, place: Path, limits: CodeSources) -> None:
        self.name, self.place, self.limits = name, place, limits

    def repositories(self) -> Iterator[Repository]:
        for file in files_below(self.place, ARCHIVES):
            relative = file.relative_to(self.place).as_posix() if self.place.is_dir() else file.name
            fingerprint = file_fingerprint(file)
            with file.open("rb") as stream:
                commit = commit_of(stream) or hashlib.sha1(fingerprint.encode()).hexdigest()
            yield Repository(
                self.name, "archive", repo_name(self.name, relative, ARCHIVES), commit, relative, fingerprint
            )

    def entries(self, repository: Repository) -> Iterator[Entry]:
        file = self.place if self.place.is_file() else self.place / repository.location
        with open_file(file, self.limits) as stream:
            yield from archive_entries(stream, self.limits)


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
                _text(row.get("version")), _time(row.get("updated_at")), stars if isinstance(stars, int) else None,
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


def archive_entries(stream: BinaryIO, limits: CodeSources) -> Iterator[Entry]:
    """The entries of a tar or zip file, without the folder that all of them stand in.

    Raises `RepositoryError` where the archive is damaged or unpacks to more than the limits; what came before stands.
    """
    stream.seek(0)
    is_zip = stream.read(4) in (b"PK\3\4", b"PK\5\6", b"PK\7\x08")
    read, budget = (_zip_members if is_zip else _tar_members), Budget(limits)
    top = _common_folder(name for name, _, _ in read(stream, limits, budget))
    for name, member, load in read(stream, limits, budget):
        path = name.removeprefix(f"{top}/") if top else name.removeprefix("./")
        size, fate, detail = member
        if fate:
            yield budget.entry(path, None) or Entry(path, size, None, fate, detail)
            continue
        refused = budget.entry(path, size)
        if refused:
            yield refused
            continue
        try:
            data = load()
        except RepositoryError as error:
            if error.cause != "damaged_member":
                raise
            yield Entry(path, size, None, "unreadable", str(error))
            continue
        yield Entry(path, len(data), data)


def _common_folder(names: Iterator[str]) -> str:
    """The folder that all names are in, or an empty string. Damage is met again when the members are read."""
    top = None
    with contextlib.suppress(RepositoryError):
        for name in names:
            first, slash, _ = name.partition("/")
            if not slash or first != (top or first) or first in ("", ".", ".."):
                return ""
            top = first
    return top or ""


#: Of a member: its size, and why it cannot be a file.
_Member = tuple[int | None, str | None, str]


def _tar_members(
    stream: BinaryIO, limits: CodeSources, budget: Budget
) -> Iterator[tuple[str, _Member, Callable[[], bytes]]]:
    stream.seek(0)
    unpacked = _Unpacked(stream, limits, budget)
    try:
        with tarfile.open(fileobj=unpacked, mode="r|", tarinfo=_TarInfo, errors="surrogateescape") as tar:
            count = 0
            for member in tar:
                tar.members = []  # or every one would be kept
                count += 1
                if count > 2 * limits.max_files:
                    raise RepositoryError("too_many_files", f"more than {2 * limits.max_files:,} members")
                if member.isdir():
                    continue
                if member.issym():
                    about = None, "symlink", f"to {member.linkname}"
                elif not member.isreg() or member.issparse():
                    about = member.size, "special", "hard link" if member.islnk() else f"type {member.type!r}"
                else:
                    about = member.size, None, ""
                yield member.name, about, lambda member=member: _all_of(tar.extractfile(member), member.size)
    except RepositoryError:
        raise
    except Exception as error:  # every decompressor has errors of its own; a broken file must not stop the others
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error


def _all_of(file: BinaryIO | None, size: int) -> bytes:
    try:
        data = b"" if file is None else file.read(size + 1)
    except RepositoryError:
        raise
    except Exception as error:  # whatever the decompressor raises
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error
    if len(data) != size:
        raise RepositoryError("damaged", f"a member of {size} bytes has {len(data)}")
    return data


class _TarInfo(tarfile.TarInfo):
    """Headers that stand before a member (long names, pax records) are read as a whole: they must be short. Paths of
    more than 16 kB do not exist, and Python 3.11's parser takes a time that grows with their square."""

    def _proc_member(self, tar):
        long = (
            tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )  # fmt: skip
        if self.type in long and not 0 <= self.size <= _MAX_TAR_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        if self.size < 0:
            raise tarfile.ReadError(f"a member of {self.size} bytes")
        return super()._proc_member(tar)


class _Unpacked(io.RawIOBase):
    """What a compressed file unpacks to, up to the limits, and up to the deadline."""

    def __init__(self, stream: BinaryIO, limits: CodeSources, budget: Budget) -> None:
        head = stream.read(6)
        end = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        self._stream, self._budget = _unpacker(stream, head), budget
        # Archives are folders and headers besides their files, whose limits are `budget`'s.
        self._ratio = limits.max_ratio
        by_ratio = int(limits.max_ratio * max(end, 10_240))
        self._left = min(by_ratio, int(2 * limits.max_repository_mb * _MB) + (16 << 20))

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        self._budget.check_time()
        if size is None or size < 0 or size > 64 * _MB:
            raise RepositoryError("damaged", f"a block of {size} bytes")
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise RepositoryError("bomb", f"it unpacks to more than {self._ratio:g} times its size, or than the limit")
        return data


def _unpacker(stream: BinaryIO, head: bytes) -> BinaryIO:
    import bz2
    import gzip
    import lzma

    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMAFile(stream)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(_Unclosed(stream), mode="r"), "zstd")
    return stream


class _Unclosed(io.RawIOBase):
    """A file that stays open when its reader is done: it is read twice."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)


class _Bounded(io.RawIOBase):
    """A file of which no more than `most` bytes are read at once: zipfile reads a whole directory in one go."""

    def __init__(self, stream: BinaryIO, most: int) -> None:
        self._stream, self._most = stream, most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(min(size, self._most + 1) if size is not None and size >= 0 else self._most + 1)
        if len(data) > self._most:
            raise RepositoryError("too_many_files", f"a directory of more than {self._most:,} bytes")
        return data


def _zip_members(
    stream: BinaryIO, limits: CodeSources, budget: Budget
) -> Iterator[tuple[str, _Member, Callable[[], bytes]]]:
    size = stream.seek(0, io.SEEK_END)
    left = min(int(limits.max_ratio * max(size, 10_240)), int(2 * limits.max_repository_mb * _MB) + (16 << 20))

    def load(info: zipfile.ZipInfo) -> bytes:
        nonlocal left
        left -= info.file_size
        if left < 0:
            raise RepositoryError("bomb", f"it unpacks to more than {limits.max_ratio:g} times its size")
        try:
            with file.open(info) as member:
                data = member.read(info.file_size + 1)
        except RepositoryError:
            raise
        except Exception as error:  # a wrong checksum, a method that is not known, a password
            raise RepositoryError("damaged_member", f"{type(error).__name__}: {error}") from error
        if len(data) != info.file_size:
            raise RepositoryError("damaged_member", f"{len(data)} bytes, not {info.file_size}")
        return data

    try:
        with zipfile.ZipFile(_Bounded(stream, min(400 * limits.max_files + 65_536, 128 * _MB))) as file:
            for info in file.infolist():
                mode = info.external_attr >> 16 if info.create_system == 3 else 0
                if info.is_dir() or stat.S_ISDIR(mode):
                    continue
                if stat.S_ISLNK(mode):
                    about = None, "symlink", "link"
                elif mode and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                    about = info.file_size, "special", f"mode {mode:o}"
                elif info.flag_bits & 1:
                    about = info.file_size, "unreadable", "encrypted"
                else:
                    about = info.file_size, None, ""
                yield info.orig_filename, about, lambda info=info: load(info)
    except RepositoryError:
        raise
    except Exception as error:  # zipfile raises nearly anything for a damaged directory
        raise RepositoryError("damaged", f"{type(error).__name__}: {error}") from error


def commit_of(stream: BinaryIO) -> str | None:
    """The commit that `git archive` notes in a tar's first header or a zip's comment, if there is one."""
    stream.seek(0)
    head = stream.read(6)
    stream.seek(0)
    text = b""
    try:
        if head.startswith(b"PK"):
            end = stream.seek(0, io.SEEK_END)
            stream.seek(max(0, end - 64))
            text = stream.read(64)[-40:]
        else:
            start = _unpacker(stream, head).read(1_536)
            match = re.search(rb"\d{1,3} comment=([0-9a-f]{40}(?:[0-9a-f]{24})?)\n", start)
            text = match[1] if match else b""
    except Exception:  # a damaged file: reading it will say so
        return None
    return text.decode() if re.fullmatch(rb"[0-9a-f]{40}(?:[0-9a-f]{24})?", text) else None


# -- helpers ------------------------------------------------------------------------------------------------------


def files_below(place: Path, endings: Iterable[str]) -> list[Path]:
    """The files with such endings below a folder (or the one file named), by name; links are not followed."""
    endings = tuple(endings)
    if place.is_file():
        return [place]
    found = (file for file in place.rglob("*") if file.name.lower().endswith(endings))
    return sorted(file for file in found if file.is_file() and not file.is_symlink())


def repo_name(source: str, relative: str, endings: Iterable[str]) -> str:
    """OWNER/NAME of a file below a source's folder; characters that names do not have become `-`."""
    ending = max((e for e in endings if relative.lower().endswith(e)), key=len, default="")
    name = relative[: len(relative) - len(ending)]
    name = re.sub(r"[^A-Za-z0-9_.+~/-]", "-", name)
    return name if "/" in name else f"{source}/{name}"


@contextlib.contextmanager
def open_file(file: Path, limits: CodeSources) -> Iterator[BinaryIO]:
    """A local archive of a size that the recipe allows."""
    try:
        stream = file.open("rb")
    except OSError as error:
        raise RepositoryError("missing", f"{file.name}: {error.strerror}") from error
    with stream:
        size = stream.seek(0, io.SEEK_END)
        if size > limits.max_archive_mb * _MB:
            raise RepositoryError("too_large", f"{size:,} bytes, more than {limits.max_archive_mb} MB")
        yield stream


def listed(place: Path) -> Iterator[dict[str, Any]]:
    """The rows of a list of repositories: Parquet, JSON lines or CSV; other columns are left out where possible."""
    import csv

    wanted = ("repo", "commit_id", "version", "updated_at", "stars")
    try:
        if place.suffix == ".parquet":
            with _parquet(place) as parquet:
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


def _text(value: object) -> str | None:
    return str(value)[:100] if value not in (None, "") else None


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value.replace(tzinfo=value.tzinfo or UTC) if isinstance(value, datetime) else None
