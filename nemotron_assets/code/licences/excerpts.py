"""Cut each file of a repository down to the parts in which a licence can stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nemotron_assets.code.licences import manifests
from nemotron_assets.code.terms import paths, texts

if TYPE_CHECKING:
    from nemotron_assets.recipe.code.licences import CodeLicences


@dataclass(frozen=True)
class Excerpt:
    """The parts of one file that are examined.

    `pieces` are the beginning and the end of the file as (text, number of lines before it), each only if it has a word
    about licences. `whole` is the text of a file that can speak for other files (licence text, manifest, README, the
    sidecar `x.png.license`), up to a limit; None for every other file.
    """

    id: str
    path: str
    pieces: tuple[tuple[str, int], ...] = ()
    whole: str | None = None

    @property
    def texts(self) -> set[str]:
        """The texts that the licence library is asked about."""
        return {text for text in (*(piece for piece, _ in self.pieces), self.whole) if text is not None}


def excerpt(file_id: str, path: str, content: str, recipe: CodeLicences) -> Excerpt:
    """The excerpt of one file; `content` is its whole text."""
    whole = None
    if is_licence_text(path) or paths.is_readme(path) or path.endswith(".license"):
        whole = content[: recipe.licence_characters]
    elif paths.manifest_kind(path):
        whole = content[: manifests.MAX_CHARACTERS]
    return Excerpt(file_id, path, tuple(texts.pieces_to_examine(content, recipe, path)), whole)


def speaks_for_others(file: Excerpt) -> bool:
    """Whether a licence that a file names is that of its folder, not of the file: true for licence texts, READMEs and
    manifests that are only data (package.json), false for manifests that are programs (setup.py)."""
    if file.whole is None:
        return False
    kind = paths.manifest_kind(file.path)
    return is_licence_text(file.path) or paths.is_readme(file.path) or (kind or "") in manifests.ONLY_DATA


def is_licence_text(path: str) -> bool:
    """Whether a file is a licence text, a text with terms, a notice or a debian/copyright, by its path."""
    return paths.is_licence(path) or paths.is_notice(path) or paths.is_debian(path) or paths.adds_terms(path)
