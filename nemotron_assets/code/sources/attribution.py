"""Collects the licence texts that must be passed on with the corpus: most licences ask for this and nothing else.

For every repository with files in the corpus these are, in this order:

- Its licence and notice files, if their folder contains files of the corpus.
- For a file that no licence file applies to: the comment at its beginning, if the comment mentions a licence.
- If a repository has neither: its manifests that declare a licence. If some of them name the authors, only those.
- Many repositories only name a licence: in a manifest, in an SPDX line, or in R's form for year and holder. The
  general text of such a licence is added from ScanCode's library, because the licences ask for their text.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa

from nemotron_assets.code.sources.files import file_id
from nemotron_assets.code.sources.tables import ATTRIBUTIONS
from nemotron_assets.code.terms import standard
from nemotron_assets.code.terms.paths import folders, is_debian, is_licence, is_notice, manifest_kind, scope
from nemotron_assets.code.terms.texts import leading_comment, speaks_of_licences
from nemotron_assets.table.ids import content_hash, row_id
from resources.lakehouse import Reader

#: Characters of a file that are searched for its leading comment, and that are kept of a manifest.
_HEAD = 8_000
#: Manifests name the authors of a package as author, "authors", Authors@R, Maintainer or <developers>.
_HOLDERS = re.compile(r"(?i)copyright|\b(?:author|maintainer|developer|contributor|owner)s?\b")
#: Repositories that are read together, and the files of the corpus in them at which a group ends sooner.
_REPOSITORIES, _PATHS = 256, 100_000
_KEY = ("repo", "commit_id")
#: Values of `origin`.
REPOSITORY, STANDARD = "repository", "standard"


def attributions_of(files: Reader, metadata: Reader, full_text: float) -> Iterator[pa.RecordBatch]:
    """Rows of `code.attributions` for the files in `code.metadata`, repository by repository.

    A text contains the whole text of a licence if it has the share `full_text` of the licence's pairs of adjacent
    words. Memory: the paths and licence texts of at most 256 repositories.
    """
    chosen = metadata.scan().select(*_KEY, "rel_path", "license").sort(*_KEY, "rel_path")
    rows = (row for frame in chosen.collect_batches(chunk_size=65_536) for row in frame.iter_rows(named=True))
    group: list[_Repository] = []
    for key, run in itertools.groupby(rows, key=lambda row: (row["repo"], row["commit_id"])):
        group.append(_Repository(key, {row["rel_path"]: row["license"] for row in run}))
        if len(group) == _REPOSITORIES or sum(len(repository.licences) for repository in group) > _PATHS:
            yield from _read(files, group, full_text)
            group = []
    yield from _read(files, group, full_text)


def _read(files: Reader, group: list[_Repository], full_text: float) -> Iterator[pa.RecordBatch]:
    """The rows of some repositories. All their paths are read first, then the texts that are needed."""
    by_key = {repository.key: repository for repository in group}
    in_group = files.scan().filter(pl.col("repo").is_in(sorted({repo for repo, _ in by_key})))
    for *key, path in in_group.select(*_KEY, "rel_path").collect(engine="streaming").iter_rows():
        if repository := by_key.get(tuple(key)):
            repository.add_path(path)
    wanted = [file_id(*repository.key, path) for repository in group for path in repository.paths_to_read()]
    texts = in_group.filter(pl.col("id").is_in(wanted)).select("id", *_KEY, "rel_path", "content")
    for frame in texts.collect_batches(chunk_size=256):
        for row in frame.iter_rows(named=True):
            by_key[row["repo"], row["commit_id"]].add_text(row["rel_path"], row["id"], row["content"])
    for repository in group:
        rows = [_row(*repository.key, REPOSITORY, text) for text in repository.texts()]
        rows += [_row(*repository.key, STANDARD, text) for text in repository.standard_texts(full_text)]
        yield pa.RecordBatch.from_pylist(rows, ATTRIBUTIONS.arrow_schema())


class _Text(NamedTuple):
    """A licence or notice text. `file` is the id of the file it is from, `files` the number of files it applies to,
    `licence` the licence of these files, None if they have different ones."""

    path: str
    file: str
    text: str
    licence: str | None
    files: int


class _Repository:
    """One repository: the licence of each of its files in the corpus, and the texts that apply to these files."""

    def __init__(self, key: tuple[str, str], licences: dict[str, str | None]) -> None:
        self.key, self.licences = key, licences
        self.files_below = Counter(folder for path in licences for folder in folders(path))
        self.licence_of_folder: dict[str, str | None] = {}  # None: the files below the folder have different ones
        for path, licence in licences.items():
            for folder in folders(path):
                same = self.licence_of_folder.setdefault(folder, licence) == licence
                self.licence_of_folder[folder] = licence if same else None
        self.licence_paths: set[str] = set()
        self.manifest_paths: set[str] = set()
        self._licence_files: list[_Text] = []
        self._comments: dict[str, _Text] = {}  # hash of the comment -> the comment in its first file
        self._manifests: list[_Text] = []

    def add_path(self, path: str) -> None:
        """Remember a file of the repository if it is a licence text, a notice or a manifest of files in the corpus."""
        if self.files_below[scope(path)]:
            if is_licence(path) or is_notice(path) or is_debian(path):
                self.licence_paths.add(path)
            elif manifest_kind(path):
                self.manifest_paths.add(path)

    @cached_property
    def uncovered(self) -> set[str]:
        """The files of the corpus that no licence file applies to. Call this after all paths have been added."""
        covered = {scope(path) for path in self.licence_paths if not is_notice(path)}
        return {path for path in self.licences if not covered.intersection(folders(path))} - self.licence_paths

    def paths_to_read(self) -> set[str]:
        """The files whose texts `add_text` needs."""
        return self.licence_paths | self.manifest_paths | self.uncovered

    def add_text(self, path: str, file: str, text: str) -> None:
        """Add the text of the file with the id `file`."""
        folder = scope(path)
        if path in self.licence_paths:
            licence, files = self.licence_of_folder[folder], self.files_below[folder]
            self._licence_files.append(_Text(path, file, text, licence, files))
            return
        if path in self.manifest_paths:
            licence, files = self.licence_of_folder[folder], self.files_below[folder]
            self._manifests.append(_Text(path, file, text[:_HEAD], licence, files))
        if path in self.uncovered and speaks_of_licences(comment := leading_comment(text[:_HEAD])):
            here = _Text(path, file, comment, self.licences[path], 0)
            known = self._comments.get(content_hash(comment), here)
            first = min(known, here, key=lambda text: text.path)
            self._comments[content_hash(comment)] = first._replace(files=known.files + 1)

    def texts(self) -> list[_Text]:
        """The repository's own texts, sorted by path.

        Manifests are used only if the repository has no other text, and then those that name the authors: a licence
        asks for the notice of its holders, and its general text is added anyway.
        """
        with_holders = [manifest for manifest in self._manifests if _HOLDERS.search(manifest.text)]
        own = [*self._licence_files, *self._comments.values()] or with_holders or self._manifests
        return sorted(own, key=lambda text: text.path)

    def standard_texts(self, full_text: float) -> list[_Text]:
        """The general texts of the licences that files of the corpus are under and that no text of the repository
        contains, with the path LICENSES/<id>.txt.

        Their parent is the first text that applies to the first file under the licence, else that file itself.
        """
        own = self.texts()
        expressions = {licence or "" for licence in self.licences.values()}
        names = {name for expression in expressions for name in standard.licences(expression)}
        carried = {name for text in own for name in standard.carried(names, text.text, full_text)}
        lacking = {expression: standard.lacking(expression, carried.__contains__) for expression in expressions}
        paths_of: dict[str, list[str]] = {}
        for path, licence in sorted(self.licences.items()):
            for name in lacking[licence or ""]:
                paths_of.setdefault(name, []).append(path)
        return [
            _Text(f"LICENSES/{name}.txt", self._declaring_file(own, paths[0]), text, name, len(paths))
            for name, paths in sorted(paths_of.items())
            if (text := standard.text(name))
        ]

    def _declaring_file(self, own: list[_Text], path: str) -> str:
        """The id of the file with the first text that applies to the file at `path`, else the id of that file."""
        of_folder, above = self.licence_paths | self.manifest_paths, set(folders(path))
        applying = (t.file for t in own if t.path == path or (t.path in of_folder and scope(t.path) in above))
        return next(applying, file_id(*self.key, path))


def _row(repo: str, commit: str, origin: str, text: _Text) -> dict[str, Any]:
    key = (repo, commit, text.path) if origin == REPOSITORY else (repo, commit, text.path, origin)
    return {
        "id": row_id(ATTRIBUTIONS.full_name, *key),
        "parents": [text.file],
        "repo": repo,
        "commit_id": commit,
        "rel_path": text.path,
        "license": text.licence,
        "origin": origin,
        "files": text.files,
        "text": text.text,
        "content_hash": content_hash(text.text),
    }


def missing_texts(
    attributions: Iterable[pa.RecordBatch], metadata: pl.LazyFrame, full_text: float
) -> list[tuple[str, str]]:
    """(repository, licence) of files of the corpus for which no attribution has the whole text of the licence.

    `attributions` are batches with the columns repo, commit_id and text. Memory: the licences of all repositories and
    one batch.
    """
    # One value per repository and licence, about 300 bytes.
    expressions: dict[tuple[str, str], set[str]] = {}
    chosen = metadata.select(*_KEY, pl.col("license").fill_null("")).unique()
    for *key, licence in chosen.collect(engine="streaming").iter_rows():
        expressions.setdefault(tuple(key), set()).add(licence)
    carried: dict[tuple[str, str], set[str]] = {key: set() for key in expressions}
    for batch in attributions:
        for repo, commit, text in pl.DataFrame(pl.from_arrow(batch)).select(*_KEY, "text").iter_rows():
            names = {name for e in expressions.get((repo, commit), ()) for name in standard.licences(e)}
            carried.setdefault((repo, commit), set()).update(standard.carried(names, text, full_text))
    return sorted(
        (key[0], name)
        for key, of_files in expressions.items()
        for name in {name for e in of_files for name in standard.lacking(e, carried[key].__contains__)}
    )
