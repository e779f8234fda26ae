"""Pages whose owners opted out: lists of hosts, addresses and patterns, and whether an address is on one.

One entry a line, `#` begins a comment:

    example.com                        the host and all its subdomains
    *.example.com                      its subdomains only; *.com for a whole top-level domain
    https://example.com/about          this address, whatever its scheme, port, user or fragment
    https://example.com/people/*       every address that begins like this
    example.com/*/private/*.html       * stands for anything, in the path and query
    https://*.example.com/people/*     the same on every subdomain

Addresses of pages and of lists are written in one way before they are compared, so that upper case, a trailing dot,
user names, ports, percent signs, other alphabets (punycode), `..` and odd spellings of IP addresses make no
difference. A list of millions of hosts is held as 8 bytes a host, their sorted xxh3-64 hashes.
"""

from __future__ import annotations

import functools
import os
import re
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from nemotron_assets.recipe.web.privacy import OptOuts

MAX_ENTRY = 2_048


class OptOutError(ValueError):
    """A list that cannot be used; names the file, the line and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Address:
    """A page's address in the one way of writing. `host` is lower case and ASCII; `path` begins with a slash and
    holds the query; scheme, user, port and fragment are gone."""

    host: str
    path: str


# -- one way of writing ----------------------------------------------------------------------------------------------

_SIMPLE_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:(?=[/\\])")
_ESCAPE = re.compile(r"%([0-9a-fA-F]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_UNPRINTABLE = re.compile(r"[^!-~]+")
_ODD_PATH = re.compile(r"[^!$&-;=?@A-Z_a-z~*]|//|/\.")
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+)){0,3}")


def address(url: str) -> Address | None:
    """The address in the one way of writing; None when it has no host that a page could be on."""
    url = url.strip().translate({9: None, 10: None, 13: None})  # as browsers do
    scheme = _SCHEME.match(url)
    rest = url[scheme.end() if scheme else 0 :]
    if scheme or rest.startswith(("//", "\\\\")):
        rest = rest.lstrip("/\\")
    cut = next((i for i, character in enumerate(rest) if character in "/\\?#"), len(rest))
    host = canonical_host(rest[:cut].rpartition("@")[2])
    return None if host is None else Address(host, canonical_path(rest[cut:]))


def canonical_host(name: str) -> str | None:
    """A host name, perhaps with a port, in lower-case ASCII (punycode) without trailing dot; IPv4 addresses in four
    decimal numbers. None if it is no host name."""
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
    """Path and query with escapes only where they are needed, without fragment, `.`, `..` and doubled slashes."""
    path = path.partition("#")[0]
    if not _ODD_PATH.search(path):
        path = path if path.startswith("/") else f"/{path}"
        return path.removesuffix("?")
    path, _, query = path.replace("\\", "/").partition("?")
    segments: list[str] = []
    parts = _escaped(path).split("/")
    for part in parts:
        if part == "..":
            del segments[-1:]
        elif part not in (".", ""):
            segments.append(part)
    end = "/" if segments and parts[-1] in ("", ".", "..") else ""
    return "/" + "/".join(segments) + end + (f"?{_escaped(query)}" if query else "")


def _escaped(text: str) -> str:
    """Escapes of plain characters undone, all others in upper case, and everything that is not ASCII escaped."""

    def plain(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    text = _ESCAPE.sub(plain, text)
    return _UNPRINTABLE.sub(lambda part: "".join(f"%{b:02X}" for b in part[0].encode("utf-8", "replace")), text)


# -- the lists -------------------------------------------------------------------------------------------------------


@dataclass
class OptOutList:
    """The entries of all lists. `version` is the hash of their content."""

    version: str = ""
    hosts: int = 0
    addresses: int = 0
    _hosts: object = None
    _addresses: object = None
    _prefix_lengths: list[int] = field(default_factory=list)
    _patterns: dict[str, list[list[str]]] = field(default_factory=dict)

    def reasons(self, urls: Sequence[str]) -> list[str | None]:
        """For each address the fate its page meets: blocked_host, blocked_url, or None. An address without a host
        cannot be on a list."""
        if not (self.hosts or self.addresses):
            return [None] * len(urls)
        found: list[str | None] = [None] * len(urls)
        where, keys, kinds = [], [], []
        for i, url in enumerate(urls):
            page = address(url)
            if page is None:
                continue
            for key in _host_keys(page.host):
                where.append(i)
                keys.append(key)
                kinds.append("blocked_host")
            if self.addresses:
                if self._matches_pattern(page):
                    found[i] = "blocked_url"
                for key in self._address_keys(page):
                    where.append(i)
                    keys.append(key)
                    kinds.append("blocked_url")
        hosts, addresses = _contained(keys, self._hosts), _contained(keys, self._addresses)
        for i, kind, is_host, is_address in zip(where, kinds, hosts, addresses, strict=True):
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
    """The domains above a host: b.example.com -> example.com, com."""
    while "." in host and not host.startswith("["):
        host = host.partition(".")[2]
        yield host


def _host_keys(host: str) -> Iterator[int]:
    yield _key("", host)
    if host.startswith("[") or host.rpartition(".")[2].isdigit():  # an IP address has no domain
        return
    for name in _parents(host):
        yield _key("", name)
        yield _key("*.", name)


def _key(kind: str, value: str) -> int:
    return xxhash.xxh3_64_intdigest((kind + value).encode())


def _matches(path: str, pattern: list[str]) -> bool:
    """Whether a path is the pattern's pieces with anything between them; the first and the last piece are its ends.
    Each piece is looked for where the one before ended, which is enough and takes linear time per piece."""
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


def _contained(keys: list[int], hashes) -> list[bool]:
    import numpy as np

    if hashes is None or not len(hashes) or not keys:
        return [False] * len(keys)
    wanted = np.array(keys, dtype=np.uint64)
    places = np.minimum(np.searchsorted(hashes, wanted), len(hashes) - 1)
    return (hashes[places] == wanted).tolist()


# -- reading them ----------------------------------------------------------------------------------------------------


def lists_version(recipe: OptOuts) -> str:
    """The hash of what all lists say, in 16 hex digits; files that cannot be read count as missing, not as an error."""
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
            entry = _uncommented(line)
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


def _uncommented(line: str) -> str:
    """A comment stands at the beginning of a line or behind a blank: an address may hold a #."""
    return "" if line.lstrip().startswith("#") else re.split(r"\s#", line, maxsplit=1)[0].strip()


