"""The texts of the documents that a removal takes, and of those that stay: what evidence is made from.

Documents are what is read from sources: the text of pages, and files of code. What was written from them is found by
the ids of its rows.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nemotron_assets.align.conversations.tables import SUITE_ITEMS
from nemotron_assets.code.sources.tables import FILES
from nemotron_assets.evaluate.items.tables import BENCHMARKS
from nemotron_assets.math.tables import CANDIDATE_PAGES, RENDERED
from nemotron_assets.rights.evidence import Evidence, fingerprints
from nemotron_assets.rights.tables import REMOVED
from nemotron_assets.sft.inputs.tables import SEEDS
from nemotron_assets.snapshots.tables import PAGES
from nemotron_assets.web.tables import DOCUMENTS
from resources.home import home

if TYPE_CHECKING:
    import pyarrow as pa

    from nemotron_assets.rights.targets import Target
    from nemotron_assets.table.schema import Table
    from resources.lakehouse import Lakehouse

#: Texts of documents, as they are stored first.
_DOCUMENTS: dict[Table, tuple[str, ...]] = {DOCUMENTS: ("title", "text"), RENDERED: ("text",), FILES: ("content",)}
#: What else may say the same: raw pages, of which a step may leave out what another one keeps, and texts from packages.
_SOURCES: dict[Table, tuple[str, ...]] = {
    PAGES: ("html",),
    CANDIDATE_PAGES: ("html",),
    BENCHMARKS: ("question", "answer"),
    SEEDS: ("question", "answer", "text"),
    SUITE_ITEMS: ("question", "answer"),
}
_ROWS = 256


def evidence_of(lake: Lakehouse, removed: Mapping[str, Collection[str]], targets: Collection[Target]) -> Evidence:
    """The evidence of a removal that is planned: {table: ids of the rows that will go}. Reads the documents of the lake
    and the removed ones twice; call it before the first row goes."""
    return fingerprints(
        functools.partial(_texts, lake, _DOCUMENTS, removed, True),
        functools.partial(_texts, lake, _DOCUMENTS | _SOURCES, removed, False),
        targets,
        (id_ for ids in removed.values() for id_ in ids),
    )


def _texts(
    lake: Lakehouse, tables: Mapping[Table, tuple[str, ...]], removed: Mapping[str, Collection[str]], are_removed: bool
) -> Iterator[pa.Array]:
    """The texts of the rows that will be removed, or of all others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for table, columns in tables.items():
        gone = pa.array(sorted(removed.get(table.full_name, ())), pa.string())
        reader = lake.read(table)
        if not reader.exists or (are_removed and not len(gone)):
            continue
        for batch in reader.batches(["id", *columns], _ROWS):
            is_gone = pc.is_in(batch["id"].cast(pa.string()), value_set=gone)
            rows = batch.filter(is_gone if are_removed else pc.invert(is_gone))
            if rows.num_rows:
                yield from (rows[column] for column in columns)


def remember(lake: Lakehouse, receipt: str, evidence: Evidence) -> None:
    """Store evidence, so that `nemotron forget --verify` can search for it whenever it is asked."""
    evidence.save(folder(lake) / f"{receipt}.npz")


def is_remembered(lake: Lakehouse, receipt: str) -> bool:
    """Whether the evidence of a removal was stored."""
    return (folder(lake) / f"{receipt}.npz").exists()


def remembered(lake: Lakehouse, receipts: Iterable[str] | None = None) -> Evidence:
    """The evidence of some removals, or of all of this lake."""
    chosen = None if receipts is None else set(receipts)
    paths = sorted(folder(lake).glob("*.npz"))
    return Evidence.together(Evidence.load(path) for path in paths if chosen is None or path.stem in chosen)


def not_remembered(lake: Lakehouse) -> dict[str, str]:
    """{file with the evidence of a removal: why it cannot be searched for} of the removals of this lake whose evidence
    is not here."""
    removed = lake.read(REMOVED).scan().select("receipt").unique().collect(engine="streaming")["receipt"].sort()
    return {
        str(folder(lake) / f"{receipt}.npz"): "it is missing, so what this removal took was not searched for: repeat "
        "the removal if it was stopped, else copy the file from the home in which it was made"
        for receipt in removed
        if not is_remembered(lake, receipt)
    }


def folder(lake: Lakehouse) -> Path:
    """Where evidence is: beside the tables of a local lake; else in the home, below the identity of the lake."""
    return Path(lake.root, "_rights") if lake.is_local else home() / "rights" / lake.identity
