"""Writes a published table as a Hugging Face dataset that `datasets.load_dataset(DIR, CONFIG)` reads.

    README.md                                     dataset card: configs, counts, languages, licence, provenance
    LICENSE.md                                    the licence's text, if the recipe has one
    export.json                                   the same facts for programs, and every file with its size
    data/<config>/train-00000-of-0000N.parquet    the published columns, nothing else; no folder for a config
                                                  without rows, which `datasets` could not load

Which columns and configs is the table's own declaration (`Published`). Everything is written into `DIR.partial` beside
the target, shard by shard, each noted in a journal when it is complete; a run that is killed goes on after the last
complete shard. When all is there the folder gets its name in one step: a reader never sees half a dataset.

The files: `job` (what is read, which shards are there already), `shards` (Parquet), `folder` (the target), `card`
(README.md) and `written` (what was written, counted).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron_assets.export.card import facts, licence_text, render
from nemotron_assets.export.folder import FACTS, locked, look, put_in_place, write
from nemotron_assets.export.job import JOURNAL, Job, name_shards
from nemotron_assets.export.written import Counts, Exported, ExportError
from nemotron_assets.recipe import Recipe
from nemotron_assets.stages import all_tables
from nemotron_assets.table.schema import Table

if TYPE_CHECKING:
    from resources.lakehouse import Lakehouse


def exportable() -> dict[str, Table]:
    """The tables that declare how they are published, by full name."""
    return {name: table for name, table in all_tables().items() if table.published}


def find(name: str) -> Table:
    """A published table by name, as web.nemotron_cc_v2 or web/nemotron_cc_v2."""
    from nemotron_assets.commands.tables import find as find_table

    return _published(find_table(name))


def _published(table: Table) -> Table:
    if not table.published:
        raise ExportError(f"{table.full_name} is not published as a dataset; these are: {', '.join(exportable())}")
    return table


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
    """Write `table`, or some partitions of it, as it stands now, into `directory`.

    An export of ours is replaced when the table has changed. Raises `ExportError` for a directory with other files in
    it unless `force`; then that directory is moved aside, never deleted.
    """
    directory = Path(os.path.abspath(directory))
    licence = licence_text(recipe.release)
    job = Job(lake, _published(table), recipe, partitions, licence)
    there = look(directory)
    if there is not None and not force:
        if there == "foreign":
            raise ExportError(
                f"{directory} holds files that no export wrote: name another folder, or --force to move it aside"
            )
        if there == job.identity:
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
        write(work / "README.md", render(table, configs, described, recipe.release, bool(licence)))
        if licence:
            write(work / "LICENSE.md", licence)
        files = name_shards(work, shards)
        files += ["README.md", *(["LICENSE.md"] if licence else [])]
        write(work / FACTS, _as_json(job, configs, described, {f: (work / f).stat().st_size for f in files}))
        (work / JOURNAL).unlink(missing_ok=True)
        moved = put_in_place(work, directory)
    return Exported(directory, configs, written=True, moved_aside=moved)


def _as_json(job: Job, configs: dict[str, Counts], described: dict[str, Any], files: dict[str, int]) -> str:
    content = {
        "identity": job.identity,
        "configs": {name: counts.as_json() for name, counts in configs.items()},
        "provenance": described,
        "files": files,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, default=str) + "\n"


def export_command(name: str, directory: Path, partitions: Sequence[str], force: bool) -> None:
    """What `nemotron export` does."""
    from nemotron_assets.commands.sql import print_table
    from nemotron_assets.definitions import lake
    from nemotron_assets.recipe import current_recipe

    table, started = find(name), time.perf_counter()
    done = export(lake, table, directory, current_recipe(), partitions=partitions, force=force, progress=print)
    print_table(
        ("config", "rows", "tokens (estimated)", "MB", "languages"),
        [(c, n.rows, n.tokens, round(n.file_bytes / 1e6, 1), len(n.languages)) for c, n in done.configs.items()],
    )
    if done.moved_aside:
        print(f"what was in {directory} is now in {done.moved_aside}")
    seconds = time.perf_counter() - started
    print(f"{done.directory}: {f'written in {seconds:.1f} s' if done.written else 'up to date, nothing to do'}")
