"""Parse debian/copyright: its stanzas say which files are under which licence (copyright-format 1.0, REUSE's dep5).

Also translates Debian's short names of licences ("Expat", "GPL-2+ or Artistic") into SPDX expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from nemotron_assets.code.licences import globs
from nemotron_assets.code.terms.expressions import is_spdx, join_all, join_any, parse

MAX_STANZAS = 2_000
_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*)$")
_SPDX = {
    "expat": "MIT", "mit": "MIT", "mit/x11": "MIT", "mit/expat": "MIT", "apache-2": "Apache-2.0", "apache": "",
    "apache-2.0": "Apache-2.0", "apache 2.0": "Apache-2.0", "asl-2": "Apache-2.0", "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause", "bsd-4-clause": "BSD-4-Clause", "bsd": "", "bsd-2": "BSD-2-Clause",
    "bsd-3": "BSD-3-Clause", "boost-1.0": "BSL-1.0", "bsl-1.0": "BSL-1.0", "boost": "BSL-1.0", "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0", "isc": "ISC", "zlib": "Zlib", "zlib/libpng": "Zlib", "x11": "X11", "wtfpl": "WTFPL",
    "wtfpl-2": "WTFPL", "unlicense": "Unlicense", "postgresql": "PostgreSQL", "ncsa": "NCSA",
    "python": "Python-2.0", "python-2.0": "Python-2.0", "psf": "PSF-2.0", "psf-2": "PSF-2.0",
    "psfl": "PSF-2.0", "artistic": "Artistic-1.0-Perl", "artistic-1": "Artistic-1.0-Perl", "artistic-2": "Artistic-2.0",
    "perl": "Artistic-1.0-Perl OR GPL-1.0-or-later", "public-domain": "LicenseRef-scancode-public-domain",
    "public domain": "LicenseRef-scancode-public-domain", "mpl": "MPL-2.0", "openssl": "OpenSSL", "ofl-1.1": "OFL-1.1",
    "gpl": "GPL-1.0-or-later", "lgpl": "LGPL-2.0-or-later", "permissive": "LicenseRef-scancode-other-permissive",
    "gfdl": "GFDL-1.1-or-later",
}  # fmt: skip
_VERSIONED = re.compile(
    r"(?i)^(gpl|lgpl|agpl|gfdl|mpl|epl|cddl|artistic|lppl|efl|qpl|cpl|zpl|cecill(?:-[abc])?|ofl|cc-by(?:-[a-z-]+)?)"
    r"[- ]?v?([0-9]+(?:\.[0-9]+)*)(\+?)$"
)


@dataclass(frozen=True)
class Stanza:
    """One stanza about files: `patterns` of paths, the `name` and `text` of the licence (either may be empty), and the
    lines `start` to `end` of debian/copyright. `texts` are the licence texts of all stanzas by name in lower case."""

    patterns: tuple[str, ...]
    name: str
    text: str
    start: int
    end: int
    texts: dict[str, str] = field(default_factory=dict, hash=False, repr=False)

    def matches(self, path: str) -> bool:
        """Whether the stanza is about the file at `path` (relative to the folder above debian/)."""
        return any(globs.debian(pattern).matches(path) for pattern in self.patterns)

    @property
    def everything(self) -> bool:
        """Whether the stanza is about all files ("Files: *")."""
        return "*" in self.patterns or "./*" in self.patterns


def parse_stanzas(text: str) -> list[Stanza] | None:
    """The stanzas about files of a machine-readable copyright file; None for a file in free form."""
    paragraphs = list(_paragraphs(text))
    header = next((fields for fields, _, _ in paragraphs[:1]), {})
    if not any("files" in fields for fields, _, _ in paragraphs) or not (
        {"format", "format-specification"} & set(header) or "files" in header
    ):
        return None
    texts = {}
    for fields, _, _ in paragraphs:
        name, _, body = fields.get("license", "").partition("\n")
        if body.strip():
            texts.setdefault(name.strip().lower(), body)
    found = []
    for fields, start, end in paragraphs[:MAX_STANZAS]:
        if "files" not in fields:
            continue
        name, _, body = fields.get("license", "").partition("\n")
        patterns = re.split(r"[\s,]+", fields["files"].strip())
        found.append(
            Stanza(
                tuple(filter(None, patterns)),
                name.strip(),
                body or texts.get(name.strip().lower(), ""),
                start,
                end,
                texts,
            )
        )
    return found


def _paragraphs(text: str) -> Iterator[tuple[dict[str, str], int, int]]:
    """The paragraphs of the file: fields by name in lower case, first line, last line."""
    fields: dict[str, str] = {}
    name, start, number = "", 1, 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            if fields:
                yield fields, start, number - 1
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                body = line.strip()
                fields[name] += "\n" + ("" if body == "." else body)
        elif line[0] != "#" and (match := _FIELD.match(line)):
            if not fields:
                start = number
            name = match[1].lower()
            fields[name] = match[2].strip()
        else:
            name = ""
    if fields:
        yield fields, start, number


def find_stanza(stanzas: Iterable[Stanza], path: str) -> Stanza | None:
    """The stanza that holds for a file: the last that matches its path, as the format says."""
    return next((stanza for stanza in reversed(list(stanzas)) if stanza.matches(path)), None)


def to_spdx(name: str, unknown: Callable[[str], str] = lambda name: "") -> str:
    """The SPDX expression of a Debian licence name ("GPL-2+ or Artistic"); empty if the name is not known.

    `unknown` is asked for the expression of a single name that only this file defines, perhaps by a text.
    """
    name = " ".join(name.split())
    if not name or len(name) > 300:
        return ""
    if re.search(r"(?i)\sor\s", name) or re.search(r"(?i)(,|\s)and\s", name):
        # "and" binds closer than "or", unless a comma stands before it: "A or B, and C" is (A or B) and C.
        for splitter, join in (
            (r"(?i),\s*and\s+", join_all),
            (r"(?i),?\s+or\s+", join_any),
            (r"(?i)\s+and\s+", join_all),
        ):
            pieces = re.split(splitter, name)
            if len(pieces) > 1:
                parts = [to_spdx(piece.strip(" ,"), unknown) for piece in pieces]
                return join(parts) if all(parts) else ""
    lowered = name.lower()
    if lowered in _SPDX:
        return _SPDX[lowered] or unknown(name)
    if " with " in lowered:
        return unknown(name)
    if match := _VERSIONED.match(lowered):
        family, version, plus = match[1].upper(), match[2], match[3]
        if family in ("GPL", "LGPL", "AGPL", "GFDL"):
            version = {"GFDL": "1.1"}.get(family, f"{version}.0") if "." not in version else version
            return f"{family}-{version}-{'or-later' if plus else 'only'}"
        version = version if "." in version else f"{version}.0"
        candidate = f"{match[1].upper()}-{version}"
        return candidate if is_spdx(candidate) else unknown(name)
    tree = parse(name) if is_spdx(name) else None
    return str(tree) if tree is not None else unknown(name)


#: Words about the packaging in a copyright file in free form. Its licence is not that of the packaged files.
_PACKAGING = re.compile(
    r"(?i)\b(debian packag|packaging is|packaging files|files in debian/|debian/\*|this package was debianized)"
)
_POINTER = re.compile(r"(?i)/usr/share/common-licenses|on debian systems|on debian gnu")


def without_packaging(text: str) -> str:
    """A copyright file in free form without the paragraphs about the licence of the packaging."""
    paragraphs, kept, skipping = re.split(r"\n[ \t]*\n", text), [], False
    for paragraph in paragraphs:
        if _PACKAGING.search(paragraph) and re.search(r"(?i)licen[sc]|gpl|copyright", paragraph):
            skipping = True
            continue
        if skipping and re.search(r"(?i)^\s*(upstream|license|copyright|files)\b", paragraph):
            skipping = False
        if not skipping:
            kept.append(
                "" if _POINTER.search(paragraph) and not re.search(r"(?i)licensed under", paragraph) else paragraph
            )
    return "\n\n".join(kept)
