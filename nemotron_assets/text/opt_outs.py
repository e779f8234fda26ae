"""Opt-outs: which pages are left out because their owners asked for it, on a list or in the page itself.

A list has one entry per line; `#` begins a comment:

    example.com                        the host and all its subdomains
    *.example.com                      its subdomains only; *.com for a whole top-level domain
    https://example.com/about          this address, with any scheme, port, user and fragment
    https://example.com/people/*       every address that begins with this
    example.com/*/private/*.html       * stands for any text in the path and query
    https://*.example.com/people/*     the same on every subdomain

Addresses of pages and entries of lists are brought into one canonical form before they are compared. Upper case, a
trailing dot, user names, ports, percent escapes, other alphabets (punycode), `..` and odd spellings of IP addresses
make no difference. A list of millions of hosts takes 8 bytes per host in memory: the sorted xxh3-64 hashes.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from nemotron_assets.recipe.web.privacy import OptOuts

if TYPE_CHECKING:
    import pyarrow as pa

#: Longest entry of a list, in characters.
MAX_ENTRY = 2_048


class OptOutError(ValueError):
    """An opt-out list that cannot be used; the message names the file, the line and the mistake."""


@dataclass(frozen=True, slots=True)
class Address:
    """The canonical form of an address: "https://A.example:80/x?y#z" has host "a.example" and path "/x?y".

    `host` is lower-case ASCII. `path` begins with a slash and includes the query.
    """

    host: str
    path: str


# -- canonical form --------------------------------------------------------------------------------------------------

_SIMPLE_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:(?=[/\\])")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_UNPRINTABLE = re.compile(r"[^!-~]+")
_ODD_PATH = re.compile(r"[^!$&-;=?@A-Z_a-z~*]|//|/\.")
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}")


def parse_address(url: str) -> Address | None:
    """The canonical form of a URL; None if it has no valid host name."""
    url = url.strip().translate({9: None, 10: None, 13: None})  # as browsers do
    scheme = _SCHEME.match(url)
    rest = url[scheme.end() if scheme else 0 :]
    if scheme or rest.startswith(("//", "\\\\")):
        rest = rest.lstrip("/\\")
    cut = next((i for i, character in enumerate(rest) if character in "/\\?#"), len(rest))
    host = canonical_host(rest[:cut].rpartition("@")[2])
    return None if host is None else Address(host, canonical_path(rest[cut:]))


def canonical_host(name: str) -> str | None:
    """The canonical form of a host name; None if the name is not valid.

    The form is lower-case ASCII (punycode) without port and trailing dot: "Bücher.example.:80" is
    "xn--bcher-kva.example". An IPv4 address has four decimal numbers: "0xC0.0.0x2.21" is "192.0.2.21".
    """
    name = name.lower()
    if name.startswith("["):  # IPv6
        import ipaddress

        try:
            return f"[{ipaddress.IPv6Address(name[1:].partition(']')[0])}]"
        except ValueError:
            return None
    name = name.partition(":")[0]
    if "%" in name:
        from urllib.parse import unquote

        name = unquote(name).lower()
    if not name.isascii():
        name = _ascii_host(name)
    name = name.strip(".")
    if len(name) > 253 or not _SIMPLE_HOST.fullmatch(name):
        return None
    if name[0].isdigit() and _NUMBERS.fullmatch(name):
        try:
            return socket.inet_ntoa(socket.inet_aton(name))
        except OSError:
            return None
    return name


@functools.lru_cache(maxsize=4096)
def _ascii_host(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return ""


def canonical_path(path: str) -> str:
    """The canonical form of path and query, without fragment: "/a/../b//c?x#y" is "/b/c?x". Escapes stay only where
    they are needed: "/%61" is "/a"."""
    path = path.partition("#")[0]
    if not _ODD_PATH.search(path):
        path = path if path.startswith("/") else f"/{path}"
        return path.removesuffix("?")
    path, _, query = path.replace("\\", "/").partition("?")
    segments: list[str] = []
    parts = _canonical_escapes(path).split("/")
    for part in parts:
        if part == "..":
            del segments[-1:]
        elif part not in (".", ""):
            segments.append(part)
    end = "/" if segments and parts[-1] in ("", ".", "..") else ""
    return "/" + "/".join(segments) + end + (f"?{_canonical_escapes(query)}" if query else "")


def _canonical_escapes(text: str) -> str:
    """Undo escapes of unreserved characters, write other escapes in upper case, escape all that is not ASCII: "%61%2fé"
    is "a%2F%C3%A9"."""

    def unescape(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    text = _ESCAPE.sub(unescape, text)
    return _UNPRINTABLE.sub(lambda part: "".join(f"%{b:02X}" for b in part[0].encode("utf-8", "replace")), text)


# -- the lists -------------------------------------------------------------------------------------------------------


@dataclass
class OptOutList:
    """The entries of all lists. `version` is the hash of the lists' content, `hosts` and `addresses` count entries."""

    version: str = ""
    hosts: int = 0
    addresses: int = 0
    _hosts: object = None
    _addresses: object = None
    _prefix_lengths: list[int] = field(default_factory=list)
    _patterns: dict[str, list[list[str]]] = field(default_factory=dict)

    def reasons(self, urls: Sequence[str]) -> list[str | None]:
        """For each address: "blocked_host", "blocked_url", or None if it is on no list. An address without a valid host
        is on no list."""
        if not (self.hosts or self.addresses):
            return [None] * len(urls)
        found: list[str | None] = [None] * len(urls)
        places, keys, kinds = [], [], []
        for i, url in enumerate(urls):
            page = parse_address(url)
            if page is None:
                continue
            for key in _host_keys(page.host):
                places.append(i)
                keys.append(key)
                kinds.append("blocked_host")
            if self.addresses:
                if self._matches_pattern(page):
                    found[i] = "blocked_url"
                for key in self._address_keys(page):
                    places.append(i)
                    keys.append(key)
                    kinds.append("blocked_url")
        hosts, addresses = _contained(keys, self._hosts), _contained(keys, self._addresses)
        for i, kind, is_host, is_address in zip(places, kinds, hosts, addresses, strict=True):
            if is_host if kind == "blocked_host" else is_address:
                found[i] = "blocked_host" if kind == "blocked_host" else found[i] or kind
        return found

    def _address_keys(self, page: Address) -> Iterator[int]:
        whole = page.host + page.path
        yield _key("=", whole)
        for length in self._prefix_lengths:
            if length > len(whole):
                break
            if length > len(page.host):
                yield _key("<", whole[:length])

    def _matches_pattern(self, page: Address) -> bool:
        for host in (page.host, *(f"*.{name}" for name in _parents(page.host))):
            if any(_matches(page.path, pattern) for pattern in self._patterns.get(host, ())):
                return True
        return False


