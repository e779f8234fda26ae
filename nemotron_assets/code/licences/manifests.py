"""Read the licence field of package manifests (package.json, setup.py, DESCRIPTION ...). Manifests are never executed.

The answer is an SPDX expression, or the words of the field if they are not one; the licence library then reads them. A
manifest that cannot be parsed counts as one without a licence.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nemotron_assets.code.licences.debian import to_spdx as debian_name_to_spdx
from nemotron_assets.code.terms.expressions import is_spdx, join_all, join_any, parse

MAX_CHARACTERS = 400_000
#: Kinds of manifests that are only data. The other kinds are programs, and may have a licence header of their own.
ONLY_DATA = frozenset({
    "npm", "composer", "cargo", "pyproject", "setup.cfg", "pkg-info", "cran", "pom", "cpan", "cpan-yaml", "hpack",
    "cabal", "nuspec", "reuse",
})  # fmt: skip


@dataclass(frozen=True)
class Declared:
    """The licence that a manifest declares: an SPDX `expression`, or the `words` of the field; `line` is where, from 1.

    `closed` is set if the manifest says that nobody has a licence (npm's "UNLICENSED").
    """

    expression: str = ""
    words: str = ""
    line: int = 1
    closed: bool = False


def read(kind: str, text: str) -> Declared | None:
    """What a manifest declares; None if it names no licence. `kind` is that of `paths.manifest_kind`."""
    text = text[:MAX_CHARACTERS]
    try:
        found = _READERS[kind](text) if kind in _READERS else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, IndexError):
        return None
    if not found:
        return None
    return _declared(found, _licence_line(text))


def _licence_line(text: str) -> int:
    match = re.search(r"(?i)licen[sc]e", text)
    return text.count("\n", 0, match.start()) + 1 if match else 1


def _declared(value: str | tuple[str, ...], line: int) -> Declared | None:
    """What the value of a licence field declares. Several names leave the choice between them."""
    names = (value,) if isinstance(value, str) else value
    names = tuple(" ".join(str(name).split()) for name in names)
    if any(name.upper() in ("UNLICENSED", "PROPRIETARY", "NONE", "ALL RIGHTS RESERVED") for name in names):
        return Declared(words=names[0], line=line, closed=True)
    names = tuple(
        name
        for name in names
        if name and not re.match(r"(?i)see licen[sc]e|file:? ?licen[sc]e|licen[sc]e(\.(txt|md|rst))?$", name)
    )
    if not names:
        return None
    expressions = [_spdx(name) for name in names]
    if all(expressions):
        return Declared(join_any(expressions), line=line)
    return Declared(words="License: " + " or ".join(names)[:1_000], line=line)


def _spdx(name: str) -> str:
    """A licence name or expression as SPDX; empty if it is not known. Cargo's old form "MIT/Apache-2.0" means OR."""
    if len(name) > 1_000:
        return ""
    candidate = re.sub(r"\s*/\s*", " OR ", name) if re.fullmatch(r"[\w.+-]+(\s*/\s*[\w.+-]+)+", name) else name
    if is_spdx(candidate):
        return str(parse(candidate))
    spelled = _CLASSIFIERS.get(name) or _SPELLED.get(re.sub(r"[^a-z0-9]+", "", name.lower()))
    return spelled or debian_name_to_spdx(name)


#: Names that manifests use, without spaces and signs; "BSD" and "GPL" alone name no version.
_SPELLED = {
    "mitlicense": "MIT", "themitlicense": "MIT", "themitlicensemit": "MIT", "mitlicence": "MIT",
    "apache2": "Apache-2.0", "apachelicense20": "Apache-2.0", "apachelicenseversion20": "Apache-2.0",
    "apache20": "Apache-2.0",
    "theapachesoftwarelicenseversion20": "Apache-2.0", "theapachelicenseversion20": "Apache-2.0", "asl20": "Apache-2.0",
    "apachesoftwarelicense20": "Apache-2.0", "apachev2": "Apache-2.0", "newbsd": "BSD-3-Clause",
    "bsd3": "BSD-3-Clause", "bsd3clause": "BSD-3-Clause", "3clausebsd": "BSD-3-Clause", "newbsdlicense": "BSD-3-Clause",
    "modifiedbsdlicense": "BSD-3-Clause", "bsd2": "BSD-2-Clause", "bsd2clause": "BSD-2-Clause",
    "2clausebsd": "BSD-2-Clause",
    "simplifiedbsd": "BSD-2-Clause", "isclicense": "ISC", "isclicenseiscl": "ISC", "zliblicense": "Zlib",
    "boostsoftwarelicense10": "BSL-1.0", "publicdomain": "LicenseRef-scancode-public-domain",
    "mpl20": "MPL-2.0", "mozillapubliclicense20mpl20": "MPL-2.0", "gplv2": "GPL-2.0-only", "gplv3": "GPL-3.0-only",
    "gplv2orlater": "GPL-2.0-or-later", "gplv3orlater": "GPL-3.0-or-later", "gnugplv3": "GPL-3.0-only",
    "lgplv3": "LGPL-3.0-only",
}  # fmt: skip
_CLASSIFIERS = {
    "MIT License": "MIT", "MIT No Attribution License (MIT-0)": "MIT-0", "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC", "zlib/libpng License": "Zlib", "The Unlicense (Unlicense)": "Unlicense",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "Python Software Foundation License": "PSF-2.0", "BSD License": "BSD-3-Clause",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only", "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Library or Lesser General Public License (LGPL)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only", "Other/Proprietary License": "UNLICENSED",
}  # fmt: skip


def _classifiers(text: str) -> tuple[str, ...]:
    """The SPDX ids of Python's licence classifiers. "BSD License" and "Apache Software License" name no version and are
    read as ScanCode reads them."""
    names = re.findall(r"License :: (?:OSI Approved :: )?([^\"'\n\r\]]+?)\s*(?=[\"'\n\r\]]|$)", text)
    return tuple(dict.fromkeys(filter(None, (_CLASSIFIERS.get(name.strip(), "") for name in names))))


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("type") or value.get("name") or value.get("text") or "")
    return value if isinstance(value, str) else ""


