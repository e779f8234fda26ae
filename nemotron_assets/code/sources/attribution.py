"""Licence texts to be passed on with the corpus: most licences ask for nothing else, but for that.

Of every repository with files in the corpus: its licence and notice files, where they speak for a folder with such
files. A file that none of them speaks for brings the comment it begins with, if that speaks of a licence; and where a
repository has neither, the manifests that declare its licence, of them those that name its authors if any do. Many name
a licence only (a manifest, an SPDX line, R's form for year and holder): the text of such a licence is added as ScanCode
has it, as the licences themselves ask.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow as pa

from nemotron_assets.code.licences import standard
from nemotron_assets.code.licences.paths import folders, is_debian, is_licence, is_notice, manifest_kind, scope
from nemotron_assets.code.licences.texts import leading_comment, speaks_of_licences
from nemotron_assets.code.sources.files import file_id
from nemotron_assets.code.sources.tables import ATTRIBUTIONS
from nemotron_assets.table.ids import content_hash, row_id
from resources.lakehouse import Reader

_HEAD = 8_000
#: What manifests call those who made a package: author, "authors", Authors@R, Maintainer, <developers>.
_HOLDERS = re.compile(r"(?i)copyright|\b(?:author|maintainer|developer|contributor|owner)s?\b")
#: Repositories and kept files that are looked at together.
_REPOSITORIES, _PATHS = 256, 100_000
_KEY = ("repo", "commit_id")
#: Whose text a row has.
REPOSITORY, STANDARD = "repository", "standard"


def attributions_of(files: Reader, metadata: Reader, full_text: float) -> Iterator[pa.RecordBatch]:
    """Rows of `code.attributions` for the files that `code.metadata` names, repository by repository. `full_text`: the
    share of a licence's pairs of words that its whole text has. Memory: the paths of some hundred repositories, and
    their licence texts."""
    chosen = metadata.scan().select(*_KEY, "rel_path", "license").sort(*_KEY, "rel_path")
    rows = (row for frame in chosen.collect_batches(chunk_size=65_536) for row in frame.iter_rows(named=True))
    together: list[_Repository] = []
    for key, run in itertools.groupby(rows, key=lambda row: (row["repo"], row["commit_id"])):
        together.append(_Repository(key, {row["rel_path"]: row["license"] for row in run}))
        if len(together) == _REPOSITORIES or sum(len(one.licences) for one in together) > _PATHS:
            yield from _read(files, together, full_text)
            together = []
    yield from _read(files, together, full_text)


def _read(files: Reader, repositories: list[_Repository], full_text: float) -> Iterator[pa.RecordBatch]:
    """The rows of some repositories: their paths are read first, then the texts of those that are wanted."""
    of = {one.key: one for one in repositories}
    mine = files.scan().filter(pl.col("repo").is_in(sorted({repo for repo, _ in of})))
    for *key, path in mine.select(*_KEY, "rel_path").collect(engine="streaming").iter_rows():
        if one := of.get(tuple(key)):
            one.look_at(path)
    wanted = [file_id(*one.key, path) for one in repositories for path in one.wanted()]
    for row in (
        row
        for frame in mine.filter(pl.col("id").is_in(wanted))
        .select("id", *_KEY, "rel_path", "content")
        .collect_batches(chunk_size=256)
        for row in frame.iter_rows(named=True)
    ):
        of[row["repo"], row["commit_id"]].add(row["rel_path"], row["id"], row["content"])
    for one in repositories:
        rows = [_row(*one.key, REPOSITORY, *text) for text in one.texts()]
        rows += [_row(*one.key, STANDARD, *text) for text in one.standard_texts(full_text)]
        yield pa.RecordBatch.from_pylist(rows, ATTRIBUTIONS.arrow_schema())


#: Path, file id, text, licence and number of files it is for.
_Text = tuple[str, str, str, str | None, int]


class _Repository:
    """One repository: which of its files are kept under which licence, and the texts that speak for them."""

    def __init__(self, key: tuple[str, str], licences: dict[str, str | None]) -> None:
        self.key, self.licences = key, licences
        self.under = Counter(folder for path in licences for folder in folders(path))
        self.of_folder: dict[str, str | None] = {}
        for path, licence in licences.items():
            for folder in folders(path):
                same = self.of_folder.setdefault(folder, licence) == licence
                self.of_folder[folder] = licence if same else None
        self.speaking: set[str] = set()
        self.declaring: set[str] = set()
        self._files: list[_Text] = []
        self._heads: dict[str, _Text] = {}
        self._manifests: list[_Text] = []

    def look_at(self, path: str) -> None:
        if self.under[scope(path)]:
            if is_licence(path) or is_notice(path) or is_debian(path):
                self.speaking.add(path)
            elif manifest_kind(path):
                self.declaring.add(path)

    @cached_property
    def alone(self) -> set[str]:
        """The kept files that no licence text speaks for, when all paths have been looked at."""
        spoken_for = {scope(path) for path in self.speaking if not is_notice(path)}
        return {path for path in self.licences if not spoken_for.intersection(folders(path))} - self.speaking

    def wanted(self) -> set[str]:
        return self.speaking | self.declaring | self.alone

    def add(self, path: str, file: str, text: str) -> None:
        folder = scope(path)
        if path in self.speaking:
            self._files.append((path, file, text, self.of_folder[folder], self.under[folder]))
            return
        if path in self.declaring:
            self._manifests.append((path, file, text[:_HEAD], self.of_folder[folder], self.under[folder]))
        if path in self.alone and speaks_of_licences(head := leading_comment(text[:_HEAD])):
            here = path, file, head, self.licences[path]
            *first, number = self._heads.get(content_hash(head), (*here, 0))
            self._heads[content_hash(head)] = (*min(first, here, key=lambda text: text[0]), number + 1)

    def texts(self) -> list[_Text]:
        """What goes with the corpus, by path. Manifests where nothing else does, and then those that name somebody:
        what a licence asks to be kept is the notice of its holders, and its text is added anyway."""
        naming = [manifest for manifest in self._manifests if _HOLDERS.search(manifest[2])]
        own = [*self._files, *self._heads.values()] or naming or self._manifests
        return sorted(own, key=lambda text: text[0])

    def standard_texts(self, full_text: float) -> list[_Text]:
        """The texts of licences that kept files are under and no text of the repository has, as LICENSES/<id>.txt.
        Their parent is the first text that speaks for the first file under the licence, or else that file."""
        own = self.texts()
        expressions = {licence or "" for licence in self.licences.values()}
        names = {name for expression in expressions for name in standard.licences(expression)}
        carried = {name for _, _, text, *_ in own for name in standard.carried(names, text, full_text)}
        lacking = {expression: standard.lacking(expression, carried.__contains__) for expression in expressions}
        found: dict[str, list[str]] = {}
        for path, licence in sorted(self.licences.items()):
            for name in lacking[licence or ""]:
                found.setdefault(name, []).append(path)
        return [
            (f"LICENSES/{name}.txt", self._declaring(own, paths[0]), text, name, len(paths))
            for name, paths in sorted(found.items())
            if (text := standard.text(name))
        ]

    def _declaring(self, own: list[_Text], path: str) -> str:
        """The id of the first text that stands in a file or speaks for its folder; of the file itself if none does."""
        named, above = self.speaking | self.declaring, set(folders(path))
        speaking = (file for text, file, *_ in own if text == path or (text in named and scope(text) in above))
        return next(speaking, file_id(*self.key, path))


def _row(
    repo: str, commit: str, origin: str, path: str, file: str, text: str, licence: str | None, number: int
) -> dict[str, Any]:
    name = (repo, commit, path) if origin == REPOSITORY else (repo, commit, path, origin)
    return {
        "id": row_id(ATTRIBUTIONS.full_name, *name),
        "parents": [file],
        "repo": repo,
        "commit_id": commit,
        "rel_path": path,
        "license": licence,
        "origin": origin,
        "files": number,
        "text": text,
        "content_hash": content_hash(text),
    }


def incomplete(
    attributions: Iterable[pa.RecordBatch], metadata: pl.LazyFrame, full_text: float
) -> list[tuple[str, str]]:
    """(repository, licence) of files of the corpus whose licence's whole text does not go with them. Memory: the
    licences of all repositories, and a batch of texts with the columns repo, commit_id, text."""
    under: dict[tuple[str, str], set[str]] = {}
    chosen = metadata.select(*_KEY, pl.col("license").fill_null("")).unique()
    for *key, licence in chosen.collect(engine="streaming").iter_rows():
        under.setdefault(tuple(key), set()).add(licence)
    carried: dict[tuple[str, str], set[str]] = {key: set() for key in under}
    for batch in attributions:
        for repo, commit, text in pl.DataFrame(pl.from_arrow(batch)).select(*_KEY, "text").iter_rows():
            names = {name for e in under.get((repo, commit), ()) for name in standard.licences(e)}
            carried.setdefault((repo, commit), set()).update(standard.carried(names, text, full_text))
    return sorted(
        (key[0], name)
        for key, expressions in under.items()
        for name in {name for e in expressions for name in standard.lacking(e, carried[key].__contains__)}
    )
