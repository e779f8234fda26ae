"""What the name of a file tells: licence text, notice, package manifest, README; whose copy a folder is."""

from __future__ import annotations

import re
from posixpath import basename, dirname

#: LICENSE, licence.txt, LICENSE-MIT, MIT-LICENSE.txt, COPYING.LESSER, UNLICENSE, copyright, license.apache2 ...
_LICENCE = re.compile(
    r"(?i)^(?:(?:[a-z0-9.]+[-_. ])?(?:un)?licen[sc]es?|copying(?:v?[0-9])?|copyright|patents|eula|legal)"
    r"(?:[-_. ]?[a-z0-9.+-]+)?$"
)
_NO_TEXT = re.compile(
    r"(?i)\.(?!(?:txt|md|markdown|rst|adoc|html?|lesser|lib|gpl.*|lgpl.*|mit|bsd.*|apache.*|mpl.*|isc|asl|zlib|boost"
    r"|[0-9]+)$)[a-z][a-z0-9+-]*$"
)
_NOTICE = re.compile(
    r"(?i)^(?:notices?|(?:third|3rd)[-_ .]?part(?:y|ies)[-_ .a-z]*|authors|contributors)(?:\.[a-z]+)?$"
)
_README = re.compile(r"(?i)^readme(?:[-_.][a-z0-9.]+)?$")
#: Folders that hold the licences of what they stand in.
_LICENCE_FOLDERS = frozenset({"license", "licenses", "licence", "licences", "legal", "licensing", "copyright"})
_DOC_FOLDERS = frozenset({"doc", "docs", "documentation"})
#: Folders of other people's code; the repository's licence does not reach into them.
VENDORED = re.compile(
    r"(?i)(?:^|/)(?:third[-_]?party|3rd[-_]?party|3p|vendor|vendors|vendored|_vendor|node_modules|bower_components"
    r"|jspm_packages|externals?|extern|ext[-_]?libs?|pods|carthage|godeps|site-packages|thirdparties)/"
)
#: What pip knows of a package: pkg/_vendor/six-1.16.0.dist-info, which stands beside six.py or six/.
_INSTALLED = re.compile(r"((?:.*/)?)([^/-]+)-[^/]+\.(?:dist|egg)-info$")
_MANIFESTS = {
    "package.json": "npm", "bower.json": "npm", "composer.json": "composer", "cargo.toml": "cargo",
    "pyproject.toml": "pyproject", "setup.py": "setup.py", "setup.cfg": "setup.cfg", "pkg-info": "pkg-info",
    "metadata": "pkg-info", "description": "cran", "pom.xml": "pom", "meta.json": "cpan", "meta.yml": "cpan-yaml",
    "package.yaml": "hpack", "pubspec.yaml": "none", "reuse.toml": "reuse",
}  # fmt: skip
_MANIFEST_ENDINGS = {".gemspec": "gemspec", ".cabal": "cabal", ".nuspec": "nuspec", ".rockspec": "rockspec",
                     ".podspec": "gemspec", ".opam": "opam"}  # fmt: skip


def is_licence(path: str) -> bool:
    """Whether a file's name is that of a licence text (LICENSE, COPYING.LESSER, MIT-LICENSE.txt, copyright)."""
    name = basename(path)
    if is_readme(path):
        return False
    if not _LICENCE.match(name) or _NO_TEXT.search(name) or is_debian(path):
        # A text in a folder of licences is one whatever it is called: LICENSES/MIT.txt.
        return basename(dirname(path)).lower() in _LICENCE_FOLDERS and not _NO_TEXT.search(name) and not is_notice(path)
    return True


#: Names that nothing but a licence has; "create-license-form.txt" is one only if a licence stands in it.
_PLAIN = re.compile(
    r"(?i)^(?:(?:un)?licen[sc]es?|copying(?:v?[0-9])?|copyright|eula"
    r"|(?:mit|bsd|apache|gpl|lgpl|mpl|isc|zlib)[-_. ]licen[sc]e)"
    r"(?:[-_. ]?(?:txt|md|markdown|rst|adoc|html?|lesser|lib|mit|bsd|apache|mpl|isc|gpl|lgpl|[0-9.-]+|v[0-9.]+))*$"
)
_BUNDLED = re.compile(
    r"(?i)(third|3rd)[-_. ]?part(y|ies)|bundled|external|vendored|dependenc|components|^licen[sc]es\b"
    r"|[-_. ]cc[-_. ]?by\b"
)
#: LICENSE-docs, image_LICENSE, MODEL_LICENSE: not of the code, but of what the word names.
_PARTS = (
    "docs?|documentation|examples?|data|datasets?|models?|weights|images?|icons?|logos?|fonts?|assets?|media|art|artwork"
    "|sounds?|music"
)
_PART = re.compile(rf"(?i)(?:^|[-_. ])({_PARTS})(?=[-_. ]|$)")
_PART_IN_WORDS = re.compile(rf"(?i)\b(?:{_PARTS})\b")