def _npm(text: str):
    data = json.loads(text)
    found = data.get("license") or data.get("licence") or data.get("licenses")
    return tuple(filter(None, map(_value, found))) if isinstance(found, list) else _value(found)


def _composer(text: str):
    found = json.loads(text).get("license")
    return tuple(map(str, found)) if isinstance(found, list) else _value(found)


def _cargo(text: str):
    found = tomllib.loads(text).get("package", {}).get("license")
    return found if isinstance(found, str) else None


def _pyproject(text: str):
    data = tomllib.loads(text)
    for table in (data.get("project", {}), data.get("tool", {}).get("poetry", {})):
        found = table.get("license")
        if isinstance(found, dict):
            found = found.get("text")
        if isinstance(found, str) and len(found) < 300:
            return found
        names = _classifiers("\n".join(map(str, table.get("classifiers", []))))
        if names:
            return join_all(names)
    return None


def _setup_py(text: str):
    match = re.search(r"\blicen[sc]e\s*=\s*(?:[ubr]?)(['\"])(.{1,200}?)\1", text)
    return match[2] if match else join_all(_classifiers(text))


def _setup_cfg(text: str):
    match = re.search(r"(?m)^licen[sc]e\s*[=:]\s*(.{1,200})$", text)
    return match[1] if match else join_all(_classifiers(text))


def _pkg_info(text: str):
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    if not re.search(r"(?m)^Metadata-Version:", head):
        return None
    for field in ("License-Expression", "License"):
        match = re.search(rf"(?m)^{field}:[ \t]*(\S.{{0,1000}}?)\r?$(?!\n[ \t])", head)
        if match and match[1] != "UNKNOWN":
            return match[1]
    return join_all(_classifiers(head))


def _cran(text: str):
    """The licence field of R's DESCRIPTION: "GPL (>= 2) | MIT + file LICENSE"."""
    if not re.search(r"(?m)^Package:", text):
        return None
    match = re.search(r"(?m)^License:[ \t]*(.+(?:\n[ \t]+.+)*)", text)
    if not match:
        return None
    choices = [re.sub(r"\s*\+\s*file\s+LICEN[CS]E", "", choice).strip() for choice in match[1].split("|")]
    names = {"MIT": "MIT", "BSD_2_clause": "BSD-2-Clause", "BSD_3_clause": "BSD-3-Clause", "CC0": "CC0-1.0",
             "Apache License (== 2.0)": "Apache-2.0", "Apache License 2.0": "Apache-2.0",
             "Apache License (>= 2)": "Apache-2.0",
             "Apache License (>= 2.0)": "Apache-2.0", "BSL": "BSL-1.0", "BSL-1.0": "BSL-1.0"}  # fmt: skip
    found = []
    for choice in choices:
        plus = re.fullmatch(r"(A?L?GPL) ?\((>=|==) ?([0-9.]+)\)", choice)
        name = f"{plus[1]}-{plus[3]}{'+' if plus[2] == '>=' else ''}" if plus else names.get(choice, choice)
        if name and not name.startswith("file "):
            found.append(debian_name_to_spdx(name) or name)
    return tuple(found)