def _parents(host: str) -> Iterator[str]:
    """The domains above a host: "b.example.com" has "example.com" and "com"."""
    while "." in host and not host.startswith("["):
        host = host.partition(".")[2]
        yield host


def _host_keys(host: str) -> Iterator[int]:
    yield _key("", host)
    if host.startswith("[") or host.rpartition(".")[2].isdigit():  # an IP address is below no domain
        return
    for name in _parents(host):
        yield _key("", name)
        yield _key("*.", name)


def _key(kind: str, value: str) -> int:
    return xxhash.xxh3_64_intdigest((kind + value).encode())


def _matches(path: str, pattern: list[str]) -> bool:
    """Whether a path matches a pattern that was split at its `*`: "/a*b*c" is ["/a", "b", "c"].

    The path must begin with the first piece and end with the last one. The pieces between are searched from left to
    right, each behind the one before, which takes linear time per piece.
    """
    first, *middle, last = pattern
    if not (path.startswith(first) and path.endswith(last) and len(path) >= len(first) + len(last)):
        return False
    place, end = len(first), len(path) - len(last)
    for piece in middle:
        place = path.find(piece, place, end)
        if place < 0:
            return False
        place += len(piece)
    return True


@dataclass(frozen=True)
class OptedOut:
    """The opt-outs that a recipe honours: its lists, and the signals of pages themselves (warc/page_terms.py)."""

    lists: OptOutList
    signals: frozenset[str]

    @classmethod
    def of(cls, recipe: OptOuts) -> OptedOut:
        """Reads the lists. Raises `OptOutError`."""
        return cls(load(recipe), frozenset(recipe.signals))

    @property
    def version(self) -> str:
        """A text that is another one when other pages are left out."""
        return f"{self.lists.version} {sorted(self.signals)}"

    def reasons(self, pages: pa.RecordBatch) -> list[str | None]:
        """For each row of `snapshots.pages` (columns url and opt_outs): "blocked_host" or "blocked_url" if its address
        is on a list, "opt_out" if the page opts out itself, None if it may be used."""
        found = self.lists.reasons(pages.column("url").to_pylist())
        for place, signals in enumerate(pages.column("opt_outs").to_pylist()):
            if found[place] is None and not self.signals.isdisjoint(signals or ()):
                found[place] = "opt_out"
        return found


def _contained(keys: list[int], hashes) -> list[bool]:
    import numpy as np

    if hashes is None or not len(hashes) or not keys:
        return [False] * len(keys)
    wanted = np.array(keys, dtype=np.uint64)
    places = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
    return (hashes[places] == wanted).tolist()


# -- reading lists ---------------------------------------------------------------------------------------------------


def lists_version(recipe: OptOuts) -> str:
    """The hash of the content of all lists, in 16 hex digits. A file that cannot be read counts as missing; `load`
    raises an error for it."""
    digest = xxhash.xxh3_64("\n".join(recipe.lines).encode())
    for name in recipe.files:
        digest.update(f"\0{name}\0".encode())
        try:
            status = os.stat(name)
            digest.update(_file_version(name, status.st_size, status.st_mtime_ns, status.st_ino).encode())
        except OSError:
            digest.update(b"missing")
    return digest.hexdigest()