def is_plain_licence(path: str) -> bool:
    """Whether a file's name is that of a licence and nothing else, so that what it says must be known."""
    return bool(_PLAIN.match(basename(path)))


def names_a_licence(path: str) -> bool:
    """Whether the name of a licence text says which licence it is: OFL-License.txt, LICENSE.MIT."""
    return bool(
        re.sub(r"(?i)(?:un)?licen[sc]es?|copying|copyright|\.(?:txt|md|markdown|rst|html?)$|\W|_", "", basename(path))
    )


def is_bundled_licence(path: str) -> bool:
    """Whether a licence text is by its name that of somebody else's work, of which parts are included: one in a folder
    of licences, LICENSE.third-party, LICENSES beside a LICENSE, or that of a part (LICENSE-docs)."""
    if dirname(path) != scope(path) and not is_debian(path):
        return True
    return bool(_BUNDLED.search(basename(path)) or _PART.search(basename(path)))


def names_a_part(line: str) -> bool:
    """Whether a line speaks of the logo, the documentation or the like."""
    return bool(_PART_IN_WORDS.search(line))


def part_folders(path: str) -> list[str]:
    """The folders that a licence text of a part speaks for, where they exist: LICENSE-docs for doc/ and docs/ beside
    it. None for other texts."""
    match = _PART.search(basename(path))
    if not match:
        return []
    word = match[1].lower().removesuffix("s")
    names = _DOC_FOLDERS if word in _DOC_FOLDERS else (word, word + "s")
    return [f"{scope(path)}/{name}".lstrip("/") for name in sorted(names)]


def is_notice(path: str) -> bool:
    """Whether a file names others whose work is included (NOTICE): to be passed on, but no licence."""
    return bool(_NOTICE.match(basename(path)))


def is_readme(path: str) -> bool:
    return bool(_README.match(basename(path)))


def is_debian(path: str) -> bool:
    """Whether a file is a Debian copyright file, or one that REUSE writes the same way."""
    return path.endswith(("debian/copyright", ".reuse/dep5")) and path.removesuffix("debian/copyright").removesuffix(
        ".reuse/dep5"
    ).endswith(("", "/"))


def manifest_kind(path: str) -> str | None:
    """Which package manifest a file is, by its name; None for other files."""
    name = basename(path).lower()
    if name in _MANIFESTS:
        return _MANIFESTS[name]
    return next((kind for ending, kind in _MANIFEST_ENDINGS.items() if name.endswith(ending)), None)


def scope(path: str) -> str:
    """The folder that a licence text, manifest or README at `path` speaks for, "" for the root: the one it stands in,
    or the one above where that is a folder of licences or debian/."""
    folder = dirname(path)
    while folder and basename(folder).lower() in _LICENCE_FOLDERS | {"debian", ".reuse"}:
        folder = dirname(folder)
    return folder


def installed(folder: str) -> str | None:
    """The folder or module that pip's notes on a package (six-1.16.0.dist-info) are about; None for other folders."""
    match = _INSTALLED.match(folder)
    return (f"{match[1]}{match[2]}" if match[1] else "") if match else None


def in_docs(path: str) -> bool:
    return any(part.lower() in _DOC_FOLDERS for part in dirname(path).split("/"))


def folders(path: str) -> list[str]:
    """The folders a file is in, the nearest first, the root ("") last."""
    found, folder = [], dirname(path)
    while folder:
        found.append(folder)
        folder = dirname(folder)
    return [*found, ""]


def vendored_root(path: str) -> str | None:
    """The innermost folder of other people's code that a file is in ("third_party"), or None."""
    matches = list(VENDORED.finditer(path))
    return path[: matches[-1].end() - 1] if matches else None
