"""Declares the table of the sample: which table each of its ten subsets is taken from, and the published columns."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nemotron_assets.code.qa.tables import QA
from nemotron_assets.code.sources.tables import METADATA
from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.sft.release.tables import NEMOTRON_SFT
from nemotron_assets.table.columns import ID, PARENTS, SOURCES
from nemotron_assets.table.schema import Column, Published, Table
from nemotron_assets.web.release.tables import NEMOTRON_CC_V2


@dataclass(frozen=True)
class Source:
    """Where the rows of a subset come from: those of `table`, and of these only the rows with `value` in `column`."""

    table: Table
    column: str | None = None
    value: str = ""


#: The subsets of the sample, as published.
SUBSETS: dict[str, Source] = {
    "Nemotron-CC-High-Quality": Source(NEMOTRON_CC_V2, "subset", "High-Quality"),
    "Nemotron-CC-High-Quality-Synthetic": Source(NEMOTRON_CC_V2, "subset", "High-Quality-Synthetic"),
    "Nemotron-CC-Diverse-QA": Source(NEMOTRON_CC_V2, "subset", "Diverse-QA"),
    "Nemotron-CC-Translated-Diverse-QA": Source(NEMOTRON_CC_V2, "subset", "Translated-Diverse-QA"),
    "Nemotron-CC-MATH": Source(NEMOTRON_CC_MATH),
    "Nemotron-Synthetic-Code": Source(QA),
    "Nemotron-Code-Metadata": Source(METADATA),
    "Nemotron-SFT-Code": Source(NEMOTRON_SFT, "subset", "Nemotron-SFT-Code"),
    "Nemotron-SFT-General": Source(NEMOTRON_SFT, "subset", "Nemotron-SFT-General"),
    "Nemotron-SFT-MATH": Source(NEMOTRON_SFT, "subset", "Nemotron-SFT-MATH"),
}
#: The tables that the sample is taken from, by the name of the argument that reads them.
TABLES_READ = {source.table.name: source.table for source in SUBSETS.values()}

_MATH = NEMOTRON_CC_MATH.published.structs
_FILE = ("repo", "commit_id", "rel_path")


def _only_in(subset: str, column: Column) -> Column:
    return replace(column, nullable=True, meaning=f"{column.meaning}; null outside of {subset}")


DATASET_SAMPLE = Table(
    "blend",
    "dataset_sample",
    "Nemotron-Pretraining-Dataset-sample: a few rows of each published data set, in ten subsets.",
    (
        ID,
        PARENTS,
        SOURCES,
        Column("subset", "string", "published config that the row belongs to, for example Nemotron-CC-MATH"),
        Column("language", "string", "language code of the text, or programming language of the file or code: Python"),
        Column("text", "string", "the text; null in Nemotron-Code-Metadata", nullable=True),
        *(_only_in("Nemotron-Code-Metadata", METADATA.column(name)) for name in _FILE),
        *(_only_in("Nemotron-CC-MATH", NEMOTRON_CC_MATH.column(name)) for name in _MATH["metadata"]),
    ),
    part_by="subset",
    parents=tuple(table.full_name for table in TABLES_READ.values()),
    published=Published(
        title="Nemotron-Pretraining-Dataset-sample",
        columns=("id", "text"),
        configs_by="subset",
        configs=tuple(SUBSETS),
        instead={"Nemotron-Code-Metadata": _FILE},
        more={"Nemotron-CC-Translated-Diverse-QA": ("language",), "Nemotron-CC-MATH": _MATH["metadata"]},
        structs=_MATH,
        examples=True,
        empty_configs=True,
    ),
    origins={"subset": ()},
)

TABLES = [DATASET_SAMPLE]
