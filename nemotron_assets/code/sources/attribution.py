"""Licence texts to be passed on with the corpus: most licences ask for nothing else, but for that.

Of every repository with files in the corpus: its licence and notice files, where they speak for a folder with such
files. A file that none of them speaks for brings the comment it begins with, if that speaks of a licence; and where a
repository has neither, the manifest that declares its licence.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import polars as pl
import pyarrow as pa

from nemotron_assets.code.licences.paths import folders, is_debian, is_licence, is_notice, manifest_kind, scope
from nemotron_assets.code.licences.texts import leading_comment, speaks_of_licences
from nemotron_assets.code.sources.files import file_id
from nemotron_assets.code.sources.tables import ATTRIBUTIONS
from nemotron_assets.table import content_hash, row_id
from resources.lakehouse import Reader

_HEAD = 8_000
#: Repositories and kept files that are looked at together.
_REPOSITORIES, _PATHS = 256, 100_000
_KEY = ("repo", "commit_id")


def attributions_of(files: Reader, metadata: Reader) -> Iterator[pa.RecordBatch]:
    """Rows of `code.attributions` for the files that `code.metadata` names, repository by repository. Memory: the paths
    of some hundred repositories, and their licence texts."""
    chosen = metadata.scan().select(*_KEY, "rel_path", "license").sort(*_KEY, "rel_path")
    rows = (row for frame in chosen.collect_batches(chunk_size=65_536) for row in frame.iter_rows(named=True))
    together: list[_Repository] = []
    for key, run in itertools.groupby(rows, key=lambda row: (row["repo"], row["commit_id"])):
        together.append(_Repository(key, {row["rel_path"]: row["license"] for row in run}))
        if len(together) == _REPOSITORIES or sum(len(one.licences) for one in together) > _PATHS:
            yield from _read(files, together)
            together = []
    yield from _read(files, together)


def _read(files: Reader, repositories: list[_Repository]) -> Iterator[pa.RecordBatch]:
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
        yield pa.RecordBatch.from_pylist([_row(*one.key, *text) for text in one.texts()], ATTRIBUTIONS.arrow_schema())


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
        """What goes with the corpus, by path."""
        return sorted([*self._files, *self._heads.values()] or self._manifests, key=lambda text: text[0])


def _row(repo: str, commit: str, path: str, file: str, text: str, licence: str | None, number: int) -> dict[str, Any]:
    return {
        "id": row_id(ATTRIBUTIONS.full_name, repo, commit, path), "parents": [file], "repo": repo, "commit_id": commit,
        "rel_path": path, "license": licence, "files": number, "text": text, "content_hash": content_hash(text),
    }  # fmt: skip


def without(attributions: pl.LazyFrame, metadata: pl.LazyFrame) -> list[str]:
    """Repositories with files in the corpus, but no text to pass on."""
    kept = metadata.select(*_KEY).unique()
    lacking = kept.join(attributions.select(*_KEY), on=list(_KEY), how="anti").select("repo").sort("repo")
    return lacking.collect(engine="streaming")["repo"].to_list()
