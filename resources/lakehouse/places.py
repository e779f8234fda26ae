"""The lake's place in the file system, where the libraries below take a path for something else.

Delta's kernel decodes the path of a local table once too often: it looks for the log of `/data/a%20lake` in
`/data/a lake`. A symbolic link of that name, beside the folder, leads it to the right one. delta-rs resolves links in
the path that it is given, so a link elsewhere would not help.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

from resources.contract import LakeError

_ENCODED = re.compile("%[0-9A-Fa-f]{2}")


def make_readable(root: str) -> None:
    """Make the tables below a local `root` readable whatever characters its path has, or raise a `LakeError` that says
    why this is not possible."""
    if "://" in root:
        return
    path = os.path.realpath(root)
    if "\\" in path or any(ord(character) < 32 for character in path):
        raise LakeError(
            f"the lake cannot lie at {path!r}: Delta cannot read a path with a backslash or a control character. "
            "Rename the folder, or set NEMOTRON_LAKE to another one."
        )
    parent = "/"
    for name in path.strip("/").split("/"):
        if _ENCODED.search(name):
            _link(parent, name)
        parent = os.path.join(parent, name)


def _link(parent: str, name: str) -> None:
    """Link the decoded name of a folder to the folder."""
    refused = (
        f"the lake cannot lie below {os.path.join(parent, name)!r}: Delta reads %XX in a path as an encoded character"
    )
    try:
        decoded = unquote(name, errors="strict")
    except UnicodeDecodeError:
        decoded = "/"
    if "/" in decoded or "\0" in decoded:
        raise LakeError(f"{refused}. Rename the folder, or set NEMOTRON_LAKE to another one.")
    link = os.path.join(parent, decoded)
    if os.path.islink(link) and os.readlink(link) == name:
        return
    try:
        if os.path.islink(link) and not os.path.exists(link):
            os.unlink(link)  # it led to a folder that was moved away
        os.symlink(name, link)
    except FileExistsError:
        if not (os.path.islink(link) and os.readlink(link) == name):  # another process has just made the link
            raise LakeError(f"{refused}, and {link!r} exists already. Rename one of the two folders.") from None
    except OSError as error:
        raise LakeError(
            f"{refused}; the link {link!r} that leads it to the folder cannot be made: {error}. Rename the folder, or "
            "set NEMOTRON_LAKE to another one."
        ) from error
