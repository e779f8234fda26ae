"""Writes a published table as a Hugging Face dataset that `datasets.load_dataset(DIR, CONFIG)` reads.

    README.md                                     dataset card: configs, counts, languages, licence, provenance
    LICENSE.md                                    the licence's text, if the recipe has one
    export.json                                   the same facts for programs, and every file with its size
    data/<config>/train-00000-of-0000N.parquet    the published columns, nothing else; no folder for a config
                                                  without rows, which `datasets` could load only as a stream, unless
                                                  the table asks for it (`empty_configs`)

The table declares its published columns and its configs (`Published`). Everything is written into `DIR.partial` beside
the target, shard by shard; a journal lists the complete shards. An export that was killed goes on after its last
complete shard. When every shard is written, the folder is renamed to `DIR` in one step, so that a reader never sees
half a dataset.

The modules: `job` (what is read, and which shards exist already), `shards` (Parquet files), `folder` (the target
folder), `card` (README.md) and `written` (counts of what was written). Models leave in another way: `model` writes a
version as a Hugging Face folder, `model_card` its README.md, from what `lineage` finds in the lake.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.export.card import facts, licence_text, render
from nemotron_assets.export.folder import FACTS, FOREIGN, export_in, locked, put_in_place, write
from nemotron_assets.export.job import JOURNAL, Job, name_shards
from nemotron_assets.export.shards import examples
from nemotron_assets.export.written import Counts, Exported, ExportError
from nemotron_assets.recipe import Recipe
from nemotron_assets.rights.exports import Export, record
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse


def exportable() -> dict[str, Table]:
    """The tables that declare how they are published, by full name."""
    return {name: table for name, table in all_tables().items() if table.published}


def export(
    lake: Lakehouse,
    table: Table,
    directory: Path,
    recipe: Recipe,
    *,
    partitions: Sequence[str] = (),
    force: bool = False,
    progress: Callable[[str], None] = lambda line: None,
) -> Exported:
    """Write the current version of `table`, or some partitions of it, into `directory`.

    An earlier export in `directory` is replaced if the table has changed since. Raises `ExportError` for a table that
    is not published, and for a directory with files that no export wrote unless `force` is given; then the directory
    is moved aside, never deleted. `progress` gets one line per shard.
    """
    if not table.published:
        raise ExportError(
            f"{table.full_name} is not published as a dataset; the published tables are {', '.join(exportable())}"
        )
    directory = Path(os.path.abspath(directory))
    licence = licence_text(recipe.release)
    job = Job(lake, table, recipe, partitions, licence)
    present = export_in(directory)
    if present is not None and not force:
        if present == FOREIGN:
            raise ExportError(
                f"{directory} holds files that no export wrote: name another folder, or use --force to move it aside"
            )
        if present == job.identity:
            old = json.loads((directory / FACTS).read_text("utf-8"))
            configs = {name: Counts.from_json(counts) for name, counts in old["configs"].items()}
            return Exported(directory, configs, written=False)
    work = directory.with_name(f"{directory.name}.partial")
    with locked(work):
        shards = job.write(work, progress)
        if not shards:
            raise ExportError(f"{table.full_name} has no rows to export")
        configs = {name: Counts.total([s.counts for s in shards if s.config == name]) for name in job.configs}
        described = facts(job.reader, job.partitions, recipe)
        shown = examples(work, shards) if table.published.examples else {}
        write(work / "README.md", render(table, configs, described, recipe.release, bool(licence), shown))
        if licence:
            write(work / "LICENSE.md", licence)
        files = name_shards(work, shards)
        files += ["README.md", *(["LICENSE.md"] if licence else [])]
        write(work / FACTS, _as_json(job, configs, described, {f: (work / f).stat().st_size for f in files}))
        (work / JOURNAL).unlink(missing_ok=True)
        moved = put_in_place(work, directory)
        record(Export(str(directory), version=job.reader.input_version))
    return Exported(directory, configs, written=True, moved_aside=moved)


def _as_json(job: Job, configs: dict[str, Counts], described: dict[str, Any], files: dict[str, int]) -> str:
    content = {
        "identity": job.identity,
        "configs": {name: counts.as_json() for name, counts in configs.items()},
        "provenance": described,
        "files": files,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"
