"""What the evaluations read: the tables with held-out texts, and the tables of the models that the recipe measures."""

from __future__ import annotations

from collections.abc import Iterable

from nemotron_assets.code.quality.tables import CURATED
from nemotron_assets.evaluate.suite.tables import MODELS
from nemotron_assets.math.corpus.tables import NEMOTRON_CC_MATH
from nemotron_assets.sft.procedural.tables import PROCEDURAL
from nemotron_assets.table.schema import Table
from nemotron_assets.web.dedup.tables import DUPLICATES, UNIQUE_DOCUMENTS
from nemotron_assets.web.tables import DOCUMENTS

#: The tables with held-out texts.
HELD_OUT = {
    "unique_documents": UNIQUE_DOCUMENTS,
    "documents": DOCUMENTS,
    "web_duplicates": DUPLICATES,
    "maths": NEMOTRON_CC_MATH,
    "curated_code": CURATED,
    "procedural": PROCEDURAL,
}


def models_of(*wanted: Iterable[str]) -> dict[str, Table]:
    """The tables of models that lists of the recipe's `evaluate.models` name, in the order of the stages. The newest
    version of every name in them is measured. No evaluation waits for the other tables of models."""
    names = {name for list_ in wanted for name in list_}
    return {name: table for name, table in MODELS.items() if name in names}
