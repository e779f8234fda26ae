"""Licence texts to be passed on with the corpus: most licences ask for nothing else, but for that.

Of every repository with files in the corpus: its licence and notice files, where they speak for a folder with such
files. A file that none of them speaks for brings the comment it begins with, if that speaks of a licence; and where a
repository has neither, the manifest that declares its licence.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from nemotron_assets.code.licences.paths import folders, is_debian, is_licence, is_notice, manifest_kind, scope
from nemotron_assets.code.licences.texts import leading_comment, speaks_of_licences
from nemotron_assets.code.sources.tables import ATTRIBUTIONS
from nemotron_assets.table import content_hash, row_id
from resources.lakehouse import Reader

_HEAD = 8_000
_KEY = ("repo", "commit_id")


def attributions_of(files: Reader, metadata: Reader) -> Iterator[pa.RecordBatch]:
    """Rows of `code.attributions` for the files that `code.metadata` names, repository by repository. Memory: the paths
    of one repository, and its licence texts."""
    chosen = metadata.scan().select(*_KEY, "rel_path", "license").sort(*_KEY, "rel_path")
    rows = (row for frame in chosen.collect_batches(chunk_size=65_536) for row in frame.iter_rows(named=True))
    for (repo, commit), run in itertools.groupby(rows, key=lambda row: (row["repo"], row["commit_id"])):
        licences = {row["rel_path"]: row["license"] for row in run}
        found = _texts(files, repo, commit, licences)
        yield pa.RecordBatch.from_pylist([_row(repo, commit, *text) for text in found], ATTRIBUTIONS.arrow_schema())


#: Path, file id, text, licence and number of files it is for.
_Text = tuple[str, str, str, str | None, int]


def _texts(files: Reader, repo: str, commit: str, licences: dict[str, str | None]) -> list[_Text]:
    under = Counter(folder for path in licences for folder in folders(path))
    of_folder: dict[str, str | None] = {}
    for path, licence in licences.items():
        for folder in folders(path):
            of_folder[folder] = licence if of_folder.setdefault(folder, licence) == licence else None
    part = files.part(repo)
    paths = [
        path
        for batch in part.batches(("commit_id", "rel_path"), batch_size=8_192)
        for of, path in zip(batch["commit_id"].to_pylist(), batch["rel_path"].to_pylist(), strict=True)
        if of == commit
    ]
    speaking = {p for p in paths if (is_licence(p) or is_notice(p) or is_debian(p)) and under[scope(p)]}
    declaring = {p for p in paths if manifest_kind(p) and under[scope(p)]} - speaking
    spoken_for = {scope(path) for path in speaking if not is_notice(path)}
    alone = {path for path in licences if not spoken_for.intersection(folders(path))} - speaking
    wanted = pa.array(sorted(speaking | declaring | alone), pa.large_string())
    texts: list[_Text] = []
    heads: dict[str, _Text] = {}
    manifests: list[_Text] = []
    for batch in part.batches(("id", *_KEY, "rel_path", "content"), batch_size=256):
        for row in batch.filter(pc.is_in(batch["rel_path"], value_set=wanted)).to_pylist():
            path, text, folder = row["rel_path"], row["content"], scope(row["rel_path"])
            if row["commit_id"] != commit:
                continue
            if path in speaking:
                texts.append((path, row["id"], text, of_folder[folder], under[folder]))
            elif path in declaring:
                manifests.append((path, row["id"], text[:_HEAD], of_folder[folder], under[folder]))
            if path in alone and speaks_of_licences(head := leading_comment(text[:_HEAD])):
                *first, number = heads.get(content_hash(head), (path, row["id"], head, licences[path], 0))
                heads[content_hash(head)] = (*first, number + 1)
    return [*texts, *heads.values()] or manifests


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