def _pom(text: str):
    block = re.search(r"(?s)<licenses>(.{0,5000}?)</licenses>", text)
    return tuple(re.findall(r"<name>\s*([^<]{1,200}?)\s*</name>", block[1])) if block else None


def _cpan(text: str):
    found = json.loads(text).get("license")
    names = tuple(found) if isinstance(found, list) else (_value(found),)
    return tuple(_CPAN.get(name, name) for name in names if name not in ("unknown", "open_source"))


def _cpan_yaml(text: str):
    match = re.search(r"(?m)^license:\s*['\"]?(\w+)", text)
    return _CPAN.get(match[1], match[1]) if match and match[1] != "unknown" else None


_CPAN = {"perl_5": "Artistic-1.0-Perl OR GPL-1.0-or-later", "perl": "Artistic-1.0-Perl OR GPL-1.0-or-later",
         "apache_2_0": "Apache-2.0", "mit": "MIT", "bsd": "BSD-3-Clause", "freebsd": "BSD-2-Clause",
         "artistic_2": "Artistic-2.0",
         "gpl_2": "GPL-2.0-only", "gpl_3": "GPL-3.0-only", "lgpl_2_1": "LGPL-2.1-only", "lgpl_3_0": "LGPL-3.0-only",
         "restricted": "UNLICENSED", "unrestricted": "", "zlib": "Zlib"}  # fmt: skip


def _field(pattern: str) -> Callable[[str], str | tuple[str, ...] | None]:
    compiled = re.compile(pattern)

    def find(text: str):
        match = compiled.search(text)
        return match[1].strip().strip("'\"") if match else None

    return find


def _gemspec(text: str):
    match = re.search(
        r"\.licenses?\s*=\s*(\[[^\]]{0,300}\]|%w\[[^\]]{0,300}\]|['\"][^'\"\n]{1,200}['\"]|\{[^}]{0,300}\})", text
    )
    if not match:
        return None
    if match[1].startswith("%w"):
        return tuple(match[1][3:-1].split())
    if match[1].startswith("{"):
        return (re.findall(r":type\s*=>\s*['\"]([^'\"]+)", match[1]) or [None])[0]
    return tuple(re.findall(r"['\"]([^'\"]{1,200})['\"]", match[1]))


def _hpack(text: str):
    return _cabal_name(_field(r"(?m)^license:\s*(\S.{0,100})$")(text))


def _cabal(text: str):
    return _cabal_name(_field(r"(?im)^license:\s*(\S.{0,100}?)\s*$")(text))


def _cabal_name(name: str | None):
    return {
        "BSD3": "BSD-3-Clause",
        "BSD2": "BSD-2-Clause",
        "AllRightsReserved": "UNLICENSED",
        "OtherLicense": "",
        "PublicDomain": "LicenseRef-scancode-public-domain",
    }.get(name or "", name)


_READERS: dict[str, Callable[[str], Any]] = {
    "npm": _npm, "composer": _composer, "cargo": _cargo, "pyproject": _pyproject, "setup.py": _setup_py,
    "setup.cfg": _setup_cfg, "pkg-info": _pkg_info, "cran": _cran, "pom": _pom, "cpan": _cpan, "cpan-yaml": _cpan_yaml,
    "hpack": _hpack, "gemspec": _gemspec, "cabal": _cabal,
    "nuspec": _field(r"<license type=\"expression\">\s*([^<]{1,200})</license>"),
    "rockspec": _field(r"\blicense\s*=\s*(\"[^\"\n]{1,200}\"|'[^'\n]{1,200}')"),
    "opam": _field(r"(?m)^license:\s*(\"[^\"\n]{1,200}\")"),
}  # fmt: skip


def read_reuse(text: str) -> list[tuple[tuple[str, ...], str, bool]]:
    """The annotations of a REUSE.toml: path patterns, SPDX expression, and whether it overrides the files' headers."""
    try:
        annotations = tomllib.loads(text[:MAX_CHARACTERS]).get("annotations", [])
        found = []
        for one in annotations[:2_000]:
            paths, licence = one["path"], one["SPDX-License-Identifier"]
            paths = (paths,) if isinstance(paths, str) else tuple(map(str, paths))
            licence = licence if isinstance(licence, str) else join_all(licence)
            found.append((paths, licence, one.get("precedence") == "override"))
        return found
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
