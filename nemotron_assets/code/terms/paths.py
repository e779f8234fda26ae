"""Tell by its path whether a file is a licence text, notice, manifest or README, and which folder it speaks for."""

from __future__ import annotations

import re
from posixpath import basename, dirname

#: LICENSE, licence.txt, LICENSE-MIT, MIT-LICENSE.txt, COPYING.LESSER, UNLICENSE, copyright, license.apache2 ...
_LICENCE = re.compile(
    r"(?i)^(?:(?:[a-z0-9.]+[-_. ])?(?:un)?licen[sc]es?|copying(?:v?[0-9])?|copyright|patents|eula|legal)"
    r"(?:[-_. ]?[a-z0-9.+-]+)?$"
)
#: Endings of files that are not texts: LICENSE.png, license.py.
_NO_TEXT = re.compile(
    r"(?i)\.(?!(?:txt|md|markdown|rst|adoc|html?|lesser|lib|gpl.*|lgpl.*|mit|bsd.*|apache.*|mpl.*|isc|asl|zlib|boost"
    r"|[0-9]+)$)[a-z][a-z0-9+-]*$"
)
_NOTICE = re.compile(
    r"(?i)^(?:notices?|(?:third|3rd)[-_ .]?part(?:y|ies)[-_ .a-z]*|authors|contributors)(?:\.[a-z]+)?$"
)
#: Texts that add terms to a licence: TERMS.md, ADDITIONAL_TERMS, COMMONS-CLAUSE.md, NO-AI.md, USE_POLICY.md.
_TERMS = re.compile(
    r"(?i)^(?:(?:additional|extra|supplement(?:al|ary)|special|usage|use|commercial|enterprise|legal|licen[sc]e)"
    r"[-_. ])?"
    r"(?:terms|conditions|restrictions?|rider|addendum|commons[-_. ]?clause|(?:no[-_. ]?|non[-_. ])?commercial"
    r"|no[-_. ]?(?:ai|ml|llms?|machine[-_. ]learning)(?:[-_. ]?training)?|do[-_. ]not[-_. ]train|tdm[-_. ]policy"
    r"|acceptable[-_. ]use"
    r"|(?:acceptable[-_. ])?(?:ai|use|usage)[-_. ](?:policy|restrictions?|terms))"
    r"(?:[-_. ](?:of[-_. ](?:use|service)|and[-_. ]conditions|conditions|license|licence))?"
    r"(?:\.(?:txt|md|markdown|rst|html?))?$"
)
#: Texts of the terms of an edition or of another agreement: LICENSE_EE.md, ENTERPRISE-LICENSE.txt, LICENSE-COMMERCIAL.
_OTHER_LICENCE = re.compile(
    r"(?i)^(?:(?:licen[sc]es?|copying|eula)[-_. ][a-z0-9.+-]+|[a-z0-9.]+[-_. ](?:licen[sc]es?|eula))"
    r"(?:\.(?:txt|md|rst))?$"
)
#: Words in the names of files that only have to do with licences: license-header.txt, create-license-form.txt.
_ABOUT_A_LICENCE = re.compile(
    r"(?i)(?:^|[-_. ])(?:header|head|template|check\w*|test\w*|generat\w*|creat\w*|add|get|list|report|example|sample|"
    r"info|key|server|plugin|form|finder|tool|script|summary|stub|preamble|faq|model|accept\w*|update|view|notes?)"
    r"(?=[-_. ]|$)"
)
_README = re.compile(r"(?i)^readme(?:[-_.][a-z0-9.]+)?$")
#: Names of folders that hold the licences of the folder above them.
_LICENCE_FOLDERS = frozenset({"license", "licenses", "licence", "licences", "legal", "licensing", "copyright"})
_DOC_FOLDERS = frozenset({"doc", "docs", "documentation"})
#: Folders of third-party code. The licence of the repository does not hold in them.
VENDORED = re.compile(
    r"(?i)(?:^|/)(?:third[-_]?party|3rd[-_]?party|3p|vendor|vendors|vendored|_vendor|node_modules|bower_components"
    r"|jspm_packages|externals?|extern|ext[-_]?libs?|pods|carthage|godeps|site-packages|thirdparties)/"
)
#: The folder in which pip describes an installed package: _vendor/six-1.16.0.dist-info, beside six.py or six/.
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
        # In a folder of licences every text is a licence text: LICENSES/MIT.txt.
        return basename(dirname(path)).lower() in _LICENCE_FOLDERS and not _NO_TEXT.search(name) and not is_notice(path)
    return True


#: Names that only licence texts have. "create-license-form.txt" may be anything, and counts only if a licence is in it.
_PLAIN = re.compile(
    r"(?i)^(?:(?:un)?licen[sc]es?|copying(?:v?[0-9])?|copyright|eula"
    r"|(?:mit|bsd|apache|gpl|lgpl|mpl|isc|zlib)[-_. ]licen[sc]e)"
    r"(?:[-_. ]?(?:txt|md|markdown|rst|adoc|html?|lesser|lib|mit|bsd|apache|mpl|isc|gpl|lgpl|[0-9.-]+|v[0-9.]+))*$"
)
_BUNDLED = re.compile(
    r"(?i)(third|3rd)[-_. ]?part(y|ies)|bundled|external|vendored|dependenc|components|^licen[sc]es\b"
    r"|[-_. ]cc[-_. ]?by\b"
)
#: Words that say of which part a text is the licence: LICENSE-docs, image_LICENSE, MODEL_LICENSE.
_PARTS = (
    "docs?|documentation|examples?|data|datasets?|models?|weights|images?|icons?|logos?|fonts?|assets?|media|art|artwork"
    "|sounds?|music"
)
_PART = re.compile(rf"(?i)(?:^|[-_. ])({_PARTS})(?=[-_. ]|$)")
_PART_IN_WORDS = re.compile(rf"(?i)\b(?:{_PARTS})\b")