def _lines_of(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return iter(enumerate(lines, 1))


def _lines_of_file(name: str, hosts: list) -> Iterator[tuple[int, str]]:
    """(number, line) of the lines of a file that are no plain host; the hashes of those go to `hosts` together."""
    import numpy as np
    import polars as pl
    import polars_hash  # noqa: F401  the .nchash namespace

    # Plain hosts are nearly all of a long list: they are hashed a block at a time, without a Python object each.
    plain = r"^[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*\.[a-z][a-z0-9-]*[a-z0-9]$"
    number = 0
    try:
        with Path(name).open("rb") as file:
            while block := file.readlines(1 << 22):
                try:
                    text = b"".join(block).decode("utf-8-sig" if number == 0 else "utf-8")
                except UnicodeDecodeError:
                    bad = next(n for n, line in enumerate(block, number + 1) if not _is_utf8(line))
                    raise OptOutError(f"{name}, line {bad}: it is not UTF-8 text") from None
                lines = pl.Series("line", text.split("\n")[: len(block)]).str.strip_chars()
                is_plain = lines.str.contains(plain) & (lines.str.len_bytes() <= 253)
                hashed = lines.filter(is_plain).to_frame().select(pl.col("line").nchash.xxh3_64())
                hosts.append(hashed["line"].to_numpy().astype(np.uint64, copy=False))
                for place in (~is_plain).arg_true():
                    yield number + place + 1, lines[place]
                number += len(block)
    except OSError as error:
        raise OptOutError(f"{name}: {error.strerror}; web.documents.opt_outs.files names it") from None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _add(entry: str, entries: OptOutList, hosts: list[int], addresses: list[int], lengths: set[int]) -> None:
    """Add one entry. Raises ValueError saying what is wrong with it."""
    if len(entry) > MAX_ENTRY:
        raise ValueError(f"longer than {MAX_ENTRY:,} characters")
    if re.search(r"\s", entry):
        raise ValueError("one entry a line, without blanks; a comment begins with #")
    scheme = _SCHEME.match(entry)
    if scheme and scheme[0].lower() not in ("http:", "https:"):
        raise ValueError("only http:// and https:// addresses are crawled")
    rest = entry[scheme.end() :].lstrip("/") if scheme else entry
    name, slash, _ = rest.partition("/")
    if "?" in name or "\\" in name:
        raise ValueError("an address is a host, a slash and a path: example.com/path?query")
    below = name.startswith("*.")
    host = canonical_host(name.removeprefix("*.").rpartition("@")[2])
    if host is None:
        wildcard = "*" in name.removeprefix("*.")
        raise ValueError(
            "* may stand for a whole host's subdomains (*.example.com) or in a path"
            if wildcard
            else f"{name[:80]!r} is no host name"
        )
    if not slash:
        if not below and "." not in host and not host.startswith("["):
            raise ValueError(f"a whole top-level domain; write *.{host} if that is meant")
        hosts.append(_key("*." if below else "", host))
        return
    path = canonical_path(rest[len(name) :])
    if "*" not in path and not below:
        addresses.append(_key("=", host + path))
    elif path.endswith("*") and path.count("*") == 1 and not below:
        addresses.append(_key("<", host + path[:-1]))
        lengths.add(len(host + path) - 1)
    else:
        entries._patterns.setdefault(f"*.{host}" if below else host, []).append((path).split("*"))