@functools.lru_cache(maxsize=64)
def _file_version(name: str, *_state: int) -> str:
    digest = xxhash.xxh3_128()
    with Path(name).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def load(recipe: OptOuts) -> OptOutList:
    """Read all lists. Raises `OptOutError`."""
    import numpy as np

    entries = OptOutList(version=lists_version(recipe))
    hosts: list[np.ndarray] = []
    addresses: list[int] = []
    lengths: set[int] = set()
    sources = [("recipe web.documents.opt_outs.lines", _lines_of(recipe.lines))]
    sources += [(name, _lines_of_file(name, hosts)) for name in recipe.files]
    for name, lines in sources:
        others: list[int] = []
        for number, line in lines:
            entry = _strip_comment(line)
            if not entry:
                continue
            try:
                _add(entry, entries, others, addresses, lengths)
            except ValueError as error:
                raise OptOutError(f"{name}, line {number}: {entry[:120]!r}: {error}") from None
        hosts.append(np.array(others, dtype=np.uint64))
    entries._hosts = np.unique(np.concatenate(hosts)) if hosts else None
    entries._addresses = np.unique(np.array(addresses, dtype=np.uint64))
    entries._prefix_lengths = sorted(lengths)
    entries.hosts = len(entries._hosts)
    entries.addresses = len(entries._addresses) + sum(map(len, entries._patterns.values()))
    return entries


def _strip_comment(line: str) -> str:
    """A `#` begins a comment at the start of a line or after white space: "a.example/#x" has no comment."""
    return "" if line.lstrip().startswith("#") else re.split(r"\s#", line, maxsplit=1)[0].strip()


def _lines_of(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return iter(enumerate(lines, 1))


def _lines_of_file(name: str, hosts: list) -> Iterator[tuple[int, str]]:
    """(number, line) of the lines of a file that need parsing. Lines with just a plain host ("a.example") are not
    yielded; their hashes are added to `hosts`."""
    import numpy as np
    import polars as pl
    import polars_hash  # noqa: F401  the .nchash namespace

    # Nearly all lines of a long list are plain hosts. They are hashed in blocks, without a Python object per line.
    plain = r"^[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*\.[a-z][a-z0-9-]*[a-z0-9]$"
    number = 0
    try:
        with Path(name).open("rb") as file:
            while block := file.readlines(1 << 22):
                try:
                    text = b"".join(block).decode("utf-8-sig" if number == 0 else "utf-8")
                except UnicodeDecodeError:
                    bad = next(n for n, line in enumerate(block, number + 1) if not _is_utf8(line))
                    raise OptOutError(f"{name}, line {bad}: it is not UTF-8 text; save the file as UTF-8") from None
                lines = pl.Series("line", text.split("\n")[: len(block)]).str.strip_chars()
                is_plain = lines.str.contains(plain) & (lines.str.len_bytes() <= 253)
                hashed = lines.filter(is_plain).to_frame().select(pl.col("line").nchash.xxh3_64())
                hosts.append(hashed["line"].to_numpy().astype(np.uint64, copy=False))
                for place in (~is_plain).arg_true():
                    yield number + place + 1, lines[place]
                number += len(block)
    except OSError as error:
        raise OptOutError(
            f"{name}: {error.strerror}; correct the path in the recipe's web.documents.opt_outs.files"
        ) from None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _add(entry: str, entries: OptOutList, hosts: list[int], addresses: list[int], lengths: set[int]) -> None:
    """Add one entry. Raises `ValueError` with the mistake in it."""
    if len(entry) > MAX_ENTRY:
        raise ValueError(f"the entry has {len(entry):,} characters; an entry is not longer than {MAX_ENTRY:,}")
    if re.search(r"\s", entry):
        raise ValueError("one entry a line, without white space inside; a comment begins with #")
    scheme = _SCHEME.match(entry)
    if scheme and scheme[0].lower() not in ("http:", "https:"):
        raise ValueError("only http:// and https:// addresses are crawled; remove the entry")
    rest = entry[scheme.end() :].lstrip("/") if scheme else entry
    name, slash, _ = rest.partition("/")
    if "?" in name or "\\" in name:
        raise ValueError("write an address as a host, a slash and a path: example.com/path?query")
    below = name.startswith("*.")
    host = canonical_host(name.removeprefix("*.").rpartition("@")[2])
    if host is None:
        wildcard = "*" in name.removeprefix("*.")
        raise ValueError(
            "* may stand for all subdomains of a host (*.example.com), or in a path (example.com/a/*)"
            if wildcard
            else f"{name[:80]!r} is not a valid host name"
        )
    if not slash:
        if not below and "." not in host and not host.startswith("["):
            raise ValueError(f"{host!r} is a whole top-level domain; write *.{host} to block all hosts below it")
        hosts.append(_key("*." if below else "", host))
        return
    path = canonical_path(rest[len(name) :])
    if "*" not in path and not below:
        addresses.append(_key("=", host + path))
    elif path.endswith("*") and path.count("*") == 1 and not below:
        addresses.append(_key("<", host + path[:-1]))
        lengths.add(len(host + path) - 1)
    else:
        entries._patterns.setdefault(f"*.{host}" if below else host, []).append(path.split("*"))
