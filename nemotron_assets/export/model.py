"""Writes a model version of the lake as a Hugging Face folder that transformers and vLLM load as it is.

    README.md           model card, written from the model's lineage
    LICENSE.md          the licence's text, if the recipe has one
    config.json, model.safetensors, tokenizer.json, ...    the files of the model
    export.json         the same facts for programs, and every file with its size

The files are copied, compared with the sha256 in the model's row, and loaded once with plain transformers. Everything
is written into `DIR.partial`, which is renamed to `DIR` in one step.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.export.card import licence_text
from nemotron_assets.export.folder import FACTS, FOREIGN, export_in, locked, put_in_place, write
from nemotron_assets.export.lineage import describe
from nemotron_assets.export.model_card import render
from nemotron_assets.export.written import ExportError
from nemotron_assets.recipe import Recipe
from nemotron_assets.rights.exports import Export, record
from nemotron_assets.table.ids import content_hash
from nemotron_assets.table.schema import Table
from resources.weights import MANIFEST, folder_sha256

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse

#: Version of the form of an export. A folder of an earlier one is written again.
FORMAT = 1
_CARD, _LICENCE = "README.md", "LICENSE.md"
_LEAST_OF_AN_ID = 6  # characters of an id that name a version


@dataclass(frozen=True)
class ExportedModel:
    """A finished export. `written` is False if the folder was up to date. `moved_aside` is the folder that now holds
    the files that no export wrote. It is None if the folder had no such files."""

    directory: Path
    model: Mapping[str, Any]
    bytes: int
    written: bool
    moved_aside: Path | None = None


def export_model(
    lake: Lakehouse,
    table: Table,
    directory: Path,
    recipe: Recipe,
    *,
    version: str | None = None,
    force: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> ExportedModel:
    """Write one version of the models in `table` into `directory`: the one that `version` names (see `find_version`),
    else the one in use.

    Raises `ExportError` if there is no such model, if its files are damaged or do not load, and for a directory with
    files that no export wrote unless `force` is given; then the directory is moved aside, never deleted.
    """
    row = find_version(lake, table, version)
    directory = Path(os.path.abspath(directory))
    work = directory.with_name(f"{directory.name}.partial")
    licence, facts = licence_text(recipe.release), describe(lake, table, row)
    release = recipe.release.model_dump(mode="json", include={"licence", "licence_name"})
    identity = {
        "format": FORMAT,
        "table": table.full_name,
        "id": row["id"],
        "card": content_hash(json.dumps([facts, release, licence], sort_keys=True, default=str)),
    }
    present = export_in(directory)
    if present == FOREIGN and not force:
        raise ExportError(
            f"{directory} holds files that no export wrote: name another folder, or use --force to move it aside"
        )
    if present == identity and not force:
        return ExportedModel(directory, row, _size(directory), written=False)
    with locked(work):
        for entry in work.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        progress(f"copying the files of {row['name']} {row['version']}")
        _copy(lake.get_weights(row["uri"]), work, recipe.storage.free_disk_mb)
        if folder_sha256(work) != row["sha256"]:
            raise ExportError(
                f"the files of {row['name']} {row['version']} in {row['uri']} are damaged: their sha256 differs from "
                f"the sha256 in {table.full_name}. `nemotron maintain --verify` names the files"
            )
        config = _checked(work, row, progress)
        if not (work / _CARD).exists() or "steps" in row:
            write(work / _CARD, render(facts, config, _size(work), recipe.release, bool(licence)))
        if licence and "steps" in row:
            write(work / _LICENCE, licence)
        files = {str(f.relative_to(work)): f.stat().st_size for f in sorted(work.rglob("*")) if f.is_file()}
        content = {"identity": identity, "model": facts, "files": files}
        write(work / FACTS, json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n")
        moved = put_in_place(work, directory)
        record(Export(str(directory), model=row["id"]))
    return ExportedModel(directory, row, _size(directory), written=True, moved_aside=moved)


def find_version(lake: Lakehouse, table: Table, version: str | None = None) -> dict[str, Any]:
    """The row of a model version. `version` is a number (2), a name (laptop-base), both (laptop-base@2) or the
    beginning of an id; None is the version in use. Raises `ExportError` unless exactly one version fits; of a name, the
    newest version fits."""
    rows = lake.read(table).scan().sort("at").collect().to_dicts()
    if not rows:
        asset = table.asset_key.to_user_string()
        raise ExportError(f"{table.full_name} has no model yet: `nemotron run +{asset}` makes one")
    if version is None:
        return rows[-1]
    if named := [row for row in rows if row["name"] == version]:
        return named[-1]
    found = [
        row
        for row in rows
        if version in (row["version"], f"{row['name']}@{row['version']}")
        or (len(version) >= _LEAST_OF_AN_ID and row["id"].startswith(version))
    ]
    if len(found) != 1:
        fit = "several versions are called" if found else "the table has no version"
        known = ", ".join(f"{row['name']}@{row['version']}" for row in found or rows)
        raise ExportError(f"{table.full_name}: {fit} {version!r}; name one of {known}")
    return found[0]


def _copy(weights: Path, work: Path, free_mb: int) -> None:
    """Copy the files of a model. They are copies, not links: whoever changes one does not change the lake."""
    files = [file for file in sorted(weights.rglob("*")) if file.is_file() and file.name != MANIFEST]
    needed, free = sum(file.stat().st_size for file in files), shutil.disk_usage(work).free
    if needed + (free_mb << 20) > free:
        raise ExportError(
            f"{work} has {free >> 20:,} MB of free disk, and the model has {needed >> 20:,} MB: make room"
        )
    for file in files:
        target = work / file.relative_to(weights)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def _checked(work: Path, row: Mapping[str, Any], progress: Callable[[str], None]) -> dict[str, Any]:
    """Load the copied model with plain transformers; returns its config.json, {} for a model without one."""
    path = work / "config.json"
    if not path.exists():
        return {}
    config = json.loads(path.read_text("utf-8"))
    if config.get("model_type") != "nemotron_h":
        return config
    for library in ("torchao", "torch.utils._pytree"):  # on import they warn of kernels and types that are not used
        logging.getLogger(library).setLevel(logging.ERROR)
    from transformers import AutoTokenizer

    from nemotron_assets.model.export import make_portable
    from nemotron_assets.model.nemotron_h import load_report

    make_portable(work)  # for a model that an earlier program, or a library, has saved
    progress("loading the copy with transformers")
    parameters, problems = load_report(work)
    if parameters != row.get("parameters", parameters):
        problems.append(f"{parameters:,} parameters instead of {row['parameters']:,}")
    config = json.loads(path.read_text("utf-8"))
    if (work / "tokenizer.json").exists():
        entries = len(AutoTokenizer.from_pretrained(work, local_files_only=True))
        if entries > config["vocab_size"]:
            problems.append(f"a tokenizer with {entries:,} entries for {config['vocab_size']:,} embeddings")
    if problems:
        raise ExportError(f"transformers cannot load {row['name']} {row['version']}: {', '.join(problems)}")
    return config


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