def is_plain_licence(path: str) -> bool:
    """Whether only a licence text can have the file's name (LICENSE, COPYING.txt). A person must read it if the library
    does not know it."""
    return bool(_PLAIN.match(basename(path)))


def names_a_licence(path: str) -> bool:
    """Whether the name of a licence text names the licence: OFL-License.txt, LICENSE.MIT."""
    return bool(
        re.sub(r"(?i)(?:un)?licen[sc]es?|copying|copyright|\.(?:txt|md|markdown|rst|html?)$|\W|_", "", basename(path))
    )


def is_bundled_licence(path: str) -> bool:
    """Whether a licence text is, by its path, that of a bundled work or of a part: LICENSES/other.txt,
    LICENSE.third-party, LICENSE-docs."""
    if dirname(path) != scope(path) and not is_debian(path):
        return True
    return bool(_BUNDLED.search(basename(path)) or _PART.search(basename(path)))


def names_a_part(line: str) -> bool:
    """Whether a line is about a part such as the logo or the documentation."""
    return bool(_PART_IN_WORDS.search(line))


def part_folders(path: str) -> list[str]:
    """The folders that the licence text of a part speaks for, whether they exist or not: doc, docs and documentation
    beside LICENSE-docs. Empty for other texts."""
    match = _PART.search(basename(path))
    if not match:
        return []
    word = match[1].lower().removesuffix("s")
    names = _DOC_FOLDERS if word in _DOC_FOLDERS else (word, word + "s")
    return [f"{scope(path)}/{name}".lstrip("/") for name in sorted(names)]


def is_notice(path: str) -> bool:
    """Whether a file credits the authors of included work (NOTICE). It must be passed on, and grants nothing."""
    return bool(_NOTICE.match(basename(path)))


def is_credits(path: str) -> bool:
    """Whether a file is a NOTICE about the work itself, not one about third parties, authors or contributors."""
    return basename(path).lower().startswith("notice") and is_notice(path)


def adds_terms(path: str) -> bool:
    """Whether a text adds terms to the licence of its folder, by its name: TERMS.md, COMMONS-CLAUSE.md, NO-AI.md."""
    return bool(_TERMS.match(basename(path))) and not in_docs(path)


def is_other_licence(path: str) -> bool:
    """Whether a text holds the terms of an edition or of another agreement, by its name: LICENSE_EE.md."""
    name = basename(path)
    return bool(_OTHER_LICENCE.match(name)) and not _ABOUT_A_LICENCE.search(name) and not in_docs(path)


def is_readme(path: str) -> bool:
    """Whether a file is a README, whatever its ending: README, readme.rst, README.de.md."""
    return bool(_README.match(basename(path)))


def is_debian(path: str) -> bool:
    """Whether a file is debian/copyright or REUSE's .reuse/dep5, which has the same format."""
    return path.endswith(("debian/copyright", ".reuse/dep5")) and path.removesuffix("debian/copyright").removesuffix(
        ".reuse/dep5"
    ).endswith(("", "/"))


def manifest_kind(path: str) -> str | None:
    """The kind of package manifest that a file is, by its name: "npm" for package.json; None for other files."""
    name = basename(path).lower()
    if name in _MANIFESTS:
        return _MANIFESTS[name]
    return next((kind for ending, kind in _MANIFEST_ENDINGS.items() if name.endswith(ending)), None)


def scope(path: str) -> str:
    """The folder that a licence text, manifest or README at `path` speaks for; "" for the root.

    It is the folder of the file. For a file in LICENSES/ or debian/ it is the folder above.
    """
    folder = dirname(path)
    while folder and basename(folder).lower() in _LICENCE_FOLDERS | {"debian", ".reuse"}:
        folder = dirname(folder)
    return folder


def installed_package(folder: str) -> str | None:
    """The package that pip describes in `folder`: "lib/six" for lib/six-1.16.0.dist-info; None for other folders."""
    match = _INSTALLED.match(folder)
    return (f"{match[1]}{match[2]}" if match[1] else "") if match else None


def in_docs(path: str) -> bool:
    """Whether a file stands in a folder of documentation."""
    return any(part.lower() in _DOC_FOLDERS for part in dirname(path).split("/"))


def folders(path: str) -> list[str]:
    """The folders above a file, the nearest first, the root ("") last."""
    found, folder = [], dirname(path)
    while folder:
        found.append(folder)
        folder = dirname(folder)
    return [*found, ""]


def vendored_root(path: str) -> str | None:
    """The innermost folder of third-party code above a file ("third_party"); None if there is none."""
    matches = list(VENDORED.finditer(path))
    return path[: matches[-1].end() - 1] if matches else None
