"""Names of repositories and commits, and the files below a source's folder that they come from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

#: Names a repository may have, such as `owner/name`. They become keys of parts.
REPO_NAME = re.compile(r"[A-Za-z0-9_.+~-]{1,100}(/[A-Za-z0-9_.+~-]{1,100}){1,6}", re.ASCII)
COMMIT_ID = re.compile(r"[0-9a-fA-F]{7,64}", re.ASCII)


def files_below(place: Path, endings: Iterable[str]) -> list[Path]:
    """The files below a folder whose names end like this, sorted; symbolic links are left out. A file is itself."""
    endings = tuple(endings)
    if place.is_file():
        return [place]
    found = (file for file in place.rglob("*") if file.name.lower().endswith(endings))
    return sorted(file for file in found if file.is_file() and not file.is_symlink())


def encode_location(folder: Path, place: Path) -> str:
    """The path of a place relative to its source's folder, as text that any table can hold.

    Bytes of a file name that are not UTF-8 are written as \\x and two hex digits: b"bad\\xff" becomes `bad\\xff`.
    """
    relative = place.relative_to(folder).as_posix() if place != folder else place.name
    return relative.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def decode_location(folder: Path, location: str) -> Path:
    """The place that `encode_location` made a location of."""
    place = folder / location
    if "\\x" in location and not os.path.lexists(place):
        return folder / re.sub(r"\\x([89a-f][0-9a-f])", lambda found: chr(0xDC00 + int(found[1], 16)), location)
    return place


def repo_name(source: str, relative: str, endings: Iterable[str]) -> str:
    """The repository's name for a path below a source's folder: `owner/name.tar.gz` is `owner/name`.

    A path without a folder gets the source's name as its owner. Characters that are not allowed become `-`.
    """
    ending = max((e for e in endings if relative.lower().endswith(e)), key=len, default="")
    name = relative[: len(relative) - len(ending)]
    name = re.sub(r"[^A-Za-z0-9_.+~/-]", "-", name)
    return name if "/" in name else f"{source}/{name}"
