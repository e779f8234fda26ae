"""Finds the language of a file by its name, its extension or its first line, else by its content.

Names and extensions come from the package `identify`; recipe/code/languages.py adds a few that it lacks. An extension
of several languages (`.h`, `.m`, `.v`) is decided by patterns that occur in one of them only (`@interface` in a `.h`
file is Objective-C), else by magika's model. Languages have the names of the dataset card of
Nemotron-Pretraining-Code; languages that the card does not list have the names of GitHub's Linguist.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from nemotron_assets.recipe.code.languages import (
    AMBIGUOUS,
    BY_LABEL,
    BY_TAG,
    EXTENSIONS,
    INTERPRETERS,
    NAMES,
    TELLTALE,
    UNSURE,
)

#: Extensions whose first candidate is nearly always right, so that the model is not asked.
_NEARLY_SURE = frozenset({"ts", "r", "d", "fs", "sql", "st", "pl"})
_SEARCHED = 50_000  # characters of a file in which patterns are searched
#: Only a header for both C and C++ asks whether a C++ compiler reads it. (`#if __cplusplus < 201703L` asks for the
#: version of C++, and stands in headers for C++ alone.)
_FOR_BOTH = re.compile(r"\bifn?def[ \t]+__cplusplus|\bdefined[ \t]*\(?[ \t]*__cplusplus")
_OMNIVERSE = re.compile(r"^(?:import|from)[ \t]+omni\.", re.MULTILINE)

UNKNOWN = "unknown"


class Language(NamedTuple):
    """A language, and what it was found by: filename, extension, shebang, content or nothing."""

    name: str
    by: str


def language_of(path: str, text: str, *, model: bool = True) -> Language:
    """The language of a file. With `model`, magika's model decides where the other evidence does not."""
    found = _detect(path, text, model)
    # The dataset card lists Python code that imports Omniverse's modules as a language of its own.
    if found.name == "Python" and _OMNIVERSE.search(text, 0, _SEARCHED):
        return Language("OmniversePython", "content")
    return found


def _detect(path: str, text: str, model: bool) -> Language:
    name = path.rpartition("/")[2]
    if by_name := _by_name(name):
        return Language(by_name, "filename")
    extension = name.rpartition(".")[2].lower() if "." in name.lstrip(".") else ""
    inner = name[:-3].rpartition(".")[2].lower() if extension == "in" and "." in name[1:-3] else ""
    if inner in AMBIGUOUS or _by_extension(inner):
        extension = inner  # config.h.in is a template of a .h file
    if name.endswith(".C") and not name.isupper():
        return Language("C++", "extension")  # on Unix main.C is C++ and main.c is C
    candidates = AMBIGUOUS.get(extension)
    if not candidates and (by_extension := _by_extension(extension)):
        return Language(by_extension, "extension")
    if candidates and len(candidates) == 1:
        return Language(candidates[0], "extension")
    if by_line := _by_shebang(text):
        return Language(by_line, "shebang")
    for language, pattern in _patterns().get(extension, ()):
        # A header for C and C++ contains C++ too, but inside `#ifdef __cplusplus`: it counts as C.
        if pattern.search(text, 0, _SEARCHED) and not (language == "C++" and _FOR_BOTH.search(text, 0, _SEARCHED)):
            return Language(language, "content")
    guess = _by_model(text) if model and extension not in _NEARLY_SURE else None
    if guess == "PHP" and extension == "inc":
        guess = None  # no telltale: the file has no <?php, so that it cannot be PHP
    if candidates:
        if guess in candidates:
            return Language(guess, "content")
        unsure = extension in UNSURE
        return Language(UNKNOWN, "nothing") if unsure else Language(candidates[0], "extension")
    return Language(guess, "content") if guess else Language(UNKNOWN, "nothing")


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
    # LICENSE-MIT, README.Debian and COPYING.LESSER are texts; LICENSE.md has the language of its extension.
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
def _patterns() -> dict[str, tuple[tuple[str, re.Pattern[str]], ...]]:
    return {
        extension: tuple((language, re.compile(pattern, re.MULTILINE)) for language, pattern in patterns)
        for extension, patterns in TELLTALE.items()
    }


def _by_model(text: str) -> str | None:
    """The language that magika's model detects, or None if it detects something else, such as a plain text."""
    # The model reads only the beginning and the end.
    sample = text if len(text) <= 2 * _SEARCHED else text[:_SEARCHED] + text[-_SEARCHED:]
    return BY_LABEL.get(str(_magika().identify_bytes(sample.encode()).output.label))


@cache
def _magika():
    from magika import Magika

    return Magika()
