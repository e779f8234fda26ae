"""What `nemotron forget` can be asked to remove: a host, one page, a repository, or one row.

A page is named by its address, and two addresses are the same page when they differ only in what servers ignore:
http or https, `www.`, the case of the host, the default port, the fragment, percent-encoding, and dots in the path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from resources.repositories.names import REPO_NAME

Kind = Literal["host", "url", "repository", "id"]
_KINDS: tuple[str, ...] = get_args(Kind)
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_HOST = re.compile(r"[^\s/?#@:\[\]]+|\[[0-9a-fA-F:.]+\]")
#: A page of an ingested file without addresses, and the stretch of the file that takes the place of its host.
MADE_UP = "ingest:"
#: Lines of a file of targets, and characters of a line.
_MAX_LINES, _MAX_CHARACTERS = 1_000_000, 8_192


class BadTarget(ValueError):
    """What was named can be no target; the message says why, and how to write one."""


@dataclass(frozen=True, order=True)
class Target:
    """Something to be forgotten. `value` is in its normal form (see `host_address` and `page_address`):

    - host: "example.org": all pages of the host, with or without www. A subdomain is another host.
    - url: "example.org/a?b=1": the page in all snapshots.
    - repository: "owner/name": all its commits.
    - id: the 32 hex digits of a row of snapshots.pages or code.repositories.
    """

    kind: Kind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


def targets(words: Iterable[str]) -> list[Target]:
    """The targets that words on the command line name: each word is a target (see `target`), or a file with a target on
    each line; empty lines and lines that begin with # are left out. Raises `BadTarget`."""
    found: dict[Target, None] = {}
    for word in words:
        for line in _lines(Path(word)) if _is_file(word) else (word,):
            found[target(line)] = None
    if not found:
        raise BadTarget("nothing to forget is named; name an address, a host, a repository, an id or a file of them")
    return list(found)


def target(word: str) -> Target:
    """The target that one word names: "https://example.org/a", "example.org", "owner/name" or 32 hex digits. What could
    be read in another way is named with its kind before it: "host:localhost", "repository:my.team/name". Raises
    `BadTarget`, also for "example.org/a": it may be a page without its scheme."""
    word = word.strip()
    kind, colon, value = word.partition(":")
    if not (colon and kind in _KINDS):
        kind, value = _kind_of(word), word
    value = value.strip()
    if kind == "host":
        return Target("host", host_address(value))
    if kind == "url":
        return Target("url", page_address(value))
    if kind == "repository" and REPO_NAME.fullmatch(value):
        return Target("repository", value.lower())
    if kind == "id" and _ID.fullmatch(value.lower()):
        return Target("id", value.lower())
    raise BadTarget(
        f"{word[:200]!r} is not a target: name an address (https://example.org/a), a host (example.org), a repository "
        "(owner/name, or repository:my.team/name if the owner has a dot), the id of a row (32 hex digits), or a file "
        "with a target on each line"
    )


def host_address(host: str) -> str:
    """The normal form of a host: lower case, without www, internationalised names in their ASCII form. Raises
    `BadTarget` for what is not a host."""
    if host.startswith(MADE_UP):
        return host
    if not _HOST.fullmatch(host):
        raise BadTarget(f"{host[:200]!r} is not a host; write it without scheme, port and path: example.org")
    return page_address(f"http://{host}/").removesuffix("/")


def page_address(url: str) -> str:
    """The normal form of an address: host, port if it is not the default one, path and query. An address that is made
    up, as "ingest:mine/texts.jsonl#7" is, stays as it is. Raises `BadTarget` for what is not an address."""
    from yarl import URL

    if url.startswith(MADE_UP):
        return url
    try:
        parts = URL(url)
        host, port = (parts.raw_host or "").rstrip(".").lower(), "" if parts.is_default_port() else f":{parts.port}"
    except ValueError as error:
        raise BadTarget(f"{url[:200]!r} is not an address: {error}") from None
    host = f"[{host}]" if ":" in host else host
    if not host or not parts.scheme:
        raise BadTarget(f"{url[:200]!r} is not an address; write it whole: https://example.org/a")
    return f"{host.removeprefix('www.')}{port}{parts.raw_path_qs}"


def _kind_of(word: str) -> str:
    if "://" in word or word.startswith(MADE_UP):
        return "url"
    if _ID.fullmatch(word.lower()):
        return "id"
    owner, slash, _ = word.partition("/")
    if slash:
        return "" if "." in owner else "repository"
    return "host" if "." in word.strip(".") and _HOST.fullmatch(word) else ""


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except (OSError, ValueError):  # an address can be too long for a path
        return False


def _lines(file: Path) -> Iterable[str]:
    """The lines of a file of targets. Raises `BadTarget` for a file that is not a list."""
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if number > _MAX_LINES or len(line) > _MAX_CHARACTERS:
                    raise BadTarget(f"{file}: more than {_MAX_LINES:,} lines, or a line that is too long ({number})")
                if line.strip() and not line.lstrip().startswith("#"):
                    yield line
    except UnicodeDecodeError as error:
        raise BadTarget(f"{file} is not a text file of targets: {error}") from None
