"""`nemotron code rebuild`: fetches the texts of the code corpus again by their metadata, and checks their hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.code.sources.rebuild import (
    COLUMNS,
    GOOD,
    OUTCOMES,
    Rebuilder,
    Rebuilt,
    metadata_rows,
    source_at,
    write,
)
from nemotron_assets.code.sources.tables import METADATA
from nemotron_assets.code.sources.text import printable
from nemotron_assets.commands.console import print_table
from nemotron_assets.recipe import current_recipe
from resources.crawl import Crawl
from resources.repositories import open_source

#: How many failed rows are printed.
_MAX_FAILED = 20


def rebuild_command(place: str, sources: Sequence[str], out: Path | None) -> bool:
    """Rebuild the texts of the metadata at `place` (a file, a folder or a table), and print how many rows have which
    outcome. Writes the texts to `out` if it is given. False if the text of any row could not be fetched."""
    recipe = current_recipe()
    limits, crawl = recipe.code.sources, Crawl.from_recipe(recipe.snapshots.crawl)
    opened = [source_at(source, limits, crawl) for source in sources]
    rebuilder = Rebuilder(opened or [open_source(source, limits, crawl) for source in limits.sources], limits)
    failed: list[Rebuilt] = []
    results = _collect_failed(rebuilder.rebuild(_rows(place)), failed)
    if out is None:
        for _ in results:
            pass
    else:
        write(results, out)
    counts = rebuilder.counts
    print_table(
        ("outcome", "files", "meaning"),
        [(outcome, counts[outcome], meaning) for outcome, meaning in OUTCOMES.items() if counts[outcome]],
    )
    if failed:
        print_table(
            ("failed", "commit", "path", "outcome", "detail"),
            [
                (f.repo, f.commit_id[:12], printable(f.rel_path)[:80], f.outcome, printable(f.detail)[:80])
                for f in failed
            ],
        )
    return not failed


def _rows(place: str) -> Iterator[Mapping[str, Any]]:
    """The rows of metadata at `place`: code.metadata or code.curated of the lake, or files."""
    table = {METADATA.full_name: METADATA, CURATED.full_name: CURATED}.get(place.replace("/", "."))
    if table is None:
        yield from metadata_rows(place)
        return
    from nemotron_assets.definitions import lake

    columns = [name for name in COLUMNS if name in table.column_names]
    for batch in lake.read(table).batches(columns, batch_size=8_192):
        yield from batch.to_pylist()


def _collect_failed(results: Iterable[Rebuilt], failed: list[Rebuilt]) -> Iterator[Rebuilt]:
    """Pass the results on, and add the first 20 results without a text to `failed`."""
    for result in results:
        if result.outcome not in GOOD and len(failed) < _MAX_FAILED:
            failed.append(result)
        yield result
