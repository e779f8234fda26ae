"""Which language a file is in: by its name, its extension, its first line, and where these do not tell, its content.

Names and extensions are those of `identify`, beside the few it does not know; ambiguous extensions (`.h`, `.m`, `.v`)
are settled by what only one of the candidates writes, else by magika's model among the candidates. Languages are named
as the release's card names them, all others as GitHub's Linguist does.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from nemotron_assets.recipe.code.languages import AMBIGUOUS, BY_LABEL, BY_TAG, EXTENSIONS, INTERPRETERS, NAMES, TELLTALE

#: Of these, the others are so rare that the model is not asked.
_NEARLY_SURE = frozenset({"ts", "r", "d", "fs", "sql", "st", "pl"})
_LOOKED_AT = 50_000
#: What only a header for both languages asks; one for C++ alone may ask for the version.
_FOR_BOTH = re.compile(r"\bifn?def[ \t]+__cplusplus|\bdefined[ \t]*\(?[ \t]*__cplusplus")
_OMNIVERSE = re.compile(r"^(?:import|from)[ \t]+omni\.", re.MULTILINE)

UNKNOWN = "unknown"


class Language(NamedTuple):
    """A language and what told it: filename, extension, shebang, content or nothing."""

    name: str
    by: str


def language_of(path: str, text: str, *, model: bool = True) -> Language:
    """The language of a file with this path and text; `model` lets magika judge where nothing else tells."""
    found = _known(path, text, model)
    # The card counts Omniverse's Python apart; it is Python that uses its modules.
    if found.name == "Python" and _OMNIVERSE.search(text, 0, _LOOKED_AT):
        return Language("OmniversePython", "content")
    return found


def _known(path: str, text: str, model: bool) -> Language:
    name = path.rpartition("/")[2]
    if by_name := _by_name(name):
        return Language(by_name, "filename")
    extension = name.rpartition(".")[2].lower() if "." in name.lstrip(".") else ""
    inner = name[:-3].rpartition(".")[2].lower() if extension == "in" and "." in name[1:-3] else ""
    if inner in AMBIGUOUS or _by_extension(inner):
        extension = inner  # config.h.in: a template of what its name says
    if name.endswith(".C") and not name.isupper():
        return Language("C++", "extension")  # on systems that tell the two apart
    candidates = AMBIGUOUS.get(extension)
    if not candidates and (by_extension := _by_extension(extension)):
        return Language(by_extension, "extension")
    if candidates and len(candidates) == 1:
        return Language(candidates[0], "extension")
    if by_line := _by_shebang(text):
        return Language(by_line, "shebang")
    for language, pattern in _telltales().get(extension, ()):
        # A header for both languages has C++ in it only where a C++ compiler looks.
        if pattern.search(text, 0, _LOOKED_AT) and not (language == "C++" and _FOR_BOTH.search(text, 0, _LOOKED_AT)):
            return Language(language, "content")
    judged = _by_model(text) if model and extension not in _NEARLY_SURE else None
    if candidates:
        return Language(judged, "content") if judged in candidates else Language(candidates[0], "extension")
    return Language(judged, "content") if judged else Language(UNKNOWN, "nothing")


@cache
def _by_name(name: str) -> str | None:
    from identify.extensions import NAMES as IDENTIFY_NAMES

    lower = name.lower()
    stem = lower.partition(".")[0]
    if found := NAMES.get(lower) or _tagged(IDENTIFY_NAMES.get(name, ())):
        return found
    if re.fullmatch(r"(?:docker|container)file(?:[-_].*)?", stem) or lower.endswith(".dockerfile"):
        return "Dockerfile"
    if re.fullmatch(r"(?:gnu)?makefile(?:[-_].*)?", stem):
        return None if "." in lower and _by_extension(lower.rpartition(".")[2]) else "Makefile"
    # LICENSE-MIT, README.Debian, COPYING.LESSER: words in capitals by which people find them.
    if re.fullmatch(r"(?:licen[cs]e|copying|readme|unlicense|notice|changelog)(?:[-_.].*)?", lower):
        extension = lower.rpartition(".")[2]
        return None if "." in lower and (extension in EXTENSIONS or _by_extension(extension)) else "Text"
    return None


@cache
def _by_extension(extension: str) -> str | None:
    from identify.extensions import EXTENSIONS as IDENTIFY_EXTENSIONS

    return EXTENSIONS.get(extension) or _tagged(IDENTIFY_EXTENSIONS.get(extension, ()))


def _tagged(tags) -> str | None:
    return next((name for tag, name in BY_TAG.items() if tag in tags), None)


def _by_shebang(text: str) -> str | None:
    from identify.interpreters import INTERPRETERS as IDENTIFY_INTERPRETERS

    if not text.startswith("#!"):
        return None
    words = text[2:300].partition("\n")[0].split()
    while words and (words[0].rpartition("/")[2] in ("env", "busybox") or words[0].startswith("-") or "=" in words[0]):
        words = words[1:]
    if not words:
        return None
    name = words[0].rpartition("/")[2].lower()
    bare = re.sub(r"[\d.-]+$", "", name)
    return INTERPRETERS.get(name) or INTERPRETERS.get(bare) or _tagged(IDENTIFY_INTERPRETERS.get(name, ()))


@cache
def _telltales() -> dict[str, tuple[tuple[str, re.Pattern[str]], ...]]:
    return {
        extension: tuple((language, re.compile(pattern, re.MULTILINE)) for language, pattern in patterns)
        for extension, patterns in TELLTALE.items()
    }


def _by_model(text: str) -> str | None:
    """What magika takes the text for, if that is a language."""
    # It judges by the two ends; more need not be encoded.
    sample = text if len(text) <= 2 * _LOOKED_AT else text[:_LOOKED_AT] + text[-_LOOKED_AT:]
    return BY_LABEL.get(str(_magika().identify_bytes(sample.encode()).output.label))


@cache
def _magika():
    from magika import Magika

    return Magika()
