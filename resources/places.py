"""Paths that libraries take for something else: makes the folder usable, or says why it is not.

Delta's kernel decodes the path of a local table once too often: it looks for the log of `/data/a%20lake` in
`/data/a lake`. SQLAlchemy, by which Dagster opens its SQLite files, does the same. A symbolic link of that name, beside
the folder, leads them to the right one. (delta-rs resolves links in the path that it is given, so a link with a simple
name elsewhere would not help.)
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

_ENCODED = re.compile("%[0-9A-Fa-f]{2}")


class PlaceError(RuntimeError):
    """A folder has a path that a library cannot read; the message says what to do."""


def make_readable(path: str, variable: str, refused: str = "\\") -> None:
    """Make everything below a local folder readable whatever characters its path has.

    Raises `PlaceError`, before anything is written, when this is not possible: for characters in `refused`, for control
    characters, and where a link cannot be made. `variable` names the environment variable that sets the folder.
    """
    path = os.path.realpath(path)
    if wrong := sorted({character for character in path if character in refused or ord(character) < 32}):
        raise PlaceError(f"{path!r} has the character {wrong[0]!r}, by which it cannot be opened. {_way_out(variable)}")
    parent = "/"
    for name in path.strip("/").split("/"):
        if _ENCODED.search(name):
            _link(parent, name, variable)
        parent = os.path.join(parent, name)


def _link(parent: str, name: str, variable: str) -> None:
    """Link the decoded name of a folder to the folder."""
    place = f"{os.path.join(parent, name)!r} has %XX in its name, which is read as an encoded character"
    try:
        decoded = unquote(name, errors="strict")
    except UnicodeDecodeError:
        decoded = "/"
    if "/" in decoded or "\0" in decoded:
        raise PlaceError(f"{place}. {_way_out(variable)}")
    link = os.path.join(parent, decoded)
    if _leads(link, name):
        return
    try:
        if os.path.islink(link) and not os.path.exists(link):
            os.unlink(link)  # it led to a folder that was moved away
        os.makedirs(parent, exist_ok=True)
        os.symlink(name, link)
    except FileExistsError:
        if not _leads(link, name):  # else another process has just made the link
            raise PlaceError(f"{place}, and {link!r} exists already. {_way_out(variable)}") from None
    except OSError as error:
        raise PlaceError(f"{place}; the link {link!r} to it cannot be made: {error}. {_way_out(variable)}") from error


def _leads(link: str, name: str) -> bool:
    return os.path.islink(link) and os.readlink(link) == name


def _way_out(variable: str) -> str:
    return f"Rename the folder, or set {variable} to another one."
